"""Showing a piece of someone's data in a message: short, on one line, and unable to disturb a terminal."""

from __future__ import annotations

import re

__all__ = ["excerpt", "plain", "visible"]

# C0 and C1 controls but tab and newline; bidirectional marks, embeddings, overrides and isolates; line separators;
# byte order mark; lone surrogates, which UTF-8 can't hold; tag characters, which are never drawn.
_HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb\ud800-\udfff"
    "\U000e0000-\U000e007f]"
)


def excerpt(text: str, length: int = 70) -> str:
    """`text` in quotes, white space collapsed, unprintable and bidirectional characters shown as U+FFFD."""
    # Far more than is shown, and far less than the 10 MB that a field may hold.
    line = " ".join(text[: 20 * length].split())
    line = line if len(line) <= length and len(text) <= 20 * length else line[: length - 1] + "…"
    return "'" + "".join(character if character.isprintable() else "\ufffd" for character in line) + "'"


def visible(text: str) -> str:
    """`text` with control characters spelled out: ``⟨U+202E⟩`` for one that would turn the line around."""
    return _HIDDEN.sub(_drawn, text.replace("\r\n", "\n"))


def _drawn(match: re.Match[str]) -> str:
    return f"⟨U+{ord(match.group()):04X}⟩"


def plain(text: str, limit: int = 80) -> str:
    """One line of at most about `limit` characters, for titles and labels."""
    line = re.sub(r"[ \t\n]+", " ", visible(text[: limit * 4])).strip()
    return line if len(line) <= limit and len(text) <= limit * 4 else f"{line[: limit - 1]}…"
