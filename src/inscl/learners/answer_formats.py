"""How the answers to several inputs are asked for in one prompt, and how they are read out of one reply.

OverPrompt (arXiv 2305.14973) asks for labels alone (``plain``) or for a JSON object, shown by a short example
(``json``). Its plain form has no numbers, so a missing label can't be told from the ones after it; here every line has
its number. Its code numbers the inputs from 0 and shows keys from 1, which loses an answer; here both begin at 1.

Nothing is guessed. What can't be read as the one answer to one input counts as missing.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

__all__ = ["FORMATS", "AnswerFormat"]

_NUMBERED = re.compile(r"\s*(\d+)[.):](?:\s+(.*))?", re.ASCII)
_OBJECT = re.compile(r'\{\s*"')
_SHOWN = ("first answer", "second answer")
"""The answers in the examples of the formats. Small models copy the example instead of answering."""


@dataclass(frozen=True)
class AnswerFormat:
    """A format of several answers.

    Attributes:
        request: What is asked for; the number of inputs goes where ``{n}`` stands.
        read: Reply -> number and answer of every entry, in the order written; an answer that isn't one is empty.
        shows_its_end: Whether a reply that was cut off can be told from a whole one by reading it.
    """

    request: str
    read: Callable[[str], Iterable[tuple[str, str]]]
    shows_its_end: bool

    def parse(self, reply: str, n: int, cut: bool = False) -> dict[int, str]:
        """The answers in a reply to `n` inputs: number, from 1 -> answer, without surrounding white space.

        Missing are those with no entry, several entries, an empty one, or one copied from the request. Entries above
        `n` and entries that are not numbered are ignored. A reply with an entry 0 counts the inputs from 0, so that
        every number in it is in doubt: it has no answers. The last entry of a reply that may have been `cut` off is
        missing too, unless the format shows that the reply is whole.
        """
        entries = list(self.read(reply))
        if cut and entries and not self.shows_its_end:
            entries[-1] = (entries[-1][0], "")
        times = Counter(number for number, _ in entries)
        if "0" in times:
            return {}
        texts = {number: text.strip() for number, text in entries if times[number] == 1}
        return {k: texts[str(k)] for k in range(1, n + 1) if texts.get(str(k), "") not in ("", *_SHOWN)}


def _read_lines(reply: str) -> list[tuple[str, str]]:
    """Entries ``1. answer``, one a line; a line without a number spoils the entry before it, which may go on there."""
    entries: list[tuple[str, str]] = []
    for line in reply.splitlines():
        if found := _NUMBERED.fullmatch(line):
            entries.append((found[1].lstrip("0") or "0", found[2] or ""))
        elif entries and line.strip():
            entries[-1] = (entries[-1][0], "")
    return entries


def _read_object(reply: str) -> list[tuple[str, str]]:
    """Entries of the first JSON object in a reply; there may be other text around it."""
    # Numbers stay as they are written. A plain list of pairs keeps keys that are repeated.
    decoder = json.JSONDecoder(
        object_pairs_hook=lambda pairs: pairs, parse_int=str, parse_float=str, parse_constant=str, strict=False
    )
    begin = _OBJECT.search(reply)
    try:
        pairs, _ = decoder.raw_decode(reply, begin.start()) if begin else ([], 0)
    except (ValueError, RecursionError):
        return []  # an object that is cut off, among others; one inside it would be the answer to one input
    return [(key, _text(value)) for key, value in pairs]


def _text(value: Any) -> str:
    """A JSON value as the text of an answer; lists, objects and null are none."""
    if isinstance(value, bool):
        return json.dumps(value)
    return value if isinstance(value, str) else ""


FORMATS: Mapping[str, AnswerFormat] = MappingProxyType(
    {
        "plain": AnswerFormat(
            "Answer each of the {n} inputs on a line of its own, after its number, as in\n"
            f"1. {_SHOWN[0]}\n2. {_SHOWN[1]}",
            _read_lines,
            shows_its_end=False,
        ),
        "json": AnswerFormat(
            "Answer each of the {n} inputs. Write one JSON object that has the numbers of the inputs as keys, as in\n"
            f'{{{{"1": "{_SHOWN[0]}", "2": "{_SHOWN[1]}"}}}}',
            _read_object,
            shows_its_end=True,
        ),
    }
)
"""The formats by name."""
