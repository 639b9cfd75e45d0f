"""An adapter on disk: PEFT's two files, the same bytes for the same adapter."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

from inscl.errors import ModelError

__all__ = ["load_adapter", "save_adapter"]


def save_adapter(model: Any, folder: Path) -> None:
    """Write the adapter as PEFT does (``adapter_config.json``, ``adapter_model.safetensors``), and nothing else."""
    from peft import get_peft_model_state_dict
    from safetensors.torch import save_file

    weights = get_peft_model_state_dict(model, save_embedding_layers=False)
    weights = {name: weight.detach().cpu().contiguous() for name, weight in weights.items()}
    save_file(weights, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    config = copy.copy(model.peft_config["default"])
    config.inference_mode = True
    for field, value in vars(config).items():
        if isinstance(value, set):  # in another order in every process
            setattr(config, field, sorted(value))
    config.save_pretrained(folder)


def load_adapter(model: Any, folder: Path) -> None:
    """Set the weights of the adapter that is on `model`.

    Raises:
        ModelError: The file is missing, or belongs to another adapter or model.
    """
    from peft import set_peft_model_state_dict
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        weights = load_file(folder / "adapter_model.safetensors")
        outcome = set_peft_model_state_dict(model, weights)
    except (OSError, SafetensorError, RuntimeError, ValueError) as error:
        raise ModelError(f"can't load the adapter in {folder}: {error}") from error
    if outcome.unexpected_keys:
        raise ModelError(f"the adapter in {folder} is for another model: it has {outcome.unexpected_keys[0]!r}")
