"""What test splits say, so that nothing that a refiner makes gives it away."""

from __future__ import annotations

from collections.abc import Iterable

from inscl.contract import Example
from inscl.data.contents import content_of

__all__ = ["LeakCheck"]

_SHORTEST = 40
"""Characters from which on an input says so much that another text doesn't hold it by chance."""


class LeakCheck:
    """Knows the test examples of a stream and finds what gives one away.

    Args:
        examples: All of them, of all tasks.
    """

    def __init__(self, examples: Iterable[Example]) -> None:
        self._contents: set[str] = set()
        self._inputs: dict[str, None] = {}
        for example in examples:
            self._contents.add(content_of(example))
            text = _plain(example.input or example.instruction)
            # What is asked about a picture says little without it.
            if (example.input or not example.turns) and not example.images:
                self._inputs |= {text: None} if len(text) >= _SHORTEST else {}

    def reason(self, made: Example, original: Example) -> str:
        """Why an example that a refiner made would give a test example away; empty if it doesn't.

        It does if it says the same as a test example, or holds the whole input of one (of one without an input, the
        instruction) and what it was made from doesn't. Inputs of fewer than 40 characters count only where the whole
        example is the same; letter case and the length of white space don't count.
        """
        if content_of(made) in self._contents:
            return "what the refiner made says the same as a test example"
        now, before = _said(made), _said(original)
        if any(text in now and text not in before for text in self._inputs):
            return "what the refiner made holds the input of a test example"
        return ""


def _said(example: Example) -> str:
    turns = (turn.content for turn in example.turns)
    return "\0".join(map(_plain, (example.instruction, example.input, *example.outputs, *turns)))


def _plain(text: str) -> str:
    return " ".join(text.split()).casefold()
