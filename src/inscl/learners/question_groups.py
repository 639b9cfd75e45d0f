"""Which questions share a prompt, and what that prompt says (OverPrompt, arXiv 2305.14973)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from inscl.contract import Question
from inscl.storage.files.integrity import content_digest

__all__ = ["GROUPINGS", "Groups", "grouped", "joined"]

GROUPINGS = ("same", "mixed")

Places = list[int]


class Groups(NamedTuple):
    """Which questions share prompts.

    Attributes:
        together: Groups of two questions or more: places in the questions, from 0.
        unfitting: Questions that are in no group because no prompt has room for them beside another.
    """

    together: list[Places]
    unfitting: Places


def grouped(questions: Sequence[Question], n: int, grouping: str, fits: Callable[[Sequence[Question]], bool]) -> Groups:
    """Groups of two to `n` questions that share a prompt; the questions in none of them are asked singly.

    Questions are taken in the order of a digest of their content, so that the groups depend on which questions are
    asked, but not on their order. (OverPrompt reports that the order within a prompt changes nothing.)

    Args:
        questions: m questions. Those with turns or images are in no group; with ``same``, those without an input.
        n: Most questions of a group.
        grouping: ``same``: all questions of a group have one instruction and one task. ``mixed``: any questions.
        fits: Whether one prompt has room for some questions and their answers. A group that doesn't fit is halved
            until its parts do.
    """
    alike: dict[tuple[str, ...], Places] = {}
    for place in sorted(range(len(questions)), key=lambda k: _digest(questions[k])):
        question = questions[place]
        if question.turns or question.images or (grouping == "same" and not question.input):
            continue
        key = (question.task, question.instruction) if grouping == "same" else ()
        alike.setdefault(key, []).append(place)
    full = [places[k : k + n] for places in alike.values() for k in range(0, len(places), n)]
    parts = [part for places in full for part in _halved(places, lambda part: fits([questions[k] for k in part]))]
    shared = {place for part in parts for place in part}
    unfitting = [place for places in full if len(places) > 1 for place in places if place not in shared]
    return Groups(parts, unfitting)


def joined(questions: Sequence[Question], request: str) -> Question:
    """One question in place of several: the instruction once, the numbered inputs, the label set, and the request.

    Where the instructions differ, each numbered input begins with its own.

    Args:
        questions: At least one, none with turns or images.
        request: How the answers are to be written.
    """
    instructions, options = {one.instruction for one in questions}, {one.options for one in questions}
    shared = len(instructions) == 1
    inputs = [one.input if shared else one.prompt for one in questions]
    texts = [f"Input {number}: {text}" for number, text in enumerate(inputs, start=1)]
    if len(options) == 1 and any(options):
        texts.append(f"Possible answers: {', '.join(options.pop())}")
    tasks = {one.task for one in questions}
    return Question(
        instructions.pop() if shared else "Each of the following inputs has its own instruction.",
        "\n\n".join([*texts, request]),
        task=tasks.pop() if len(tasks) == 1 else "",
    )


def _digest(question: Question) -> str:
    return content_digest([question.task, question.instruction, question.input, question.options])


def _halved(places: Places, fits: Callable[[Places], bool]) -> Iterable[Places]:
    """The parts of a group that fit, without those of one question."""
    if len(places) < 2:
        return []
    if fits(places):
        return [places]
    middle = (len(places) + 1) // 2
    return [part for half in (places[:middle], places[middle:]) for part in _halved(half, fits)]
