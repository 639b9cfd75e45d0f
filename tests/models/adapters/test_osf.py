"""OSF from stage to stage: what is protected stays, what was learned is protected next, and disk changes nothing."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from asking import NOTHING
from inscl.config.identity import deciding_settings
from inscl.config.loading import load_config
from inscl.contract import Example, Task
from inscl.errors import ConfigError, ModelError
from inscl.learners import FineTune
from inscl.models.adapters.choose import make_adapter
from inscl.models.adapters.osf import MOST_PROTECTED, protected_rank

FIRST = Task("first", tuple(Example("Say red", "please " * k, (f"red{k}",)) for k in range(4)))
SECOND = Task("second", tuple(Example("Say blue", "please " * k, (f"blue{k}",)) for k in range(4)))


def learner(model: Path, **adapter: Any) -> FineTune:
    given = {"kind": "osf", **adapter}
    return FineTune(str(model), adapter=given, precision="fp32", epochs=3, learning_rate=1e-2, batch_size=2, seed=3)


def matrices(taught: FineTune) -> dict[str, Any]:
    """The weights that OSF decomposes, as they are now."""
    model = taught._weights.model
    assert not hasattr(model, "peft_config")
    return {name: weight.detach().clone() for name, weight in model.named_parameters() if "proj" in name}


def disturbed(before: Any, after: Any, rank: int) -> float:
    """How much of a change lies in the protected directions, as a share of the change."""
    import torch

    left, _, right = torch.linalg.svd(before, full_matrices=False)
    change = after - before
    inside = (change @ right[:rank].T).norm() + (left[:, :rank].T @ change).norm()
    return float(inside / change.norm())


def test_protected_directions_hold_and_each_stage_protects_what_is_there_by_then(tiny_model: Path) -> None:
    one = learner(tiny_model)
    states = [matrices(one)]
    for task in (FIRST, SECOND):
        one.learn(task, NOTHING)
        states.append(matrices(one))
    for before, after in pairwise(states):
        shares = [disturbed(before[name], after[name], min(before[name].shape) // 2) for name in before]
        assert len(shares) == 14
        assert max(shares) < 1e-4
    # The second stage kept the directions of the first's result, not those that the model came with.
    again = [disturbed(states[0][name], states[2][name], min(states[0][name].shape) // 2) for name in states[0]]
    assert max(again) > 1e-2


def test_without_holding_adamw_leaves_the_subspace(tiny_model: Path) -> None:
    one = learner(tiny_model, hold=False)
    before = matrices(one)
    one.learn(FIRST, NOTHING)
    after = matrices(one)
    assert max(disturbed(before[name], after[name], min(before[name].shape) // 2) for name in before) > 1e-2


def test_a_whole_model_is_saved_and_gone_on_from(tiny_model: Path, tmp_path: Path) -> None:
    one = learner(tiny_model, effective_rank=4, rank_step=2)
    one.learn(FIRST, NOTHING)
    one.save(tmp_path)
    record = json.loads((tmp_path / "learner.json").read_text())
    expected = {"kind": "osf", "effective_rank": 4, "rank_step": 2, "hold": True, "target_modules": "all-linear"}
    assert record["adapter"] == expected
    assert (tmp_path / "model.safetensors").exists()
    other = learner(tiny_model, effective_rank=4, rank_step=2)
    other.load(tmp_path)
    one.learn(SECOND, NOTHING)
    other.learn(SECOND, NOTHING)
    mine, theirs = matrices(one), matrices(other)
    assert all((mine[name] == theirs[name]).all() for name in mine)
    with pytest.raises(ModelError, match="another adapter"):
        learner(tiny_model).load(tmp_path)


def test_the_protected_rank_grows_with_the_stages(tiny_model: Path) -> None:
    assert [protected_rank(8, 4, stage) for stage in (1, 2, 3)] == [8, 12, 16]
    assert [protected_rank(0.25, 0.25, stage) for stage in (1, 2, 3)] == [0.25, 0.5, 0.75]
    assert protected_rank(0.25, 0.25, 9) == MOST_PROTECTED
    assert protected_rank(0.99, 0, 9) == 0.99
    one = learner(tiny_model, effective_rank=8, rank_step=32)
    one.learn(FIRST, NOTHING)
    with pytest.raises(ModelError, match="nothing can be learned: lower"):
        one.learn(SECOND, NOTHING)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"kind": "osf", "effective_rank": 1.5}, "adapter.effective_rank"),
        ({"kind": "osf", "effective_rank": 0}, "adapter.effective_rank"),
        ({"kind": "osf", "effective_rank": True}, "adapter.effective_rank"),
        ({"kind": "osf", "rank_step": -1}, "adapter.rank_step"),
        ({"kind": "osf", "effective_rank": 8, "rank_step": 0.5}, "adapter.rank_step"),
        ({"kind": "osf", "mode": "fresh"}, "adapter.mode"),
        ({"kind": "lora", "effective_rank": 8}, "adapter.effective_rank.*no such parameter"),
    ],
)
def test_what_cannot_be_is_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        make_adapter(given)


def test_the_default_is_half() -> None:
    osf: Any = make_adapter({"kind": "osf"})
    assert osf.effective_rank == 0.5
    assert osf.merges


def test_a_configuration_names_them_only_where_they_count() -> None:
    """What decides a LoRA run is written as before there was OSF: records made then stay valid."""
    lora = load_config({"stream": {"path": "x"}})
    assert set(deciding_settings(lora)["model"]["adapter"]) == {
        "kind",
        "r",
        "alpha",
        "dropout",
        "target_modules",
        "mode",
    }
    osf = load_config({"stream": {"path": "x"}, "model": {"adapter": {"kind": "osf", "effective_rank": 8}}})
    assert deciding_settings(osf)["model"]["adapter"]["effective_rank"] == 8
    assert load_config(osf.model_dump(mode="json")) == osf
    assert make_adapter(osf.model.adapter.model_dump()).to_json()["effective_rank"] == 8
    with pytest.raises(ConfigError, match=r"model.adapter.effective_rank: no such parameter"):
        load_config({"stream": {"path": "x"}, "model": {"adapter": {"effective_rank": 8}}})
