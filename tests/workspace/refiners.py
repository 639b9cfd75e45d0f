"""Refiners whose children share no word with their parents."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from inscl.contract import Example
from inscl.contract.refined import Made, Refined

__all__ = ["Joined", "Said"]


class Said:
    """Replaces an example by one that shares no word with it, but for its number."""

    def __init__(self, words: str = "other words") -> None:
        self.words = words

    def refine(self, examples: Sequence[Example]) -> Iterator[Refined]:
        for example in examples:
            number = "".join(filter(str.isdigit, example.input))
            made = Example(f"{self.words} all", f"{self.words} {number}", (f"{self.words} {number}.",))
            yield Refined.replace(example, Made(made, "said in other words"))


class Joined:
    """Adds one that is made of each example and the next."""

    def refine(self, examples: Sequence[Example]) -> Iterator[Refined]:
        for number, example in enumerate(examples):
            other = examples[(number + 1) % len(examples)]
            text = "both " + "".join(filter(str.isdigit, f"{example.id}{other.id}"))
            yield Refined.add(example, Made(Example("Join.", text, (text,)), "joined", (other.id,)))
