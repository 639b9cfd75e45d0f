"""Conversations in training files: which of their answers carry loss, as other trainers can be told."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from inscl.contract import Example
from inscl.contract.example import Image, Turn
from inscl.data.export import training_row
from inscl.data.markers import MARKER

__all__ = ["answers_apart", "has_history", "marked_row"]


def has_history(examples: Iterable[Example]) -> bool:
    """Whether an answer stands before the last one in any of the examples."""
    return any(turn.role == "assistant" for example in examples for turn in example.turns)


def answers_apart(examples: Sequence[Example]) -> list[Example]:
    """The examples, and before each one that learns earlier answers of its conversation, one for each of these.

    For trainers that put loss on the end of a row alone. The same tokens carry loss, over more rows.
    """
    return [part for example in examples for part in _parts(example)]


def marked_row(example: Example, key: str) -> Mapping[str, Any]:
    """A row of messages of which each answer says, under `key`, whether it is learned."""
    *before, answer = training_row(example, "messages")["messages"]
    learned = [turn.learn for turn in example.turns] or [False]
    turns = [
        {**message, key: learn} if message["role"] == "assistant" else message
        for message, learn in zip(before, learned, strict=True)
    ]
    return {"messages": [*turns, {**answer, key: True}]}


def _shown(example: Example, before: Sequence[Turn]) -> tuple[Image, ...]:
    """The pictures that belong to the first turns of a conversation; without markers all stand before its first."""
    told, all_told = (sum(turn.content.count(MARKER) for turn in turns) for turns in (before, example.turns))
    return example.images[:told] if all_told else example.images


def _parts(example: Example) -> Iterator[Example]:
    heard = tuple(replace(turn, learn=False) for turn in example.turns)
    for number, turn in enumerate(example.turns):
        if turn.learn:
            before = heard[:number]
            alone = {"instruction": before[0].content, "input": "", "turns": ()} if number == 1 else {"turns": before}
            yield replace(example, outputs=(turn.content,), images=_shown(example, before), **alone)
    yield replace(example, turns=heard) if any(turn.learn for turn in example.turns) else example
