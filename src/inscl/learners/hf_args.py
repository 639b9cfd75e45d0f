"""``training.hf_args``: the allowed arguments."""

from __future__ import annotations

import importlib.util
import inspect
from collections.abc import Mapping
from typing import Any

from inscl.errors import Problem, nearest

__all__ = ["hf_problems"]

# What TrainingArguments would say a second time, with what to use instead.
_RESERVED = {
    "seed": "use seed",
    "data_seed": "use seed",
    "bf16": "use model.precision",
    "fp16": "use model.precision",
    "remove_unused_columns": "there is nothing to remove",
    "include_num_input_tokens_seen": "tokens are always counted",
}


def hf_problems(hf_args: Mapping[str, Any]) -> list[Problem]:
    """Arguments that inscl sets itself, and names that transformers' `TrainingArguments` doesn't have.

    Where transformers isn't installed nothing can be trained; a plan can still be made, and the names go unchecked.
    """
    problems = [
        Problem(f"training.hf_args.{key}", f"is set by inscl; {_RESERVED[key]}")
        for key in sorted(set(hf_args) & set(_RESERVED))
    ]
    if hf_args and importlib.util.find_spec("transformers") is not None:
        from transformers import TrainingArguments

        known = sorted(inspect.signature(TrainingArguments).parameters)
        for key in sorted(set(hf_args) - set(known) - set(_RESERVED)):
            problems.append(Problem(f"training.hf_args.{key}", f"transformers has none{nearest(key, known)}"))
    return problems
