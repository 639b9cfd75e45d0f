"""What language models write for rows: read between marker lines, and checked against the rows."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import pairwise

from inscl.contract import Example

__all__ = [
    "answers_itself",
    "badly_written",
    "gone_astray",
    "left_alone",
    "listed",
    "one_section",
    "plain",
    "sections",
]

_LEAST_LETTERS = 20  # from which on a text's script says something
_ITEM = re.compile(r"\s*(?:[-*•–]|\d+[.)])\s+")
_KANA = ("HIRAGANA", "KATAKANA")
_ECHOED = 8  # words in a row that a text shares with its question by no chance
# Words in a row; how many such rows tell something; which share of them differs; how often one comes, at least.
_GRAM, _FEWEST_GRAMS, _DISTINCT, _TIMES = 4, 12, 0.7, 3


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


def badly_written(
    new: str, *old: str, beside: Sequence[str] = (), question: str = "", least: int = _LEAST_LETTERS
) -> str:
    """Why a text can't be used, as far as a program sees that; empty if it sees nothing.

    It is in another script than all that it was made from, it gives back words of the question, or it goes round in
    circles. What the old texts do themselves is no fault: their own words, and their own repetitions, stay allowed.

    Args:
        new: What the model wrote.
        *old: What it was made from; any of their scripts will do.
        beside: Other texts whose words may come again, whatever their script.
        question: The template of the question.
        least: As for `gone_astray`.
    """
    if astray := gone_astray(new, *old, least=least):
        return astray
    own = (*old, *beside)
    known = {gram for text in own for gram in _grams(text, _ECHOED)}
    if (_grams(new, _ECHOED).keys() & _grams(question, _ECHOED).keys()) - known:
        return "the model gave back words of the question"
    return "the model repeats itself" if _circles(new) and not any(map(_circles, own)) else ""


def answers_itself(answer: str, instruction: str, before: Example | None = None) -> str:
    """What is wrong with an answer that is its instruction; empty of others, and where the row was so before."""
    if plain(answer) != plain(instruction) or (before and plain(before.output) == plain(before.instruction)):
        return ""
    return "the answer says the same as the instruction"


def plain(text: str) -> str:
    """A text whose white space and letter case don't count."""
    return " ".join(text.split()).casefold()


def _circles(text: str) -> bool:
    """Whether the same few words come again and again; said twice is not yet that."""
    found = _grams(text, _GRAM)
    total = sum(found.values())
    return total >= _FEWEST_GRAMS and len(found) < _DISTINCT * total and max(found.values()) >= _TIMES


def _grams(text: str, length: int) -> Counter[tuple[str, ...]]:
    """So many words in a row, as often as they stand there."""
    words = re.findall(r"\w+", text.casefold())
    return Counter(zip(*(words[k:] for k in range(length)), strict=False))


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
