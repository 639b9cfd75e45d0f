"""A learned state as one model folder: the adapter added into the weights, bf16, nothing that only inscl reads."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

from inscl.config.settings import ModelConfig
from inscl.data.places import refuse_remote
from inscl.errors import ModelError, WorkspaceError
from inscl.models import names as model_names
from inscl.storage.files.atomic import write_json

__all__ = ["save_merged"]

# Of the loaded tokenizer or how it was loaded, not of the model; other versions of transformers stumble over them.
_PASSING = ("backend", "is_local", "local_files_only")


def save_merged(config: ModelConfig, state: Path | None, out: Path) -> None:
    """Write a folder that transformers, vLLM and llama.cpp's conversion open.

    The adapter is added into the weights in float32 and the sum rounded once to bf16. An answer ends where the learner
    ends it: the tokenizer's end of sequence is among the generation configuration's.

    Args:
        config: The model and adapter that were taught.
        state: What a learner saved after a stage; None is the model as it came.
        out: The folder to write, with ``config.json``, ``model.safetensors``, ``generation_config.json``, the tokenizer
            and its chat template. It appears whole or not at all, and takes the place of an earlier one.

    Raises:
        MissingExtraError: transformers or PEFT isn't installed.
        ModelError: The state is missing, damaged or another model's, or the model is quantised.
        WorkspaceError: The folder can't be written.
    """
    refuse_remote(out)
    from inscl.models.adapters.choose import make_adapter
    from inscl.models.trainable_model import TrainableModel

    weights = TrainableModel(config.name, make_adapter(config.adapter.model_dump()), "fp32", "cpu")
    if state is not None:
        weights.load(state)
    with model_names.quiet():
        model = _whole(weights)
        try:
            out.parent.mkdir(parents=True, exist_ok=True)
            temporary = Path(tempfile.mkdtemp(dir=out.parent, prefix=f".{out.name}."))
            try:
                model.save_pretrained(temporary)
                _tokenizer(weights, temporary)
                _settle(temporary)
                temporary.chmod(0o755)
                if out.exists():
                    shutil.rmtree(out)
                temporary.rename(out)
            finally:
                shutil.rmtree(temporary, ignore_errors=True)
        except OSError as error:
            raise WorkspaceError(
                f"can't write {out}: {error.strerror or error}; free space there or choose another"
            ) from error


def _whole(weights: Any) -> Any:
    """The model without an adapter on it, in bf16."""
    import torch

    model = weights.model
    if getattr(model.config, "quantization_config", None) is not None:
        raise ModelError(
            f"{weights.name} is quantised, and adding an adapter into it loses what was learned; merge it "
            "into the model before quantisation"
        )
    ends = sorted(weights.end_tokens)
    weights.keep_apart()
    if hasattr(model, "peft_config"):
        model = model.merge_and_unload(safe_merge=True)
    settings = model.generation_config
    settings.eos_token_id = ends if len(ends) > 1 else ends[0]
    if settings.pad_token_id is None:
        settings.pad_token_id = weights.pad_token
    return model.to(torch.bfloat16)


def _tokenizer(weights: Any, folder: Path) -> None:
    """Write the tokenizer under the class name that every version of transformers has; with a processor, if it sees."""
    from inscl.models.picture_processor import processor_in
    from inscl.models.picture_tokens import sees_pictures

    if sees_pictures(weights.path):
        processor_in(weights.path).save_pretrained(folder)
    weights.tokenizer.save_pretrained(folder)
    path = folder / "tokenizer_config.json"
    values = json.loads(path.read_text(encoding="utf-8"))
    if values.get("tokenizer_class") == "TokenizersBackend":
        values["tokenizer_class"] = "PreTrainedTokenizerFast"
    write_json(path, {key: value for key, value in values.items() if key not in _PASSING})


def _settle(folder: Path) -> None:
    """Say in ``config.json`` what readers of before and after transformers 5 look for, each under its own name."""
    path = folder / "config.json"
    values = json.loads(path.read_text(encoding="utf-8"))
    for key in ("_name_or_path", "_model_name_or_path"):
        values.pop(key, None)
    values["torch_dtype"] = values["dtype"] = "bfloat16"
    rope = values.get("rope_parameters")
    if isinstance(rope, dict) and "rope_theta" in rope:
        values.setdefault("rope_theta", rope["rope_theta"])
        if rope.get("rope_type", "default") != "default":
            values.setdefault("rope_scaling", {key: value for key, value in rope.items() if key != "rope_theta"})
    write_json(path, values)
