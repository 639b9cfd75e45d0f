"""Keys and passwords in a configuration: found before it is used, since a run keeps a copy of its configuration."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from inscl.data.quoting import excerpt
from inscl.errors import Problem

__all__ = ["secret_problems"]

_SECRET = frozenset(
    ("api_key", "apikey", "access_token", "auth_token", "authorization", "hub_token", "password", "secret")
) | {"push_to_hub_token"}
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def secret_problems(values: Mapping[Any, Any]) -> list[Problem]:
    """What in a configuration is a secret or holds one; the messages name the key and never the value."""
    return list(_found(values, ""))


def _found(value: Any, key: str) -> Iterator[Problem]:
    last = key.rpartition(".")[2].lower()
    if isinstance(value, Mapping):
        for name, inner in value.items():
            shown = excerpt(str(name))[1:-1]
            yield from _found(inner, f"{key}.{shown}" if key else shown)
    elif isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
        for inner in value:
            yield from _found(inner, key)
    elif last in _SECRET and value is not None:
        yield Problem(key, "a secret belongs in the environment: a run keeps a copy of its configuration")
    elif last == "api_key_env" and isinstance(value, str) and not _VARIABLE.fullmatch(value):
        yield Problem(key, "the name of an environment variable was expected, not the key itself")
    elif isinstance(value, str) and _tells(value, last):
        yield Problem(key, "an address must hold no name, password or query: a key belongs in the environment")


def _tells(text: str, key: str) -> bool:
    """Whether an address holds what could be a key."""
    if "://" not in text[:40]:
        return False
    try:
        parts = urlsplit(text)
    except ValueError:
        return key == "base_url"
    return "@" in parts.netloc or (key == "base_url" and bool(parts.query or parts.fragment))
