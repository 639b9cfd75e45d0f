"""The train rows before and after a refinement, in numbers: lengths, wordings, tags, near-duplicates."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from inscl.contract import Example
from inscl.refining.deduplicate import Deduplicate

__all__ = ["Compared", "compared"]

_MEASURED = 200  # rows whose IFD is measured
_MOST = 5_000  # rows of a task whose near-duplicates are counted


@dataclass(frozen=True)
class Compared:
    """One line of numbers about train rows.

    Attributes:
        rows: How many there are.
        instructions: Distinct ones.
        tags: Distinct intentions of the instructions, by the keyphrase tagger.
        prompt_words: Mean words of an instruction with its input.
        answer_words: Mean words of a first answer.
        near_duplicates: Rows that `deduplicate` would leave out by itself; None for large tasks.
        ifd: Mean IFD, of an even sample of at most 200 rows; None where no student was given.
    """

    rows: int
    instructions: int
    tags: int
    prompt_words: float
    answer_words: float
    near_duplicates: int | None
    ifd: float | None = None


def compared(
    tasks: Mapping[str, Sequence[Example]],
    ifd: Callable[[Sequence[tuple[str, str]]], Sequence[float]] | None = None,
) -> Compared:
    """Numbers about the rows of all tasks together; near-duplicates are counted within a task.

    Args:
        tasks: The train rows of each.
        ifd: The IFD of each (prompt, answer), as `inscl.refining.difficulty.Student` has it; None leaves it out.
    """
    from inscl.tagging.keyphrases import KeyphraseTagger

    rows = [example for examples in tasks.values() for example in examples]
    instructions = list(dict.fromkeys(example.instruction for example in rows))
    tags = {tag for found in KeyphraseTagger()(instructions) for tag in found}
    twins: int | None = None
    if all(len(examples) <= _MOST for examples in tasks.values()):
        twins = sum(outcome.outcome == "rejected" for part in tasks.values() for outcome in Deduplicate().refine(part))
    return Compared(
        len(rows),
        len(instructions),
        len(tags),
        fmean([len(example.prompt.split()) for example in rows] or [0]),
        fmean([len(example.output.split()) for example in rows] or [0]),
        twins,
        _mean_ifd(rows, ifd) if ifd is not None else None,
    )


def _mean_ifd(rows: Sequence[Example], ifd: Callable[[Sequence[tuple[str, str]]], Sequence[float]]) -> float | None:
    # What is asked in several turns or about a picture isn't measured by its texts alone.
    fit = [example for example in rows if not example.turns and not example.images]
    step = -(-len(fit) // _MEASURED) or 1
    found = ifd([(example.prompt, example.output) for example in fit[::step]])
    measured = [one for one in found if not math.isnan(one)]  # not those whose answer is longer than may be
    return fmean(measured) if measured else None
