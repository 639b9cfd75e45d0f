"""LLaMA-Factory: a data set with its description, and a configuration for ``llamafactory-cli train``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from inscl.contract import Example
from inscl.data.export import jsonl, training_row
from inscl.handover.conversations import answers_apart, has_history
from inscl.handover.readme import readme, yaml_text
from inscl.handover.settings import Settings

__all__ = ["llama_factory"]

_NAME = "inscl"
_FILES = {
    "train.jsonl": "one example a line: messages",
    "dataset_info.json": "its description",
    "llama_factory.yaml": "configuration of llamafactory-cli train",
}
_NOTES = (
    "Messages rather than Alpaca's fields: LLaMA-Factory joins those by one line break, and here a blank line stands "
    "between instruction and input.",
    "No template is named, so the chat template of the model's own tokenizer is used. A model that LLaMA-Factory has a "
    "template for can be given it as `template: NAME`.",
)


_PICTURE_NOTES = (
    "Rows have a column images with the paths of their pictures, and a marker <image> for each; rows without pictures "
    "have an empty one.",
    "A tokenizer's own template can't hold pictures in LLaMA-Factory: `template` names one of its own. Where it is "
    "missing, add the one that LLaMA-Factory's list of models gives for yours.",
)
# A class of image-text models in transformers -> LLaMA-Factory's template for it. Classes whose models have several
# templates are left out.
_TEMPLATES = {
    "LlavaForConditionalGeneration": "llava",
    "Qwen2VLForConditionalGeneration": "qwen2_vl",
    "Qwen2_5_VLForConditionalGeneration": "qwen2_vl",
    "Gemma3ForConditionalGeneration": "gemma3",
    "MllamaForConditionalGeneration": "mllama",
    "PaliGemmaForConditionalGeneration": "paligemma",
}


def llama_factory(examples: Sequence[Example], settings: Settings) -> dict[str, bytes]:
    """``train.jsonl``, ``dataset_info.json``, ``llama_factory.yaml``, ``README.txt``.

    Without a chat template, LLaMA-Factory's template ``empty`` puts nothing around a prompt and doesn't end an answer,
    so the texts hold the blank line and the model's end-of-sequence token themselves. A mix with pictures needs one of
    LLaMA-Factory's own templates, which know where a model has its pictures.
    """
    form, pictures = settings.form, settings.pictures
    rows = answers_apart(examples)
    if not form.chat and not pictures:
        rows = [Example(form.written_out(row), "", (row.output + form.end,), row.task) for row in rows]
    description = {
        _NAME: {
            "file_name": "train.jsonl",
            "formatting": "sharegpt",
            "columns": {"messages": "messages", **({"images": "images"} if pictures else {})},
            "tags": {
                "role_tag": "role",
                "content_tag": "content",
                "user_tag": "user",
                "assistant_tag": "assistant",
                "system_tag": "system",
            },
        }
    }
    command = "llamafactory-cli train llama_factory.yaml"
    about = _PICTURE_NOTES if pictures else _NOTES if form.chat else ()
    notes = (*about, *settings.precision_notes)
    return {
        "train.jsonl": jsonl(training_row(row, "messages", pictures) for row in rows),
        "dataset_info.json": (json.dumps(description, indent=2) + "\n").encode(),
        "llama_factory.yaml": yaml_text(_configuration(settings, has_history(rows))),
        "README.txt": readme("LLaMA-Factory (tried with 0.9.5)", command, _FILES, examples, settings, notes),
    }


def _configuration(settings: Settings, history: bool) -> dict[str, Any]:
    adapter: dict[str, Any] = {"finetuning_type": "full"}
    if settings.lora is not None:
        everything = settings.lora.target_modules == "all-linear"
        adapter = {
            "finetuning_type": "lora",
            "lora_rank": settings.lora.r,
            "lora_alpha": settings.lora.scale,
            "lora_dropout": settings.lora.dropout,
            "lora_target": "all" if everything else ",".join(settings.lora.modules),
        }
    return {
        "model_name_or_path": settings.model,
        "stage": "sft",
        "do_train": True,
        **adapter,
        "dataset": _NAME,
        "dataset_dir": ".",
        **_template(settings),
        # Of a conversation, each row's last answer alone carries loss.
        **({"mask_history": True} if history else {}),
        "cutoff_len": settings.max_length,
        "num_train_epochs": settings.epochs,
        "per_device_train_batch_size": settings.batch_size,
        "gradient_accumulation_steps": 1,
        "learning_rate": settings.learning_rate,
        "lr_scheduler_type": "cosine",
        "warmup_ratio": 0.03,
        "bf16": settings.bf16,
        "seed": settings.seed,
        "output_dir": "trained",
        "save_strategy": "no",
        "logging_steps": 1,
        "report_to": "none",
        **settings.more,
    }


def _template(settings: Settings) -> dict[str, str]:
    if settings.pictures:
        named = _TEMPLATES.get(settings.form.architecture)
        return {"template": named} if named else {}
    return {} if settings.form.chat else {"template": "empty"}
