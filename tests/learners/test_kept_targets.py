"""Soft targets from the stage that learned a task to the stages that replay it, and through save, load and erasure."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from asking import NOTHING, replaying
from inscl.contract.erased import Erased
from inscl.contract.objective import SoftTargets
from inscl.contract.plan import Pick, ReplayPlan
from inscl.errors import ModelError
from inscl.learners.kept_targets import FILE, Kept, KeptTargets
from inscl.models.prompts import Encoded
from learners.taught import ADAPTERS, FIRST, SECOND, Heard, learner, saved, weights

SOFT = {"objective": {"name": "soft_targets", "params": {"share": 1.0, "top": 4}}}
PLAN = ReplayPlan("second", "made", tuple(Pick(example, "first", 3) for example in FIRST.train[:3]))


def kept(tokens: list[int], k: int, seed: int) -> Kept:
    nats = np.random.default_rng(seed).normal(size=(len(tokens), k)).astype(np.float32)
    return Kept.of(
        Encoded([7, *tokens], 1), SoftTargets(np.arange(len(tokens) * k, dtype=np.int32).reshape(-1, k), nats)
    )


def test_what_is_written_is_read_and_what_is_erased_is_gone(tmp_path: Path) -> None:
    first, second = kept([3, 4, 2], 4, 0), kept([5, 2], 2, 1)
    store = KeptTargets({("b", "2"): second}).adding({("a", "1"): first})
    store.write(tmp_path)
    read = KeptTargets.read(tmp_path)
    for name, one in ((("a", "1"), first), (("b", "2"), second)):
        encoded = Encoded([9, 9, *one.answer.tolist()], 2)  # another prompt, the same answer
        found = read.of(*name, encoded)
        assert found is not None
        assert (found.tokens == one.soft.tokens).all()
        assert (found.log_probabilities == one.soft.log_probabilities).all()
    assert read.of("a", "1", Encoded([9, 3, 5, 2], 1)) is None
    assert read.of("b", "1", Encoded([9, 3, 4, 2], 1)) is None
    whole = (tmp_path / FILE).read_bytes()
    KeptTargets.forget(tmp_path, Erased(ids={"none"}))
    assert (tmp_path / FILE).read_bytes() == whole
    KeptTargets.forget(tmp_path, Erased(tasks={"b"}))
    left = KeptTargets({("a", "1"): first})
    (tmp_path / "left").mkdir()
    left.write(tmp_path / "left")
    assert (tmp_path / FILE).read_bytes() == (tmp_path / "left" / FILE).read_bytes()
    KeptTargets.forget(tmp_path, Erased(ids={"1"}))
    assert len(KeptTargets.read(tmp_path)) == 0
    assert b'"id"' not in (tmp_path / FILE).read_bytes()


def test_a_damaged_file_is_one_message(tmp_path: Path) -> None:
    assert len(KeptTargets.read(tmp_path)) == 0
    (tmp_path / FILE).write_bytes(b"no safetensors")
    with pytest.raises(ModelError, match="can't read the soft targets"):
        KeptTargets.read(tmp_path)


@pytest.mark.parametrize("adapter", ["keep", "full"])
def test_targets_are_what_the_model_held_likely_when_it_had_learned_the_task(tiny_model: Path, adapter: str) -> None:
    import torch

    one = learner(tiny_model, adapter=ADAPTERS[adapter], **SOFT)
    one.learn(FIRST, NOTHING)
    example = FIRST.train[0]
    encoded = one.encoder.encode(example)
    network = one._weights.model.eval()
    with torch.no_grad():
        logits = network(input_ids=torch.tensor([encoded.tokens])).logits[0, encoded.prompt_length - 1 : -1]
    before = one._targets.of("first", example.id, encoded)
    assert before is not None
    assert before.log_probabilities == pytest.approx(logits.log_softmax(-1).topk(4).values.numpy(), abs=1e-4)
    one.learn(SECOND, PLAN)
    after = one._targets.of("first", example.id, encoded)
    assert after is not None
    assert (after.log_probabilities == before.log_probabilities).all()
    assert one._targets.of("second", SECOND.train[0].id, one.encoder.encode(SECOND.train[0])) is not None


def test_they_change_what_is_learned_of_replayed_rows_and_come_through_a_state(
    tiny_model: Path, tmp_path: Path
) -> None:
    whole, plain = learner(tiny_model, **SOFT), learner(tiny_model)
    for one in (whole, plain):
        one.learn(FIRST, NOTHING)
    assert all((a == b).all() for a, b in zip(weights(whole), weights(plain), strict=True))
    files = saved(whole, tmp_path / "first")
    assert FILE in files
    assert FILE not in saved(plain, tmp_path / "plain")
    resumed = learner(tiny_model, **SOFT)
    resumed.load(tmp_path / "first")
    reports = [one.learn(SECOND, PLAN) for one in (whole, resumed, plain)]
    assert reports[0].facts["soft_targets"] == {"replayed": 3, "without": 0}
    assert "soft_targets" not in reports[2].facts
    assert saved(resumed, tmp_path / "resumed") == saved(whole, tmp_path / "whole")
    assert not all((a == b).all() for a, b in zip(weights(whole), weights(plain), strict=True))


def test_what_has_no_targets_is_said_and_taught_by_its_answers(tiny_model: Path, tmp_path: Path) -> None:
    plain = learner(tiny_model)
    plain.learn(FIRST, NOTHING)
    saved(plain, tmp_path / "first")
    heard = Heard()
    soft = learner(tiny_model, progress=heard, **SOFT)
    soft.load(tmp_path / "first")
    report = soft.learn(SECOND, PLAN)
    plain.learn(SECOND, PLAN)
    assert report.facts["soft_targets"] == {"replayed": 3, "without": 3}
    assert any("3 of 3 replayed examples: no soft targets were kept" in note for note in heard.notes)
    for one, other in zip(weights(soft), weights(plain), strict=True):
        assert one.numpy() == pytest.approx(other.numpy(), abs=1e-6)


def test_another_objective_drops_none_of_them(tiny_model: Path, tmp_path: Path) -> None:
    soft, plain = learner(tiny_model, **SOFT), learner(tiny_model)
    soft.learn(FIRST, NOTHING)
    saved(soft, tmp_path / "first")
    plain.load(tmp_path / "first")
    plain.learn(SECOND, replaying(FIRST.train[:2]))
    saved(plain, tmp_path / "second")
    assert (tmp_path / "second" / FILE).read_bytes() == (tmp_path / "first" / FILE).read_bytes()
