"""The train rows before and after a refinement, in numbers: lengths, wordings, tags, near-duplicates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from inscl.contract import Example
from inscl.refining.deduplicate import Deduplicate

__all__ = ["Compared", "compared"]

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
    """

    rows: int
    instructions: int
    tags: int
    prompt_words: float
    answer_words: float
    near_duplicates: int | None


def compared(tasks: Mapping[str, Sequence[Example]]) -> Compared:
    """Numbers about the rows of all tasks together; near-duplicates are counted within a task.

    Args:
        tasks: The train rows of each.
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
    )
