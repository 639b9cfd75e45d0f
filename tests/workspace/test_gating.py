from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from inscl import Workspace
from inscl.contract.scale import PERCENT, Scale
from inscl.errors import ConfigError
from inscl.workspace.gating import _forgotten, _not_good_enough
from inscl.workspace.score_history import ScoreHistory
from workspace.conftest import SETTINGS


def test_the_gate_names_what_fails(learned: Workspace, data: Callable[..., Path]) -> None:
    assert learned.gate(max_forgetting=5, min_score={"*": 60}).passed
    learned.learn(data("first"), budget=0)
    found = learned.gate(max_forgetting=5, min_score={"upper": 60, "first": 100})
    assert not found.passed
    assert (found.stage, found.metric, found.checked) == (4, "exact_match", 6)
    named = [(failure.task, failure.condition, failure.value, failure.limit) for failure in found.failures]
    assert named == [
        ("upper", "max-forgetting", 100.0, 5),
        ("upper", "min-score", 0.0, 60),
        ("backwards", "max-forgetting", 100.0, 5),
        ("length", "max-forgetting", 100.0, 5),
    ]
    assert "upper stands 100.0 points below its best (100.0 after stage 1, 0.0 now)" in found.failures[0].message
    learned.rollback(3)
    assert learned.gate(max_forgetting=5).passed


def test_a_limit_itself_is_allowed(learned: Workspace, data: Callable[..., Path]) -> None:
    learned.learn(data("first"), budget=0)
    assert learned.gate(max_forgetting=100).passed
    assert learned.gate(min_score={"upper": 0}).passed


def test_mistakes_are_told_together(learned: Workspace, workspace: Workspace) -> None:
    with pytest.raises(ConfigError, match="2 problems") as caught:
        learned.gate(max_forgetting=-1, min_score={"uper": 60})
    assert "did you mean 'upper'" in str(caught.value)
    with pytest.raises(ConfigError, match="nothing to check"):
        learned.gate()
    with pytest.raises(ConfigError, match="'bleu' is not measured here"):
        learned.gate(max_forgetting=1, metric="bleu")


def test_nothing_learned_is_nothing_to_deploy(workspace: Workspace) -> None:
    with pytest.raises(ConfigError, match="nothing was learned yet"):
        workspace.gate(max_forgetting=5)


def test_the_rounding_of_a_mean_shuts_no_gate() -> None:
    best, now = 100 * (11 / 20), 100 * (10 / 20)
    assert best - now > 5
    assert _forgotten("upper", ScoreHistory(best, best, 1, now, 2), 5, PERCENT) is None
    assert _forgotten("upper", ScoreHistory(best, best, 1, now - 1e-6, 2), 5, PERCENT) is not None
    now = 100 * (29 / 50)
    assert now < 58
    assert _not_good_enough("upper", ScoreHistory(now, now, 1, now, 1), 58, PERCENT) is None
    assert _not_good_enough("upper", ScoreHistory(now, now, 1, now, 1), 58.001, PERCENT) is not None


def test_a_task_asked_for_by_name_that_was_erased_fails(learned: Workspace) -> None:
    learned.erase("length")
    found = learned.gate(min_score={"length": 99})
    assert (found.passed, found.checked) == (False, 1)
    assert "length has no examples any more, so min-score can't be checked" in found.failures[0].message
    assert learned.gate(min_score={"*": 60}).passed


def test_a_best_score_of_another_sample_is_told(learned: Workspace, data: Callable[..., Path]) -> None:
    assert learned.gate(max_forgetting=100).notes == ()
    learned.learn(data("first"), budget=0, eval_per_task=1)
    notes = learned.gate(max_forgetting=100).notes
    assert [note.split()[0] for note in notes] == ["upper", "backwards", "length"]
    assert "and on 1 after stage 4" in notes[0]


def test_a_loss_is_forgotten_where_it_rises_and_bounded_from_above(losing: Workspace) -> None:
    found = losing.gate(max_forgetting=0.5, max_score={"*": 1})
    assert (found.metric, found.scale) == ("answer_loss", Scale("nats", "lower"))
    assert [(one.task, one.condition, one.value) for one in found.failures] == [
        ("upper", "max-forgetting", 1.75),
        ("upper", "max-score", 2.0),
    ]
    assert found.failures[0].message == (
        "upper stands 1.750 nats above its best (0.250 after stage 1, 2.000 now); at most 0.5 were allowed"
    )
    assert found.failures[1].message == "upper scores 2.000; at most 1 was asked for"
    assert losing.gate(max_forgetting=150, max_score={"upper": 2, "first": 0.25}).passed
    history = losing.status().tasks[0].scores["answer_loss"]
    assert (history.best, history.best_stage, history.now) == (0.25, 1, 2.0)
    # The same workspace by a score that is better when higher.
    assert losing.gate(min_score={"first": 100}, metric="rouge_l").passed


def test_the_bound_of_the_wrong_side_is_refused_with_the_right_one(losing: Workspace) -> None:
    with pytest.raises(
        ConfigError, match="answer_loss is better when lower, so it is kept within bounds by --max-score"
    ):
        losing.gate(min_score={"*": 1})
    with pytest.raises(ConfigError, match=r"rouge_l is better when higher.*--min-score"):
        losing.gate(max_score={"*": 1}, metric="rouge_l")
    with pytest.raises(ConfigError, match="0 or more nats were expected, got -1"):
        losing.gate(max_forgetting=-1)
    with pytest.raises(ConfigError, match="give --max-forgetting or --max-score"):
        losing.gate()


def test_a_task_that_has_no_such_score_is_named_and_not_checked(
    tmp_path: Path, model: Path, stub: None, data: Callable[..., Path]
) -> None:
    changes = [*SETTINGS, "evaluation.metrics=[exact_match, choice_accuracy]"]
    made = Workspace.init(tmp_path / "some", str(model), changes=changes)
    made.learn(data("upper"))
    with pytest.raises(ConfigError, match="choice_accuracy is undefined for every task"):
        made.gate(max_forgetting=5, metric="choice_accuracy")
    choice = data("length", rows=60)
    made.learn(choice)
    found = made.gate(max_forgetting=100, min_score={"*": 0}, metric="choice_accuracy")
    assert (found.passed, found.checked) == (True, 2)
    assert found.notes == ("choice_accuracy is undefined for upper, which isn't checked",)
    assert made.gate(min_score={"length": 0}, metric="choice_accuracy").notes == ()
    failed = made.gate(min_score={"upper": 0}, metric="choice_accuracy")
    assert [one.message for one in failed.failures] == ["upper has no choice_accuracy, so min-score can't be checked"]
