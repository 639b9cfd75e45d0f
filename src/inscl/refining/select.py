"""Selective Reflection-Tuning: the model to be taught decides which refined rows are better for it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

from inscl.contract import Example
from inscl.contract.refined import Made, Refined
from inscl.contract.traits import RefinerTraits
from inscl.errors import ConfigError, Problem
from inscl.refining.difficulty import Student

__all__ = ["StudentSelect"]

_Version = Mapping[str, Any]


class StudentSelect:
    """Keep what is harder to follow and easier to guess (Selective Reflection-Tuning, Li et al., arXiv 2402.10110).

    For rows that `reflection` made, whose provenance says what they were before. A new instruction is kept where its
    IFD is higher than the old one's: the student learns more from it. A new answer to the same instruction is kept
    where its reversed IFD is lower: it fits its instruction better. Otherwise the row goes back to what it was, and
    what was built on a version that isn't kept goes too. Last, rows with an IFD or reversed IFD of `most` or more are
    left out: instruction and answer have nothing to do with each other.

    To select as the paper does, between the stages, apply four refiners in turn: ``reflection`` with ``response:
    false``, ``select``, ``reflection`` with ``instruction: false``, ``select``. After both stages at once, an answer
    was written for the new instruction alone, and goes with it.

    Args:
        student: The model that is to be taught: alias, folder or hub id.
        form: How it is asked: ``chat`` (its own template) or ``plain``.
        most: From which IFD or reversed IFD on a row is left out.
        drop_unchanged: Whether to leave out rows whose answer is not a new one, as the paper does.
        max_length: Most tokens of a row; longer prompts are shortened. A row whose instruction with its input, or whose
            answer, is longer by itself stays as it is, which is told.

    Raises:
        ConfigError: A value can't be used; all of them at once.
    """

    traits = RefinerTraits(version="1", reads_models=True)

    def __init__(
        self,
        student: str = "smollm2-135m",
        form: str = "chat",
        most: float = 1.0,
        drop_unchanged: bool = False,
        max_length: int = 1024,
    ) -> None:
        number = isinstance(most, (int, float)) and not isinstance(most, bool)
        length = isinstance(max_length, int) and not isinstance(max_length, bool)
        checks = (
            ("student", isinstance(student, str) and bool(student), "the name of a model was expected", student),
            ("form", form in ("chat", "plain"), "chat or plain was expected", form),
            ("most", number and most > 0, "a number above 0 was expected", most),
            ("drop_unchanged", isinstance(drop_unchanged, bool), "true or false was expected", drop_unchanged),
            ("max_length", length and max_length >= 16, "a whole number of 16 or more was expected", max_length),
        )
        problems = [Problem(key, f"{said}: {value!r}") for key, good, said, value in checks if not good]
        if problems:
            raise ConfigError(problems, "refiner select")
        self.most, self.drop_unchanged = most, drop_unchanged
        self._student = Student(student, form, max_length)

    @property
    def fingerprint(self) -> str:
        """The student's files, how it is asked, and what is left out."""
        return f"{self._student.fingerprint} {self.most} {self.drop_unchanged}"

    def refine(self, examples: Sequence[Example]) -> Iterator[Refined]:
        """Select the version of each row; see `inscl.contract.seams.Refiner`."""
        versions = [_versions(example) for example in examples]
        pairs = list(dict.fromkeys(_pair(one) for row in versions for one in row))
        ifd = dict(zip(pairs, self._student.ifd(pairs), strict=True))
        backwards = dict(zip(pairs, self._student.reversed_ifd(pairs), strict=True))
        for example, row in zip(examples, versions, strict=True):
            if not row:
                yield Refined.keep(example, "a conversation or a row with images isn't measured")
                continue
            if any(math.isnan(found[_pair(one)]) for one in row for found in (ifd, backwards)):
                said = (
                    f"its instruction or its answer alone has more tokens than max_length, {self._student.max_length}"
                )
                yield Refined.keep(example, said)
                continue
            number = _chosen(row, ifd, backwards)
            yield self._outcome(example, row, number, ifd[_pair(row[number])], backwards[_pair(row[number])])

    def _outcome(self, example: Example, row: Sequence[_Version], number: int, ifd: float, backwards: float) -> Refined:
        measured = {"ifd": round(ifd, 4), "reversed_ifd": round(backwards, 4)}
        for name, value in measured.items():
            if value >= self.most:
                return Refined.reject(
                    example, f"{name} is {value:.4f}, and {self.most:g} or more is left out", **measured
                )
        chosen = row[number]
        if self.drop_unchanged and chosen["output"] == row[0]["output"]:
            return Refined.reject(example, "its answer was not replaced by a better one", **measured)
        if number == len(row) - 1:
            return Refined.keep(example)
        outputs = tuple(chosen.get("outputs", (chosen["output"],)))
        back = replace(example, instruction=chosen["instruction"], input=chosen["input"], outputs=outputs)
        return Refined.replace(example, Made(back, how=f"back to version {number + 1} of {len(row)}", facts=measured))


def _versions(example: Example) -> list[_Version]:
    """What a row was, the oldest first, and what it is; nothing for what can't be measured."""
    if example.turns or example.images:
        return []
    before = example.provenance.get("before", ())
    now = {"instruction": example.instruction, "input": example.input, "output": example.output}
    return [*(one for one in before if {"instruction", "input", "output"} <= set(one)), now]


def _pair(version: _Version) -> tuple[str, str]:
    return Example(version["instruction"], version["input"], ("",)).prompt, version["output"]


def _chosen(
    row: Sequence[_Version], ifd: Mapping[tuple[str, str], float], backwards: Mapping[tuple[str, str], float]
) -> int:
    """The last version that each step up to it has earned."""
    for number, (old, new) in enumerate(pairwise(row)):
        before, after = _pair(old), _pair(new)
        better = ifd[after] > ifd[before] if before[0] != after[0] else backwards[after] < backwards[before]
        if not better:
            return number
    return len(row) - 1
