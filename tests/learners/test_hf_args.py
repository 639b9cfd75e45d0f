from __future__ import annotations

from pathlib import Path

from asking import NOTHING
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
