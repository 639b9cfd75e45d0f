from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from inscl import Workspace
from inscl.errors import ConfigError


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
