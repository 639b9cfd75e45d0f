"""ms-swift: prompts written out, and arguments for ``swift sft``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from inscl.contract import Example
from inscl.data.export import jsonl, training_row
from inscl.handover.conversations import answers_apart, has_history
from inscl.handover.readme import readme, yaml_text
from inscl.handover.settings import Settings

__all__ = ["ms_swift"]

_FILES = {
    "train.jsonl": "one example a line: messages; without pictures the user's is the whole prompt as the model sees it",
    "ms_swift.yaml": "arguments of swift sft",
}
_NOTES = (
    "The template is ms-swift's `dummy`, which adds nothing, since the model's own chat template is written out in the "
    "prompts: ms-swift can't train with a tokenizer's own template. When it answers, `dummy` uses that template.",
    "Examples longer than max_length are left out by ms-swift; here their prompts are shortened.",
)
_PICTURE_NOTES = (
    "Rows have a column images with the paths of their pictures, and a marker <image> for each; rows without pictures "
    "have an empty one.",
    "The template is ms-swift's own for the model: `dummy` has no place for pictures. `model_type` says which model it "
    "is where several of its types share a class: LLaVA 1.5 for LLaVA's class. Change it for another one, and add it "
    "if ms-swift can't tell which model this is.",
    "Examples longer than max_length are left out by ms-swift; here their prompts are shortened.",
)
# Classes that several model types of ms-swift share, so that it can't choose by itself.
_MODEL_TYPES = {
    "CohereForCausalLM": "c4ai",
    "LlamaForCausalLM": "llama",
    "LlavaForConditionalGeneration": "llava1_5_hf",
    "MistralForCausalLM": "mistral",
    "MixtralForCausalLM": "mixtral",
    "Phi3ForCausalLM": "phi3",
    "Qwen3ForCausalLM": "qwen3",
}


def ms_swift(examples: Sequence[Example], settings: Settings) -> dict[str, bytes]:
    """``train.jsonl``, ``ms_swift.yaml``, ``README.txt``."""
    rows = answers_apart(examples)
    if not settings.pictures:
        rows = [Example(settings.form.written_out(row), "", (row.output,), row.task) for row in rows]
    notes = (*(_PICTURE_NOTES if settings.pictures else _NOTES), *settings.precision_notes)
    command = "swift sft ms_swift.yaml"
    return {
        "train.jsonl": jsonl(training_row(row, "messages", settings.pictures) for row in rows),
        "ms_swift.yaml": yaml_text(_arguments(settings, has_history(rows))),
        "README.txt": readme("ms-swift (tried with 4.6.0)", command, _FILES, examples, settings, notes),
    }


def _arguments(settings: Settings, history: bool) -> dict[str, Any]:
    adapter: dict[str, Any] = {"tuner_type": "full"}
    if settings.lora is not None:
        adapter = {
            "tuner_type": "lora",
            "lora_rank": settings.lora.r,
            "lora_alpha": settings.lora.scale,
            "lora_dropout": settings.lora.dropout,
            "target_modules": settings.lora.modules,
        }
    model_type = _MODEL_TYPES.get(settings.form.architecture)
    return {
        "model": settings.model,
        **({"model_type": model_type} if model_type else {}),
        "use_hf": True,
        **({} if settings.pictures else {"template": "dummy"}),
        # Of a conversation, each row's last answer alone carries loss.
        **({"loss_scale": "last_round"} if history and settings.pictures else {}),
        **adapter,
        "bf16": settings.bf16,
        "dataset": ["train.jsonl"],
        "data_seed": settings.seed,
        "max_length": settings.max_length,
        "num_train_epochs": settings.epochs,
        "per_device_train_batch_size": settings.batch_size,
        "gradient_accumulation_steps": 1,
        "learning_rate": settings.learning_rate,
        "lr_scheduler_type": "cosine",
        "warmup_ratio": 0.03,
        "seed": settings.seed,
        "output_dir": "trained",
        "add_version": False,
        "save_strategy": "epoch",
        "logging_steps": 1,
        "report_to": "none",
        **settings.more,
    }
