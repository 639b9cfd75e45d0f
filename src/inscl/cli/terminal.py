"""Text on a terminal: foreign control characters are shown, never executed."""

from __future__ import annotations

import json
import unicodedata
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

__all__ = ["cell", "console", "plain", "print_json"]

_HARMLESS = "\u200c\u200d\xad"  # Persian and emoji need the joiners; a soft hyphen hides nothing


def plain(text: str) -> str:
    r"""`text` with what a terminal obeys or hides written out, as in ``\x1b``; line breaks and tabs stay.

    That is: control characters, marks that change the direction of text, line and paragraph separators, lone
    surrogates, and characters without a shape, among them tags, in which a whole text can be hidden.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        character if character in "\n\t" or not _obeyed(character) else f"\\x{ord(character):02x}" for character in text
    )


def _obeyed(character: str) -> bool:
    return unicodedata.category(character) in ("Cc", "Cs", "Cf", "Zl", "Zp") and character not in _HARMLESS


def console() -> Console:
    """Where tables go; a pipe has no width of its own, so nothing is folded or cut there."""
    from rich.console import Console

    made = Console()
    return made if made.is_terminal else Console(width=200)


def cell(text: object) -> Text:
    """A table's cell that shows `text` as it is, whatever rich's markup would make of it."""
    from rich.text import Text

    return Text(plain(str(text)))


def print_json(value: Any) -> None:
    """One JSON value on standard output, for programs; ASCII alone, so that a terminal obeys nothing in it."""
    import typer

    typer.echo(json.dumps(value, indent=1))
