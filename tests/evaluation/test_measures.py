from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import log_loss, roc_auc_score

from inscl.contract import Answer, Example, LogLikelihood, Question, Task
from inscl.contract.measured import Asked, Measured, Undefined
from inscl.contract.traits import LearnerTraits
from inscl.evaluation import evaluate, exact_match
from inscl.evaluation.answer_loss import AnswerLoss
from inscl.evaluation.auc import AUC, hanley_mcneil
from inscl.evaluation.choice_accuracy import ChoiceAccuracy
from inscl.evaluation.log_loss import LogLoss
from inscl.evaluation.measures import mean_of, ratio_of
from inscl.evaluation.token_accuracy import TokenAccuracy


class Oracle:
    """Knows likelihoods by heart, and counts how often it is asked to write."""

    traits = LearnerTraits(log_likelihoods=True, chooses=True)

    def __init__(self) -> None:
        self.written = 0

    def answer(self, questions, max_new_tokens=64):
        self.written += 1
        return [Answer("yes") for _ in questions]

    def log_likelihoods(self, questions, answers):
        return [LogLikelihood(-0.5 * len(answer), len(answer), len(answer) - 1) for answer in answers]

    def choose(self, questions, normalise=True):
        return [(math.log(0.75), math.log(0.25)) for _ in questions]


class Mute:
    def answer(self, questions, max_new_tokens=64):
        return [Answer("yes") for _ in questions]


class Notes:
    def __init__(self) -> None:
        self.notes = []

    def phase(self, *of): ...
    def score(self, *of): ...
    def note(self, message):
        self.notes.append(message)


def closed(*outputs: str, options=("yes", "no")) -> Task:
    return Task("closed", (), tuple(Example("Is it?", str(i), (o,), options=options) for i, o in enumerate(outputs)))


def chosen(labels, probabilities, options=("no", "yes")) -> list[Asked]:
    return [
        Asked(Question("?", options=options), (options[label],), Answer("", (math.log(1 - p), math.log(p))))
        for label, p in zip(labels, probabilities, strict=True)
    ]


def test_mean_and_ratio_by_their_formulas() -> None:
    values = [0.0, 1.0, 1.0, 0.5]
    found = mean_of(values)
    assert found.value == pytest.approx(np.mean(values))
    assert found.standard_error == pytest.approx(np.std(values, ddof=1) / 2)
    x, t = np.array([1.0, 4.0, 3.0]), np.array([2.0, 4.0, 3.0])
    ratio = ratio_of(list(x), list(t))
    r = 8 / 9
    assert ratio.value == pytest.approx(r)
    assert ratio.standard_error == pytest.approx(math.sqrt(3 / 2 * ((x - r * t) ** 2).sum()) / 9)
    assert ratio.by_row == (0.5, 1.0, 1.0)
    # Rows of equal length: the ratio is the mean, and so is its error.
    assert ratio_of(values, [1.0] * 4).standard_error == pytest.approx(found.standard_error)
    assert ratio_of([1.0], [2.0]) == Measured(0.5, None, 1, (0.5,))


def test_areas_and_losses_as_scikit_learn_has_them() -> None:
    rng = np.random.default_rng(0)
    labels, p = rng.integers(0, 2, 60), rng.uniform(0.01, 0.99, 60).round(1).clip(0.05, 0.95)
    rows = chosen(labels, p)
    found = AUC()(rows)
    assert found.value == pytest.approx(roc_auc_score(labels, p))
    assert found.standard_error == pytest.approx(hanley_mcneil(found.value, labels.sum(), 60 - labels.sum()))
    assert LogLoss()(rows).value == pytest.approx(log_loss(labels, p))
    turned = [
        Asked(Question("?", options=("yes", "no")), r.references, Answer("", r.answer.option_log_probabilities[::-1]))
        for r in rows[::2]
    ]
    assert AUC()(turned + rows[1::2]).value == pytest.approx(found.value)


