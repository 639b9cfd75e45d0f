"""JSON as data files hold it: strict about NaN, lenient about nothing."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from inscl.data.quoting import excerpt

__all__ = ["parse", "plain_value"]

_MOST_BYTES = 1000
DEEPEST = 100  # lists and objects within each other; what is deeper could not be written out again


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is not a JSON value")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        counts = Counter(name for name, _ in pairs)
        raise ValueError(f"the key {excerpt(counts.most_common(1)[0][0])} stands twice in an object")
    return values


def parse(text: str, finite: bool = True) -> Any:
    """Parse one JSON value.

    Args:
        text: The JSON.
        finite: Refuse NaN and infinities, which JSON doesn't have but some programs write.

    Raises:
        ValueError: With a message for a person; a `json.JSONDecodeError` where the place in the text is known.
    """
    try:
        value = json.loads(text, parse_constant=_refuse if finite else float, object_pairs_hook=_once)
    except RecursionError as error:
        raise ValueError("lists or objects are nested too deeply") from error
    # Counting brackets is quick, and nearly every row has fewer.
    if text.count("[") + text.count("{") > DEEPEST and _is_deep(value):
        raise ValueError("lists or objects are nested too deeply")
    return value


def _is_deep(value: Any) -> bool:
    level = [value] if isinstance(value, (dict, list)) else []
    for _ in range(DEEPEST):
        inside = [part for outer in level for part in (outer.values() if isinstance(outer, dict) else outer)]
        level = [part for part in inside if isinstance(part, (dict, list))]
    return bool(level)


def plain_value(value: Any) -> Any:
    """A value as JSON can hold it: Parquet has dates, bytes and NaN too, which become text."""
    return json.loads(json.dumps(value, default=_text), parse_constant=str)


def _text(value: Any) -> str:
    """Bytes of pictures say nothing to a person, and would fill files."""
    many = isinstance(value, (bytes, bytearray)) and len(value) > _MOST_BYTES
    return f"({len(value):,} bytes)" if many else str(value)
