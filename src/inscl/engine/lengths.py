"""Whether every answer fits the learner's length, found before anything is trained."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

from inscl.config import kinds, wrapping
from inscl.contract import Example, Stream
from inscl.contract.encodable import encodable
from inscl.contract.example import Turn
from inscl.contract.seams import Counting
from inscl.contract.traits import LearnerTraits, traits_of
from inscl.engine.parts import Parts
from inscl.errors import DataError
from inscl.evaluation.evaluate import needs_of
from inscl.evaluation.rows import positions

__all__ = ["check_lengths"]

_TEMPLATE = 512
"""Bytes: texts that are shorter than `max_length` by as many aren't tokenised, so that most runs load no tokenizer."""


def check_lengths(parts: Parts, stream: Stream) -> None:
    """Refuse answers that don't fit `training.max_length`, since a late task would stop a run that took hours.

    Looked at are the train answers and, where likelihoods or choices are measured, the first references or options of
    the test examples that are asked. A learner that changes no weights leaves out what doesn't fit.

    Args:
        parts: The learner and the metrics. A learner without a `max_length`, or one that doesn't count tokens, is
            asked nothing.
        stream: The tasks.

    Raises:
        DataError: An answer and the model's template have `training.max_length` tokens or more.
    """
    training, traits = parts.config.training, traits_of(parts.taught, LearnerTraits)
    taught = kinds.load("learners", wrapping.unwrapped(training.learner, training.params))
    if not (traits.trains and traits.counts_tokens and kinds.accepts(taught, "max_length")):
        return
    most = training.max_length
    for example, text in _answers(parts, stream):
        if len(encodable(text).encode()) + _TEMPLATE < most:
            continue
        # What stays of a conversation that is shortened: a system's turns and the user's last, without their texts.
        kept = tuple(Turn("system", "") for turn in example.turns if turn.role == "system")
        turns = (*kept, Turn("user", "")) if kept else ()
        taken = cast(Counting, parts.taught).count_tokens(Example("", "", (text,), turns=turns))
        if taken >= most:
            where = f"{example.id} ({example.source or example.task}, {text[:40]!r}...)"
            raise DataError(
                f"the answer of example {where} and the model's template have {taken} tokens, too many for max_length "
                f"{most}; raise training.max_length or shorten it"
            )


def _answers(parts: Parts, stream: Stream) -> Iterator[tuple[Example, str]]:
    """Every answer that is learned, or whose likelihood is asked for, with its example."""
    for task in stream:
        yield from ((example, example.output) for example in task.train)
    needs = {needs_of(scorer) for scorer in parts.scorers.values()}
    for task in stream.scored:
        if "likelihood" in needs:
            asked = positions(task, parts.config.evaluation.most_asked("likelihood"), "likelihood")
            yield from ((task.test[k], task.test[k].output) for k in asked)
        if "choice" in needs:
            asked = positions(task, parts.config.evaluation.most_asked("choice"), "choice")
            yield from ((task.test[k], option) for k in asked for option in task.test[k].options)
