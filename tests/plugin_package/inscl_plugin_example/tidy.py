"""A refiner: white space is tidied up, and examples that are too long are left out."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from inscl.contract import Example
from inscl.contract.refined import Made, Refined
from inscl.contract.traits import RefinerTraits
from inscl.errors import ConfigError, Problem


class Tidy:
    """Collapse white space in inputs, and reject examples whose input is too long.

    Args:
        longest: Most characters of an input, at least 1.
    """

    traits = RefinerTraits(version="1", row_by_row=True)

    def __init__(self, longest: int = 2000) -> None:
        if longest < 1:
            raise ConfigError([Problem("longest", f"at least 1 was expected: {longest}")], "refiner tidy")
        self.longest = longest

    def refine(self, examples: Sequence[Example]) -> Iterator[Refined]:
        for example in examples:
            text = " ".join(example.input.split())
            if len(text) > self.longest:
                yield Refined.reject(example, f"the input has {len(text)} characters", characters=len(text))
            elif text != example.input and not example.turns:
                made = Made(replace(example, input=text), how="white space collapsed")
                yield Refined.replace(example, made)
            else:
                yield Refined.keep(example)
