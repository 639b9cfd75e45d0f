"""Class labels of the `datasets` library: numbers in the table, whose names stand in its description."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["classes_in", "features_of_metadata", "named"]


def features_of_metadata(metadata: Mapping[bytes, bytes] | None) -> Mapping[str, Any]:
    """The columns' descriptions that `datasets` writes into the schema of an Arrow or Parquet file; else nothing."""
    try:
        features = json.loads((metadata or {}).get(b"huggingface", b"{}"))["info"]["features"]
    except (ValueError, KeyError, TypeError):
        return {}
    return features if isinstance(features, dict) else {}


def classes_in(features: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """Path of a column of class labels -> the names of its classes, by number.

    A path has dots, as in ``answers.label``; a list of labels has the path of its column.
    """
    return {".".join(path): names for name, feature in features.items() for path, names in _found((name,), feature)}


def named(values: Mapping[str, Any], classes: Mapping[str, tuple[str, ...]]) -> dict[str, Any]:
    """A row with the names of its labels in place of their numbers; None for -1, which stands for no label."""
    row = values if not classes and isinstance(values, dict) else dict(values)
    for path, names in classes.items():
        _replace(row, path.split("."), names)
    return row


def _found(path: tuple[str, ...], feature: Any) -> Iterator[tuple[tuple[str, ...], tuple[str, ...]]]:
    if isinstance(feature, list):  # how older versions write a list
        for inner in feature:
            yield from _found(path, inner)
    elif isinstance(feature, Mapping):
        names = feature.get("names")
        if feature.get("_type") == "ClassLabel" and isinstance(names, (list, tuple)):
            yield path, tuple(map(str, names))
        elif isinstance(feature.get("_type"), str):
            yield from _found(path, feature.get("feature"))
        else:
            for name, inner in feature.items():
                yield from _found((*path, name), inner)


def _replace(row: dict[str, Any], path: list[str], names: tuple[str, ...]) -> None:
    name, *rest = path
    if name not in row:
        return
    if not rest:
        row[name] = _name(row[name], names)
    elif isinstance(row[name], dict):
        row[name] = dict(row[name])
        _replace(row[name], rest, names)
    elif isinstance(row[name], list):
        row[name] = [dict(item) if isinstance(item, dict) else item for item in row[name]]
        for item in row[name]:
            if isinstance(item, dict):
                _replace(item, rest, names)


def _name(value: Any, names: tuple[str, ...]) -> Any:
    if isinstance(value, (list, tuple)):
        return [_name(part, names) for part in value]
    if isinstance(value, bool) or not isinstance(value, int):
        return value
    return names[value] if 0 <= value < len(names) else None
