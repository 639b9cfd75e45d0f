"""Makes texts with lone surrogates, which JSON escapes can contain, fit for tokenizers, servers and files."""

from __future__ import annotations

import re

__all__ = ["encodable"]

_SURROGATE = re.compile("[\ud800-\udfff]")


def encodable(text: str) -> str:
    """The same text with each lone surrogate replaced by U+FFFD; whatever encodes text refuses surrogates."""
    return _SURROGATE.sub("\N{REPLACEMENT CHARACTER}", text)
