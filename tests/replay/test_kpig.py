from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

import inscl
from inscl.contract import Example, Memory, Question, Task
from inscl.errors import ConfigError, ModelError
from inscl.replay import Budget
from inscl.replay.kpig import KPIG
from inscl.testing import check_strategy, made_task
from learners.taught import FIRST, learner

NEW = made_task("new", 5)
MASKED = {"weak": 0.25, "strong": 3.0, "middle": 1.0}


def task(name: str, count: int = 6) -> Task:
    return Task(name, tuple(Example(f"Do the {name} job, please", str(k), ("x",), name) for k in range(count)))


def losses(examples: Sequence[Example]) -> np.ndarray:
    """1, and more without the words that tell the task; the last clause is worth nothing."""
    worth = [MASKED[one.task] if one.instruction.startswith("[...]") else 0.0 for one in examples]
    return 1.0 + np.array(worth)


def test_the_tasks_of_the_lowest_gain_share_the_budget_and_gains_are_told() -> None:
    memory = Memory(tuple(map(task, MASKED)))
    plan = KPIG(losses, tasks=2).plan(memory, NEW, Budget(per_task=2), np.random.default_rng(0))
    assert plan.allocation == {"weak": 3, "strong": 0, "middle": 3}
    told = {share.task: dict(share.reason) for share in plan.shares}
    assert told["strong"] == {"information_gain": 3.0, "gain_rank": 3, "masked": ["Do the strong job,"]}
    assert {(p.task, p.reason["information_gain"], p.reason["gain_rank"]) for p in plan.picks} == {
        ("weak", 0.25, 1),
        ("middle", 1.0, 2),
    }
    # What the chosen task can't hold goes to the others.
    plan = KPIG(losses, tasks=1).plan(memory, NEW, Budget(total=10), np.random.default_rng(0))
    assert plan.allocation == {"weak": 6, "strong": 2, "middle": 2}


def test_tags_and_what_the_data_name_are_masked_together_and_what_has_no_key_part_is_told() -> None:
    seen: list[Example] = []

    def watched(examples: Sequence[Example]) -> np.ndarray:
        seen.extend(examples)
        return np.ones(len(examples))

    def tagger(texts: Sequence[str]) -> list[list[str]]:
        return [["weak job", "job", "please"] if "weak" in text else ["nothing"] for text in texts]

    named = Example("Say it in capitals", "1", ("X",), "named", metadata={"key_parts": ["capitals"]})
    memory = Memory((task("weak", 1), task("strong", 1), Task("named", (named,))))
    plan = KPIG(watched, tagger, parts="tagger").plan(memory, NEW, Budget(total=2), np.random.default_rng(0))
    texts = {one.instruction for one in seen}
    assert texts == {"Do the weak job, please", "Do the [...], [...]", "Say it in capitals", "Say it in [...]"}
    assert plan.notes == ("strong: no key part was found",)
    assert plan.allocation == {"weak": 1, "strong": 0, "named": 1}


def test_it_keeps_the_contract_of_strategies() -> None:
    check_strategy(lambda: KPIG(lambda examples: np.array([len(one.prompt) % 7 for one in examples]), tasks=2))


def test_the_gain_is_that_of_plain_forward_passes(tiny_model: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    asked = learner(tiny_model)
    base = AutoModelForCausalLM.from_pretrained(tiny_model).eval()

    def by_learner(examples: Sequence[Example]) -> np.ndarray:
        found = asked.log_likelihoods([Question.of(one) for one in examples], [one.output for one in examples])
        return np.array([one.loss for one in found])

    def plainly(instruction: str, example: Example) -> float:
        text = asked.encoder.frame()[0] + f"{instruction}\n\n{example.input}" + asked.encoder.frame()[1]
        prompt = asked.encoder.tokenizer(text, add_special_tokens=False).input_ids
        answer = [*asked.encoder.tokenizer(example.output, add_special_tokens=False).input_ids, 2]
        with torch.no_grad():
            logits = base(input_ids=torch.tensor([prompt + answer])).logits[0, len(prompt) - 1 : -1]
        return float(logits.log_softmax(-1).gather(1, torch.tensor(answer)[:, None]).mean())

    gain = KPIG(by_learner).gain_of(FIRST)
    wanted = np.mean([plainly("Say red", one) - plainly("[...]", one) for one in FIRST.train])
    assert gain.parts == ("Say red",)
    assert gain.mean == pytest.approx(wanted, abs=1e-4)


def test_values_and_losses_that_mean_nothing_are_refused() -> None:
    with pytest.raises(ConfigError) as told:
        KPIG(losses, tasks=0, sample=0, candidates=0, parts="likelyhood")
    assert [problem.key for problem in told.value.problems] == ["tasks", "sample", "candidates", "parts"]
    with pytest.raises(ConfigError, match="by a tagger needs one"):
        KPIG(losses, parts="tagger")
    with pytest.raises(ConfigError, match=r"shape \(\d+,\), got \(1,\)"):
        KPIG(lambda examples: np.ones(1)).gain_of(task("weak"))
    with pytest.raises(ModelError, match="not a finite number"):
        KPIG(lambda examples: np.full(len(examples), np.nan)).gain_of(task("weak"))


def test_a_run_rehearses_and_trains_by_it(tiny_model: Path, tmp_path: Path) -> None:
    run = inscl.run(
        {
            "stream": {
                "path": "demo",
                "order": ["route_message", "grade_review"],
                "train_per_task": 4,
                "test_per_task": 1,
            },
            "model": {"name": str(tiny_model), "precision": "fp32"},
            "replay": {"strategy": "kpig", "budget": {"per_task": 2}, "params": {"sample": 2}},
            "training": {"objective": {"name": "kpig", "params": {"candidates": 2}}, "epochs": 1, "batching": "pack"},
            "evaluation": {"metrics": ["answer_loss"]},
            "output_dir": str(tmp_path),
        }
    )
    (picks,) = run.path.glob("stages/02-*/replay.jsonl")
    rows = [json.loads(line) for line in picks.read_text().splitlines()]
    assert [row["reason"]["gain_rank"] for row in rows] == [1, 1]
    assert len({row["reason"]["information_gain"] for row in rows}) == 1
