"""Axolotl: a data set and a configuration for ``axolotl train``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from inscl.contract import Example
from inscl.data.export import jsonl, training_row
from inscl.handover.conversations import answers_apart, has_history, marked_row
from inscl.handover.readme import readme, yaml_text
from inscl.handover.settings import Settings

__all__ = ["axolotl"]

_FILES = {
    "train.jsonl": "one example a line: messages",
    "axolotl.yaml": "configuration of axolotl train",
}
_NOTES = ("Examples longer than sequence_len are left out by Axolotl; here their prompts are shortened.",)
_LEARNED = "train"  # whether an answer carries loss; written where a row has several
# What transformers' arguments are called there.
_NAMES = {
    "gradient_accumulation_steps": "gradient_accumulation_steps",
    "weight_decay": "weight_decay",
    "max_grad_norm": "max_grad_norm",
    "optim": "optimizer",
    "lr_scheduler_type": "lr_scheduler",
    "gradient_checkpointing": "gradient_checkpointing",
    "max_steps": "max_steps",
}


def axolotl(examples: Sequence[Example], settings: Settings) -> dict[str, bytes]:
    """``train.jsonl``, ``axolotl.yaml``, ``README.txt``.

    With a chat template, rows are messages, and the template is the tokenizer's own. Without one they are Axolotl's
    template-free segments, the second of which, answer and end of sequence, carries the loss.
    """
    form, history = settings.form, has_history(examples)
    if form.chat:
        rows: list[Any] = [
            marked_row(example, _LEARNED) if history else training_row(example, "messages") for example in examples
        ]
    else:
        rows = [
            {
                "segments": [
                    {"label": False, "text": form.written_out(row)},
                    {"label": True, "text": row.output + form.end},
                ]
            }
            for row in answers_apart(examples)
        ]
    left = sorted(set(settings.more) - set(_NAMES))
    notes = [*_NOTES, *([f"Not carried over: training.hf_args {', '.join(left)}."] if left else [])]
    command = "axolotl train axolotl.yaml"
    return {
        "train.jsonl": jsonl(rows),
        "axolotl.yaml": yaml_text(_configuration(settings, history)),
        "README.txt": readme("Axolotl (tried with 0.19.0)", command, _FILES, examples, settings, notes),
    }


def _configuration(settings: Settings, history: bool) -> dict[str, Any]:
    return {
        "base_model": settings.model,
        **_adapter(settings),
        "datasets": [{"path": "train.jsonl", "ds_type": "json", **_columns(settings, history)}],
        **({"chat_template": "tokenizer_default"} if settings.form.chat else {}),
        "dataset_prepared_path": "prepared",
        "val_set_size": 0,
        "train_on_inputs": False,
        "sequence_len": settings.max_length,
        "sample_packing": False,
        "num_epochs": settings.epochs,
        "micro_batch_size": settings.batch_size,
        "gradient_accumulation_steps": 1,
        "optimizer": "adamw_torch",
        "learning_rate": settings.learning_rate,
        "lr_scheduler": "cosine",
        "warmup_ratio": 0.03,
        "bf16": "auto" if settings.precision == "auto" else settings.bf16,
        "seed": settings.seed,
        "output_dir": "trained",
        "save_strategy": "no",
        "logging_steps": 1,
        **{_NAMES[key]: value for key, value in settings.more.items() if key in _NAMES},
    }


def _columns(settings: Settings, history: bool) -> dict[str, Any]:
    """How the rows are to be read."""
    if not settings.form.chat:
        return {"type": "input_output"}
    return {
        "type": "chat_template",
        "field_messages": "messages",
        "message_property_mappings": {"role": "role", "content": "content"},
        "roles_to_train": ["assistant"],
        "train_on_eos": "turn",
        **({"message_field_training": _LEARNED} if history else {}),
    }


def _adapter(settings: Settings) -> dict[str, Any]:
    """LoRA under Axolotl's names; nothing where all weights are trained."""
    if settings.lora is None:
        return {}
    everything = settings.lora.target_modules == "all-linear"
    return {
        "adapter": "lora",
        "lora_r": settings.lora.r,
        "lora_alpha": settings.lora.scale,
        "lora_dropout": settings.lora.dropout,
        **({"lora_target_linear": True} if everything else {"lora_target_modules": settings.lora.modules}),
    }
