"""What no task can be measured by is told before anything is trained."""

from __future__ import annotations

import pytest

from inscl.contract import Example, Task
from inscl.errors import ConfigError
from inscl.evaluation import exact_match
from inscl.evaluation.answer_loss import AnswerLoss
from inscl.evaluation.auc import AUC
from inscl.evaluation.choice_accuracy import ChoiceAccuracy
from inscl.evaluation.measurable import check_measures


def everything(needs: str) -> None:
    return None


def task(name: str, *outputs: str, options: tuple[str, ...] = ()) -> Task:
    return Task(name, (), tuple(Example("Is it?", str(k), (one,), options=options) for k, one in enumerate(outputs)))


def test_one_task_with_options_is_enough() -> None:
    tasks = [task("open", "a"), task("closed", "yes", "no", options=("yes", "no"))]
    check_measures(
        {"m": exact_match, "loss": AnswerLoss(), "choice": ChoiceAccuracy(), "auc": AUC()}, tasks, everything
    )
    check_measures({"m": exact_match, "loss": AnswerLoss()}, tasks[:1], everything)


def test_without_any_it_is_refused_and_says_why() -> None:
    with pytest.raises(ConfigError, match=r"choice_accuracy is defined for no task .*questions have options"):
        check_measures({"choice_accuracy": ChoiceAccuracy()}, [task("open", "a")], everything)
    three = task("three", "a", "b", options=("a", "b", "c"))
    with pytest.raises(ConfigError, match=r"auc is defined for no task.*the same two options"):
        check_measures({"choice_accuracy": ChoiceAccuracy(), "auc": AUC()}, [three], everything)
