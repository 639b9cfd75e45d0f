from __future__ import annotations

from pathlib import Path

import pytest

from asking import NOTHING
from inscl.errors import ConfigError
from inscl.learners import hf_args
from inscl.learners.hf_args import hf_problems
from learners.taught import FIRST, learner


def test_hf_args_win_and_reach_transformers(tiny_model: Path, tmp_path: Path) -> None:
    one = learner(tiny_model, hf_args={"max_steps": 2, "gradient_accumulation_steps": 2, "learning_rate": 5e-4})
    report = one.learn(FIRST, NOTHING)
    assert report.steps == 2
    assert max(row["learning_rate"] for row in one.log) <= 5e-4


def test_what_inscl_sets_and_what_transformers_does_not_have_is_refused() -> None:
    problems = {problem.key: problem.message for problem in hf_problems({"bf16": True, "warmup_step": 3, "fp16": 0})}
    assert set(problems) == {f"training.hf_args.{key}" for key in ("bf16", "fp16", "warmup_step")}
    assert problems["training.hf_args.bf16"].endswith("use model.precision")
    assert problems["training.hf_args.warmup_step"].endswith("(did you mean 'warmup_steps'?)")
    assert hf_problems({"weight_decay": 0.1}) == []
    assert hf_problems({}) == []


def test_deepspeed_is_named_where_it_is_missing(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hf_args, "find_spec", lambda name: None)
    one = learner(tiny_model, hf_args={"deepspeed": {"zero_optimization": {"stage": 1}}})
    with pytest.raises(ConfigError, match="pip install deepspeed") as caught:
        one.learn(FIRST, NOTHING)
    assert [problem.key for problem in caught.value.problems] == ["training.hf_args.deepspeed"]
    hf_args.check_packages({"deepspeed": None})


def test_stage_3_of_deepspeed_is_refused(tmp_path: Path) -> None:
    (tmp_path / "three.json").write_text('{"zero_optimization": {"stage": 3}}')
    for given in ({"zero_optimization": {"stage": 3}}, str(tmp_path / "three.json")):
        (problem,) = hf_problems({"deepspeed": given})
        assert problem.key == "training.hf_args.deepspeed"
        assert "fsdp: true" in problem.message
    for given in (None, {}, {"zero_optimization": {"stage": 2}}, {"zero_optimization": 3}, "nowhere.json"):
        assert hf_problems({"deepspeed": given}) == []
