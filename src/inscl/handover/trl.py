"""TRL's SFT: prompts and completions, and a configuration for ``trl sft --config``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from inscl.contract import Example
from inscl.data.export import jsonl, training_row
from inscl.handover.conversations import answers_apart
from inscl.handover.readme import readme, yaml_text
from inscl.handover.settings import Settings

__all__ = ["trl"]

_FILES = {
    "train.jsonl": "one example a line: prompt and completion",
    "trl.yaml": "configuration of trl sft",
}
_NOTES = (
    "Only completions carry loss, as here. Prompts longer than max_length lose their end, answers included; here they "
    "are shortened in the middle.",
)


def trl(examples: Sequence[Example], settings: Settings) -> dict[str, bytes]:
    """``train.jsonl``, ``trl.yaml``, ``README.txt``.

    With a chat template, prompt and completion are messages and TRL puts the template around them. Without one
    they are texts, the prompt with the blank line that ends it.
    """
    if settings.form.chat:
        rows = [training_row(row, "turns") for row in answers_apart(examples)]
    else:
        rows = [{"prompt": settings.form.written_out(row), "completion": row.output} for row in answers_apart(examples)]
    peft = ("Training an adapter needs the package peft beside trl.",) if settings.lora else ()
    notes = (*_NOTES, *peft, *settings.precision_notes)
    command = "trl sft --config trl.yaml"
    return {
        "train.jsonl": jsonl(rows),
        "trl.yaml": yaml_text(_configuration(settings)),
        "README.txt": readme("TRL (tried with 1.16.0)", command, _FILES, examples, settings, notes),
    }


def _configuration(settings: Settings) -> dict[str, Any]:
    adapter: dict[str, Any] = {}
    if settings.lora is not None:
        adapter = {
            "use_peft": True,
            "lora_r": settings.lora.r,
            "lora_alpha": settings.lora.scale,
            "lora_dropout": settings.lora.dropout,
            "lora_target_modules": settings.lora.target_modules,
            "lora_task_type": "CAUSAL_LM",
        }
    return {
        "model_name_or_path": settings.model,
        "bf16": settings.bf16,
        **adapter,
        "datasets": [{"path": "json", "data_files": "train.jsonl", "split": "train"}],
        "dataset_train_split": "train",
        "completion_only_loss": True,
        "max_length": settings.max_length,
        "num_train_epochs": settings.epochs,
        "per_device_train_batch_size": settings.batch_size,
        "gradient_accumulation_steps": 1,
        "learning_rate": settings.learning_rate,
        "lr_scheduler_type": "cosine",
        "warmup_steps": 0.03,
        "seed": settings.seed,
        "output_dir": "trained",
        "save_strategy": "no",
        "logging_steps": 1,
        "report_to": "none",
        **settings.more,
    }
