"""The columns of one row: found by their usual names or by a mapping, with a record of which were used."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from contextlib import suppress
from functools import lru_cache
from typing import Any

from inscl.data.readers.json_values import parse, plain_value
from inscl.data.readers.rows import listed
from inscl.errors import nearest

__all__ = ["FIELDS", "Columns", "RowProblem", "as_text", "decoded", "normal", "texts_of"]

# Field -> the columns in which it is looked for when no mapping names one; the first that holds a value counts.
FIELDS: dict[str, tuple[str, ...]] = {
    "instruction": ("instruction",),
    "input": ("input", "context"),
    "output": ("outputs", "output", "response"),
    "messages": ("messages", "conversations"),
    "system": ("system",),
    "history": ("history",),
    "reasoning": ("reasoning_content", "reasoning", "thinking"),
    "images": ("images", "image"),
    "options": ("options",),
    "split": ("split",),
    "task": ("task",),
    "source": ("source_task", "source"),
}


class RowProblem(ValueError):
    """A row that can't become an example; the message says why, the caller knows the file and the line."""


class Columns:
    """One row's columns.

    Names are compared without case, surrounding space and byte order mark; one that is spelled exactly wins.

    Args:
        row: Column -> value.
        mapping: Field (a key of `FIELDS`) -> where it is found; see `inscl.data.layouts.Layout`.
        classes: Column, or dotted path inside one -> the names of its classes, where its format says them.
    """

    def __init__(
        self,
        row: Mapping[str, Any],
        mapping: Mapping[str, str],
        classes: Mapping[str, tuple[str, ...]] | None = None,
    ) -> None:
        self.row, self.mapping, self.classes = row, mapping, classes or {}
        self._names = _names_of(tuple(row))
        self._used: set[tuple[str, ...]] = set()
        mapped = (self._path(column)[:1] for column in mapping.values() if not column.startswith("="))
        self._mapped = {name for path in mapped for name in path}

    def has(self, *names: str) -> bool:
        """Whether the row has a value under each of these names; looking doesn't use them."""
        return all(self.row.get(self.name(name)) is not None for name in names)

    def name(self, wanted: str) -> str:
        """The column that is meant by a name; the name itself where there is none.

        Raises:
            RowProblem: Two columns differ by case or spaces alone, and neither is spelled exactly so.
        """
        if wanted in self.row:
            return wanted
        found = self._names.get(normal(wanted), ())
        if len(found) > 1:
            raise RowProblem(f"the columns {listed(found)} differ by case or spaces alone; rename one of them")
        return found[0] if found else wanted

    def take(self, name: str) -> Any:
        """The value of a column, which is thereby used; None where there is none."""
        column = self.name(name)
        value = self.row.get(column)
        if value is not None:
            self._used.add((column,))
        return value

    def value(self, field: str) -> Any:
        """The value of a field; None where the row has none.

        Raises:
            RowProblem: The column that the mapping names is missing.
        """
        column = self.mapping.get(field)
        if column is None:
            for name in _usual_columns(tuple(self.row))[field]:
                actual = self.name(name)
                if actual not in self._mapped and (value := self.row[actual]) is not None:
                    self._used.add((actual,))
                    return value
            return None
        return (column[1:] or None) if column.startswith("=") else self.at(column)

    def where(self, field: str) -> str:
        """The column that holds a field, for messages."""
        return self.mapping.get(field) or next((self.name(name) for name in FIELDS[field] if self.has(name)), field)

    def at(self, column: str) -> Any:
        """The value of a column, or inside one, as in ``answers.text``.

        Raises:
            RowProblem: There is no such column.
        """
        value: Any = self.row
        path = self._path(column)
        for part in path:
            if not isinstance(value, Mapping) or part not in value:
                raise RowProblem(f"the column {column!r} is missing; {self.listing()}{nearest(column, list(self.row))}")
            value = value[part]
        self._used.add(path)
        return value

    def kept(self, columns: Iterable[str]) -> dict[str, Any]:
        """The values of those of the columns that the row has, as JSON can hold them."""
        values = {}
        for column in columns:
            with suppress(RowProblem):
                values[column] = plain_value(self.at(column))
        return values

    def text(self, field: str) -> str:
        """A field as text; empty where the row has none."""
        value = self.value(field)
        return "" if value is None else as_text(value, field)

    def class_names(self, field: str) -> tuple[str, ...]:
        """The names of a field's classes, where its column has any; else nothing."""
        column = self.mapping.get(field, "=")
        if not self.classes:
            return ()
        candidates = [column] if field in self.mapping else FIELDS[field]
        paths = (self._path(name) for name in candidates if not name.startswith("="))
        return next((self.classes[".".join(path)] for path in paths if ".".join(path) in self.classes), ())

    def unused(self) -> list[str]:
        """Columns with a value that nothing has looked at; of one that is used in part, the parts."""
        left = []
        for name, value in self.row.items():
            if _is_empty(value) or (name,) in self._used:
                continue
            parts = {path[1] for path in self._used if path[0] == name}
            if parts and isinstance(value, Mapping):
                left += [f"{name}.{part}" for part in value if part not in parts and not _is_empty(value[part])]
            elif not parts:
                left.append(name)
        return left

    def listing(self) -> str:
        """Which columns there are, for a message."""
        return f"there are: {listed(self.row)}" if self.row else "the row has no columns"

    def _path(self, column: str) -> tuple[str, ...]:
        """Where a column is; a column whose own name holds a dot wins over the nested reading."""
        name = self.name(column)
        if name in self.row or "." not in column:
            return (name,)
        first, *rest = column.split(".")
        return (self.name(first), *rest)


@lru_cache(maxsize=4096)
def normal(name: str) -> str:
    """A name as it is compared."""
    return name.strip("\ufeff \t\r\n\xa0").casefold()


@lru_cache(maxsize=256)
def _names_of(names: tuple[str, ...]) -> Mapping[str, tuple[str, ...]]:
    """Names as they are compared -> as they stand."""
    found: dict[str, tuple[str, ...]] = {}
    for name in names:
        found[normal(name)] = (*found.get(normal(name), ()), name)
    return found


@lru_cache(maxsize=256)
def _usual_columns(names: tuple[str, ...]) -> Mapping[str, tuple[str, ...]]:
    """Field -> those of its usual names that a row with these columns has."""
    there = _names_of(names)
    return {field: tuple(name for name in usual if name in there) for field, usual in FIELDS.items()}


def as_text(value: Any, name: str) -> str:
    """Text as it is, numbers and booleans as JSON shows them.

    Raises:
        RowProblem: It is none of these.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, (bool, int)) or (isinstance(value, float) and math.isfinite(value)):
        return json.dumps(value)
    kind = "null" if value is None else str(value) if isinstance(value, float) else type(value).__name__
    raise RowProblem(f"the {name} is {kind}; text{', or a list of texts,' if name == 'output' else ''} was expected")


def decoded(value: Any) -> Any:
    """The list that a text spells as JSON, since tables hold lists as texts; anything else as it is."""
    if isinstance(value, str) and value.lstrip().startswith(("[", "{")):
        try:
            return parse(value)
        except ValueError:
            return value
    return value


def _is_empty(value: Any) -> bool:
    return value is None or (isinstance(value, (str, list, tuple, dict)) and not value)


def texts_of(values: Iterable[Any], name: str) -> tuple[str, ...]:
    """`as_text` of each."""
    return tuple(as_text(value, name) for value in values)
