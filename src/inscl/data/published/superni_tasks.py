"""One task file of a natural-instructions checkout."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inscl.data.readers.rows import read_bytes
from inscl.errors import DataError

__all__ = ["SourceTask", "read_source_task"]

KEYS = ("Definition", "Categories", "Input_language", "Output_language", "Instances")


@dataclass(frozen=True)
class SourceTask:
    """What the benchmark calls a task.

    Attributes:
        name: The file's name without its suffix.
        definition: The instruction.
        category: The benchmark's category.
        languages: Of inputs and outputs.
        license: Of its data.
        instances: Pairs of input and references.
    """

    name: str
    definition: str
    category: str
    languages: frozenset[str]
    license: str
    instances: tuple[tuple[str, tuple[str, ...]], ...]


def read_source_task(path: Path) -> SourceTask:
    """Read one ``task….json``.

    Raises:
        DataError: It isn't JSON, or doesn't hold what such a file holds.
    """
    try:
        # Some of these files hold NaN in fields that nobody needs, so this is not the strict parser.
        content = json.loads(read_bytes(path).decode("utf-8-sig"))
    except json.JSONDecodeError as error:
        raise DataError(f"invalid JSON: {error.msg} (is the checkout complete?)", path, error.lineno) from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"invalid JSON: {error}", path) from error
    missing = [key for key in KEYS if not isinstance(content, dict) or not content.get(key)]
    if missing:
        raise DataError(f"a natural-instructions task was expected; missing or empty: {', '.join(missing)}", path)
    return SourceTask(
        path.stem,
        _texts(content["Definition"])[0].strip(),
        _texts(content["Categories"])[0],
        frozenset(_texts(content["Input_language"]) + _texts(content["Output_language"])),
        ", ".join(_texts(content.get("Instance License") or "Unknown")),
        tuple(_instance(instance, path, number) for number, instance in enumerate(content["Instances"], start=1)),
    )


def _instance(instance: Mapping[str, Any], path: Path, number: int) -> tuple[str, tuple[str, ...]]:
    try:
        given, references = instance["input"], tuple(_texts(instance["output"]))
    except (KeyError, TypeError) as error:
        raise DataError(f"instance {number}: input and output were expected", path) from error
    if not references or not all(isinstance(text, str) for text in (given, *references)):
        raise DataError(f"instance {number}: input and output must be text", path)
    return given, references


def _texts(value: str | Sequence[str]) -> list[str]:
    """Older files hold a text where newer ones hold a list."""
    return [value] if isinstance(value, str) else list(value)
