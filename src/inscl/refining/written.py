"""What language models write for rows: read between marker lines, and checked against the rows."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import pairwise

from inscl.contract import Example

__all__ = ["gone_astray", "left_alone", "listed", "one_section", "sections"]

_LEAST_LETTERS = 20  # from which on a text's script says something
_ITEM = re.compile(r"\s*(?:[-*•–]|\d+[.)])\s+")
_KANA = ("HIRAGANA", "KATAKANA")


def sections(answer: str, names: Sequence[str], nonce: str) -> list[str]:
    """The texts between marker lines such as ``[[answer 1a2b3c4d]]``, each by itself, once and in this order.

    Args:
        answer: What the model said; what stands before the first marker and after the last one is left aside.
        names: Of the markers; the last one only ends the text of the one before it.
        nonce: The word of the row that each marker carries.

    Returns:
        One text for each name but the last, without white space around it.

    Raises:
        ValueError: A marker is missing or repeated, the order is another, a text is empty, or it holds the nonce.
    """
    markers = [f"[[{name} {nonce}]]" for name in names]
    lines = _lines(answer)
    places = [[k for k, line in enumerate(lines) if line.strip() == marker] for marker in markers]
    for marker, found in zip(markers, places, strict=True):
        if len(found) != 1:
            raise ValueError(f"the line {marker} must stand there once, and stands there {len(found)} times")
    order = [found[0] for found in places]
    if order != sorted(order):
        raise ValueError(f"the lines must stand in the order {', '.join(markers)}")
    texts = ["\n".join(lines[a + 1 : b]).strip() for a, b in pairwise(order)]
    for marker, text in zip(markers, texts, strict=False):
        if not text:
            raise ValueError(f"nothing stands after the line {marker}")
        if re.search(rf"\b{nonce}\b", text):
            raise ValueError("the new text must not contain the code of the lines")
    return texts


def one_section(name: str) -> Callable[[str, str], str]:
    """A `parse` for questions that ask for one text: the section of that name, between its marker and the end."""

    def parse(answer: str, nonce: str) -> str:
        (found,) = sections(answer, (name, "end"), nonce)
        return found

    return parse


def listed(text: str) -> list[str]:
    """The items of a list with one item a line, without hyphens or numbers before them; each distinct one once."""
    items = (_ITEM.sub("", line, count=1).strip() for line in _lines(text))
    return list(dict.fromkeys(item for item in items if item))


def left_alone(example: Example, doing: str, closed: bool = True) -> str:
    """Why a row isn't given to a language model; empty if it is.

    Args:
        example: The row.
        doing: What would be done with it, as in ``reflected on``.
        closed: Whether a row with closed answers is left alone too.
    """
    if example.turns or example.images:
        return f"a conversation or a row with images isn't {doing}"
    return f"a row with closed answers isn't {doing}" if closed and example.options else ""


def gone_astray(new: str, *old: str, least: int = _LEAST_LETTERS) -> str:
    """What is wrong with a text in another script than all that it was made from; empty if its script is one of theirs.

    Chinese characters and kana count as one script, and full-width letters as what they are. Two languages of one
    script aren't told apart.

    Args:
        new: What the model wrote; of fewer than 20 letters, nothing is said.
        *old: Texts any of whose scripts will do.
        least: Of one with fewer letters nothing is known, so that any script will do.
    """
    found, known = _script(new, _LEAST_LETTERS), [_script(text, least) for text in old if text.strip()]
    if not found or "" in known or not known or found in known:
        return ""
    told = " or ".join(dict.fromkeys(one.title() for one in known))
    return f"the model wrote in another script ({found.title()} instead of {told})"


def _script(text: str, least: int) -> str:
    """The script of most letters, as Unicode names it; empty for texts of few letters."""
    letters = [character for character in unicodedata.normalize("NFKC", text) if character.isalpha()]
    if len(letters) < least or not letters:
        return ""
    names = (unicodedata.name(one, "UNKNOWN").split()[0] for one in letters)
    return Counter("CJK" if name.startswith(_KANA) else name for name in names).most_common(1)[0][0]


def _lines(text: str) -> list[str]:
    # Not splitlines(): that also splits at separators within a line, such as U+2028, and would change them.
    return text.replace("\r\n", "\n").split("\n")
