"""A task file of natural-instructions: a definition, and instances with all their references."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from inscl.data.readers.rows import Row, listed
from inscl.errors import DataError

__all__ = ["is_task_file", "read_task_file"]


def is_task_file(document: Any) -> bool:
    """Whether a JSON document has a ``Definition`` and ``Instances``."""
    return isinstance(document, Mapping) and "Definition" in document and "Instances" in document


def read_task_file(document: Mapping[str, Any], path: Path) -> Iterator[Row]:
    """Its instances as rows: the (first) definition is the instruction, all outputs are references.

    The examples that the file shows beside them are no rows: the benchmark puts them into prompts.

    Raises:
        DataError: The definition is no text, or the instances are no list.
    """
    definitions, instances = document["Definition"], document["Instances"]
    definitions = [definitions] if isinstance(definitions, str) else definitions
    if not isinstance(definitions, list) or not definitions or not isinstance(definitions[0], str):
        raise DataError("the Definition of this natural-instructions task is no text", path)
    if not isinstance(instances, list):
        raise DataError("the Instances of this natural-instructions task are no list", path)
    left = [name for name, value in document.items() if name not in ("Definition", "Instances") and value]
    notes = ["a task of natural-instructions; its definition is the instruction"]
    notes += [f"not used beside its instances: {listed(left)}"] if left else []
    notes += [f"the first of its {len(definitions)} definitions is used"] if len(definitions) > 1 else []
    for number, instance in enumerate(instances, start=1):
        told = tuple(notes) if number == 1 else ()
        if isinstance(instance, dict):
            yield Row(number, {"instruction": definitions[0].strip(), **instance}, notes=told)
        else:
            raw = json.dumps(instance, ensure_ascii=False)
            yield Row(number, {}, "an instance with input and output was expected", raw, notes=told)
