"""What the columns of a row mean: Alpaca, chat messages, ShareGPT, or any columns through a mapping."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from inscl.data.chats import ChatProblem, read_chat
from inscl.data.readers.rows import listed
from inscl.errors import ConfigError, Problem, nearest

__all__ = ["FIELDS", "Fields", "Layout", "RowProblem"]

# Field -> the columns in which it is looked for when no mapping names one; the first that holds a value counts.
FIELDS: dict[str, tuple[str, ...]] = {
    "instruction": ("instruction",),
    "input": ("input",),
    "output": ("outputs", "output"),
    "messages": ("messages", "conversations"),
    "split": ("split",),
    "task": ("task",),
    "source": ("source_task", "source"),
}


class RowProblem(ValueError):
    """A row that can't become an example; the message says why, the caller knows the file and the line."""


@dataclass(frozen=True)
class Fields:
    """What a row says.

    Attributes:
        instruction: What is asked.
        input: What it is asked about; empty where the row has none.
        outputs: Every reference answer with text, at least one.
        split: As written; empty where the row names none.
        task: As written; empty where the row names none.
        source: As written; empty where the row names none.
        blank: How many reference answers were left out, since they are white space alone.
    """

    instruction: str
    input: str
    outputs: tuple[str, ...]
    split: str
    task: str
    source: str
    blank: int = 0


@dataclass(frozen=True)
class Layout:
    """Reads rows whose columns have any names.

    Attributes:
        columns: Field (a key of `FIELDS`) -> column. ``"answer"`` is a column, ``"answers.text"`` a value inside a
            nested one, and ``"=Translate."`` no column but a fixed text, for data without an instruction; ``"="``
            alone turns a field off. Fields that aren't named are looked for under their usual names.

    Raises:
        ConfigError: A key is no field.
    """

    columns: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        problems = [
            Problem(f"stream.columns.{name}", f"no field has this name{nearest(str(name), list(FIELDS))}")
            for name in self.columns
            if name not in FIELDS
        ]
        problems += [
            Problem(f"stream.columns.{name}", f"a column, or '=' and a fixed text, was expected: {column!r}")
            for name, column in self.columns.items()
            if not isinstance(column, str) or not column
        ]
        if problems:
            raise ConfigError(problems, "columns")

    def parse(self, row: Mapping[str, Any]) -> Fields:
        """What `row` says.

        Raises:
            RowProblem: A field is missing, null, of the wrong type, or there is no reference answer.
        """
        chat = self._value(row, "messages")
        if chat is not None and "output" not in self.columns:
            try:
                instruction, given, answer = read_chat(chat)
            except ChatProblem as error:
                raise RowProblem(str(error)) from error
            outputs: tuple[str, ...] = (answer,)
            if "instruction" in self.columns:
                fixed = self._text(row, "instruction")
                instruction, given = fixed, "\n\n".join(part for part in (instruction, given) if part)
        else:
            instruction, given = self._text(row, "instruction", required=True), self._text(row, "input")
            outputs = self._outputs(row)
        if not instruction.strip():
            raise RowProblem(
                "the instruction is empty; give one to all rows with `columns: {instruction: '=Your text'}`"
            )
        said = tuple(text for text in outputs if text.strip())
        if not said:
            raise RowProblem("the output is empty; a reference answer was expected")
        rest = (self._text(row, "split"), self._text(row, "task"), self._text(row, "source"))
        return Fields(instruction, given, said, *rest, blank=len(outputs) - len(said))

    def _value(self, row: Mapping[str, Any], name: str) -> Any:
        column = self.columns.get(name)
        if column is None:
            for usual in FIELDS[name]:
                value = row.get(usual)
                if value is not None:
                    return value
            return None
        if column.startswith("="):
            return column[1:] or None
        value = row
        # A column whose own name holds a dot wins over the nested reading.
        for part in (column,) if column in row else column.split("."):
            if not isinstance(value, Mapping) or part not in value:
                raise RowProblem(f"the column {column!r} is missing; {_listing(row)}")
            value = value[part]
        return value

    def _text(self, row: Mapping[str, Any], name: str, *, required: bool = False) -> str:
        value = self._value(row, name)
        if value is None:
            if required:
                raise RowProblem(self._missing(row, name))
            return ""
        return _as_text(value, name)

    def _outputs(self, row: Mapping[str, Any]) -> tuple[str, ...]:
        value = self._value(row, "output")
        if value is None:
            raise RowProblem(self._missing(row, "output"))
        if not isinstance(value, (list, tuple)):
            return (_as_text(value, "output"),)
        if not value:
            raise RowProblem("the list of outputs is empty; at least one reference answer was expected")
        return tuple(_as_text(reference, "output") for reference in value)

    def _missing(self, row: Mapping[str, Any], name: str) -> str:
        usual = (self.columns[name],) if name in self.columns else FIELDS[name]
        present = [column for column in usual if column in row]
        if present:
            return f"{present[0]!r} is null; text was expected"
        expected = " or ".join(repr(column) for column in usual)
        return (
            f"there is no column {expected}; {_listing(row)}. Expected instruction/input/output, messages, or "
            "conversations; other names go in `columns: {instruction: ..., output: ...}`"
        )


def _as_text(value: Any, name: str) -> str:
    """Text as it is, numbers and booleans as JSON shows them."""
    if isinstance(value, str):
        return value
    if isinstance(value, (bool, int)) or (isinstance(value, float) and math.isfinite(value)):
        return json.dumps(value)
    kind = "null" if value is None else str(value) if isinstance(value, float) else type(value).__name__
    raise RowProblem(f"the {name} is {kind}; text{', or a list of texts,' if name == 'output' else ''} was expected")


def _listing(row: Mapping[str, Any]) -> str:
    return f"there are: {listed(row)}" if row else "the row has no columns"