def test_of_several_right_options_each_is_right() -> None:
    options = ("Blue", "Red", "blue", "red")
    known = tuple(map(math.log, (0.1, 0.5, 0.1, 0.3)))
    row = Asked(Question("?", options=options), ("red", "Red"), Answer("", known))
    assert ChoiceAccuracy()([row]).value == 1.0
    assert LogLoss()([row]).value == pytest.approx(-math.log(0.8))
    two = Asked(Question("?", options=("no", "No")), ("no", "No"), Answer("", (math.log(0.4), math.log(0.6))))
    assert LogLoss()([two]).value == pytest.approx(0.0)
    assert AUC()([two, two]) == Undefined("both options of a question are right")


def test_hanley_and_mcneil_by_hand() -> None:
    # Two of each and an area of 3/4: Q1 = 0.6, Q2 = 9/14.
    expected = math.sqrt((0.1875 + (0.6 - 0.5625) + (9 / 14 - 0.5625)) / 4)
    assert hanley_mcneil(0.75, 2, 2) == pytest.approx(expected)
    assert hanley_mcneil(1.0, 5, 5) == 0


def test_what_has_no_area_or_choice_says_why() -> None:
    assert "same option" in AUC()(chosen([1, 1], [0.5, 0.6])).reason
    assert "no options" in ChoiceAccuracy()([Asked(Question("?"), ("a",), Answer(""))]).reason
    odd = [Asked(Question("?", options=("a", "b")), ("c",), Answer("", (-0.7, -0.7)))]
    assert "none of its options" in LogLoss()(odd).reason
    three = [Asked(Question("?", options=("a", "b", "c")), ("a",), Answer("", (-1.1, -1.1, -1.1)))]
    assert "same two options" in AUC()(three).reason
    assert isinstance(AnswerLoss()(odd), Undefined)
    assert ChoiceAccuracy()(three).value == pytest.approx(1 / 3)


def test_a_learner_is_asked_only_for_what_is_needed() -> None:
    oracle, task = Oracle(), closed("yes", "no", "no")
    found = evaluate(
        oracle, task, {"loss": AnswerLoss(), "tokens": TokenAccuracy(), "choice": ChoiceAccuracy(), "auc": AUC()}
    )
    assert oracle.written == 0
    assert found.scores["loss"].mean == pytest.approx(0.5)
    assert found.scores["tokens"].mean == pytest.approx(100 * 4 / 7)
    assert found.scores["choice"].mean == pytest.approx(100 / 3)
    assert found.scores["auc"].mean == pytest.approx(50)
    row = found.predictions[1]
    assert row["scores"] == {"loss": 0.5, "tokens": 0.5, "choice": 0.0}
    assert row["likelihood"] == {"nats": -1.0, "tokens": 2, "correct": 1}
    assert row["options"] == ["yes", "no"]
    assert evaluate(oracle, task, {"m": exact_match, "loss": AnswerLoss()}).scores["m"].mean == pytest.approx(100 / 3)
    assert oracle.written == 1


def test_an_undefined_measure_is_told_and_never_zero() -> None:
    notes = Notes()
    found = evaluate(Mute(), closed("yes"), {"m": exact_match, "answer_loss": AnswerLoss()}, progress=notes)
    assert list(found.scores) == ["m"]
    assert notes.notes == [
        "answer_loss is undefined for task closed: the learner doesn't declare the trait log_likelihoods"
    ]
    notes = Notes()
    found = evaluate(Oracle(), closed("yes", options=()), {"m": exact_match, "c": ChoiceAccuracy()}, progress=notes)
    assert list(found.scores) == ["m"]
    assert "no options to choose from" in notes.notes[0]


@pytest.mark.parametrize("space", [" {}", "{}\n", " {} "])
def test_space_around_a_reference_makes_it_no_other_option(space: str) -> None:
    """Data have it, and options are read without it."""
    rows = [replace(row, references=(space.format(*row.references),)) for row in chosen([1, 0, 1], [0.9, 0.2, 0.6])]
    for measure in (ChoiceAccuracy(), LogLoss(), AUC()):
        assert measure(rows) == measure(chosen([1, 0, 1], [0.9, 0.2, 0.6]))
