"""Which test examples are asked, and a row of ``predictions/<task>.jsonl`` for each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Literal

from inscl.contract import Answer, LogLikelihood, Question, Task
from inscl.contract.example import Image
from inscl.contract.measured import Asked
from inscl.data.splits import sample

__all__ = ["Needs", "asked_of", "has", "positions", "row_of"]

Needs = Literal["text", "choice", "likelihood"]
"""What a metric is measured on: see `MeasureTraits`."""

_FIELDS = {"text": "prediction", "choice": "option_log_probabilities", "likelihood": "likelihood"}


def positions(task: Task, most: int | None, needs: Needs) -> list[int]:
    """Places in the test split of the examples that are asked, ascending.

    A fixed sample, chosen by content: a smaller one is part of every larger one. Of it, a choice takes the questions
    that have options.

    Args:
        task: Whose test split.
        most: How many examples; None takes all.
        needs: What they are asked for.
    """
    places = range(len(task.test))
    chosen = sample(places, most, 0, content=lambda k: task.test[k].id, source=lambda k: "")
    return [k for k in chosen if needs != "choice" or task.test[k].options]


def row_of(name: str, asked: Asked, generated: bool) -> dict[str, Any]:
    """A row of predictions without scores.

    Args:
        name: The example's id.
        asked: What was asked and answered.
        generated: Whether its text was asked for; otherwise there is no prediction, which isn't an empty one.
    """
    row: dict[str, Any] = {
        "id": name,
        "instruction": asked.question.instruction,
        "input": asked.question.input,
        "references": list(asked.references),
        "prediction": asked.answer.text if generated else None,
        "scores": {},
    }
    if asked.answer.option_log_probabilities is not None:
        row["options"] = list(asked.question.options)
        row["option_log_probabilities"] = list(asked.answer.option_log_probabilities)
    if asked.question.images:
        row["images"] = [image.to_json() for image in asked.question.images]
    if asked.likelihood is not None:
        row["likelihood"] = asdict(asked.likelihood)
    return row


def asked_of(row: Mapping[str, Any]) -> Asked:
    """What `row_of` made a row of, as far as a measure reads it: question, references, answers."""
    known, likelihood = row.get("option_log_probabilities"), row.get("likelihood")
    return Asked(
        Question(
            row["instruction"],
            row["input"],
            options=tuple(row.get("options", ())),
            images=tuple(map(Image.from_json, row.get("images", ()))),
        ),
        tuple(row["references"]),
        Answer(row["prediction"] or "", None if known is None else tuple(known)),
        None if likelihood is None else LogLikelihood(**likelihood),
    )


def has(row: Mapping[str, Any], needs: Needs) -> bool:
    """Whether a row was asked for what a metric needs."""
    return row.get(_FIELDS[needs]) is not None
