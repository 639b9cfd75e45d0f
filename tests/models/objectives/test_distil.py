"""Distillation and the penalty towards the base model, against losses written out on plain forward passes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from inscl.config import kinds
from inscl.contract.objective import TaughtExample
from inscl.errors import ConfigError
from inscl.testing import check_objective
from models.objectives.staged import Stage, close, taught


def test_gradients_of_distillation_are_those_of_the_loss_written_out(tiny_model: Path) -> None:
    import torch
    from torch.nn.functional import cross_entropy, softmax

    def loss(now: Any, past: Any, targets: Any, example: TaughtExample) -> Any:
        answers = cross_entropy(now, targets, reduction="sum")
        if not example.replayed:
            return answers
        old, new = softmax(past["before"] / 3, -1), softmax(now / 3, -1)
        return answers + 0.7 * 9 * (old * torch.log(old / new)).sum()

    stage = Stage(tiny_model, ("before",))
    examples = taught(stage)
    objective = kinds.create("objectives", "distil", {"weight": 0.7, "temperature": 3})
    close(stage.gradients(objective, examples), stage.written_out(loss, examples))
    plain = kinds.create("objectives", "answer")
    close(stage.gradients(objective, examples[:1]), stage.gradients(plain, examples[:1]))


def test_gradients_of_the_penalty_are_those_of_the_loss_written_out(tiny_model: Path) -> None:
    import torch
    from torch.nn.functional import cross_entropy, softmax

    def loss(now: Any, past: Any, targets: Any, example: TaughtExample) -> Any:
        new, base = softmax(now, -1), softmax(past["base"], -1)
        return cross_entropy(now, targets, reduction="sum") + 0.4 * (new * torch.log(new / base)).sum()

    stage = Stage(tiny_model, ("base",))
    objective = kinds.create("objectives", "kl_base", {"weight": 0.4})
    close(stage.gradients(objective, taught(stage)), stage.written_out(loss, taught(stage)))


def test_they_keep_the_contract_and_refuse_values_that_mean_nothing() -> None:
    for name in ("distil", "kl_base"):
        check_objective(lambda name=name: kinds.create("objectives", name))
        with pytest.raises(ConfigError, match="weight: must be above 0"):
            kinds.create("objectives", name, {"weight": 0})
