"""JSON: an array of objects, or an object that holds one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from inscl.data.readers.json_lines import read_json_lines
from inscl.data.readers.json_values import parse
from inscl.data.readers.natural_instructions import is_task_file, read_task_file
from inscl.data.readers.rows import Row, listed, read_bytes
from inscl.data.splits import SPLIT_NAMES
from inscl.errors import DataError

__all__ = ["read_json_document"]

_OF_TURNS = frozenset({"messages", "conversations", "prompt", "completion", "chosen"})
"""Columns that hold lists of turns: an object with one of them is itself a row."""


def read_json_document(path: Path) -> Iterator[Row]:
    """Rows of a JSON file; `Row.line` counts the objects from 1.

    Understood are an array of objects; an object with one list of objects under any name; an object whose lists are
    named after splits (``{"train": [...], "test": [...]}``); one object that is itself a row; a task file of
    natural-instructions; and, since many call it `.json` too, JSONL.

    Raises:
        DataError: The file is none of these.
    """
    try:
        document = _parsed(read_bytes(path).decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise DataError(f"not UTF-8 text (byte {error.start + 1}); is this a JSON file?", path) from error
    except json.JSONDecodeError as error:
        if error.msg == "Extra data":
            yield from read_json_lines(path)
            return
        raise DataError(f"invalid JSON at character {error.colno}: {error.msg}", path, error.lineno) from error
    except ValueError as error:
        raise DataError(f"invalid JSON: {error}", path) from error
    if is_task_file(document):
        yield from read_task_file(document, path)
        return
    number = 0
    for split, values in _lists(document, path):
        for value in values:
            number += 1
            if isinstance(value, dict):
                yield Row(number, value, split=split)
            else:
                raw = json.dumps(value, ensure_ascii=False)
                yield Row(number, {}, "a JSON object was expected in the list", raw, split)


def _parsed(text: str) -> Any:
    try:
        return parse(text)
    except json.JSONDecodeError:
        raise
    except ValueError:
        # Some task files of natural-instructions hold NaN, in fields that nobody needs.
        if is_task_file(document := parse(text, finite=False)):
            return document
        raise


def _lists(document: Any, path: Path) -> list[tuple[str, list[Any]]]:
    if isinstance(document, list):
        return [("", document)]
    if not isinstance(document, dict):
        raise DataError("an array of objects was expected, or an object that holds one", path)
    lists = {name: value for name, value in document.items() if isinstance(value, list)}
    if _OF_TURNS.intersection(name.strip().lower() for name in document) or not lists:
        return [("", [document])]
    if all(name.lower() in SPLIT_NAMES for name in lists):
        return list(lists.items())
    of_objects = [value for value in lists.values() if any(isinstance(item, dict) for item in value)]
    if len(of_objects) == 1:
        return [("", of_objects[0])]
    if not of_objects:
        return [("", [document])]
    raise DataError(
        f"the object holds several lists ({listed(lists)}); one list of rows, or lists named train and test, "
        "were expected",
        path,
    )
