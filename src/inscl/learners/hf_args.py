"""``training.hf_args``: the allowed arguments."""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from inscl.errors import ConfigError, Problem, nearest

__all__ = ["check_packages", "hf_problems"]

# What TrainingArguments would say a second time, with what to use instead.
_RESERVED = {
    "seed": "use seed",
    "data_seed": "use seed",
    "bf16": "use model.precision",
    "fp16": "use model.precision",
    "remove_unused_columns": "there is nothing to remove",
    "include_num_input_tokens_seen": "tokens are always counted",
}

_INSTEAD = "or divide the weights without DeepSpeed (training.hf_args.fsdp: true)"


def hf_problems(hf_args: Mapping[str, Any]) -> list[Problem]:
    """Arguments that inscl sets itself, and names that transformers' `TrainingArguments` doesn't have.

    Where transformers isn't installed nothing can be trained; a plan can still be made, and the names go unchecked.
    """
    problems = [
        Problem(f"training.hf_args.{key}", f"is set by inscl; {_RESERVED[key]}")
        for key in sorted(set(hf_args) & set(_RESERVED))
    ]
    if hf_args.get("deepspeed"):
        problems += [Problem("training.hf_args.deepspeed", said) for said in _unfit(hf_args["deepspeed"])]
    if hf_args and find_spec("transformers") is not None:
        from transformers import TrainingArguments

        known = sorted(inspect.signature(TrainingArguments).parameters)
        for key in sorted(set(hf_args) - set(known) - set(_RESERVED)):
            problems.append(Problem(f"training.hf_args.{key}", f"transformers has none{nearest(key, known)}"))
    return problems


def _unfit(deepspeed: Any) -> list[str]:
    """Why DeepSpeed can't train by these settings, a mapping or the path of a JSON file; nothing if it may."""
    try:
        settings = json.loads(Path(deepspeed).read_bytes()) if isinstance(deepspeed, str) else deepspeed
        stage = settings["zero_optimization"]["stage"]
    except (OSError, ValueError, LookupError, TypeError):
        return []  # transformers says what is wrong with them
    if stage == 3:
        return [f"ZeRO's stage 3 leaves weights in parts, which can't be asked or saved: use stage 1 or 2, {_INSTEAD}"]
    return []


def check_packages(hf_args: Mapping[str, Any]) -> None:
    """See that what will train is installed; what was trained by it elsewhere can be asked without.

    Raises:
        ConfigError: DeepSpeed isn't.
    """
    if hf_args.get("deepspeed") and find_spec("deepspeed") is None:
        said = f"needs the package deepspeed, which isn't installed: pip install deepspeed, {_INSTEAD}"
        raise ConfigError([Problem("training.hf_args.deepspeed", said)])
