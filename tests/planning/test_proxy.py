"""Forgetting measured on one tiny model, for a plan that another one is taught by."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from inscl.config.loading import load_config
from inscl.contract import Memory, Question, Task
from inscl.contract.plan import ReplayPlan
from inscl.data import load_stream
from inscl.engine.parts import Parts
from inscl.errors import ConfigError
from inscl.learners import FineTune
from inscl.planning.plan import plan_stream
from inscl.planning.proxy import Proxy, ProxyPlanner


@pytest.fixture(scope="module")
def larger(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wider and deeper random Llama with the tokenizer of the tiny one."""
    import shutil

    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    folder = tmp_path_factory.mktemp("larger") / "model"
    shutil.copytree(tiny_model, folder)
    config = AutoConfig.from_pretrained(tiny_model)
    config.update({"hidden_size": 48, "intermediate_size": 96, "num_hidden_layers": 3, "head_dim": 12})
    config.layer_types = None
    torch.manual_seed(5)
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    return folder


@pytest.fixture
def stream(tmp_path: Path) -> Path:
    """The third task answers the questions of the second otherwise; the first is left alone."""
    folder = tmp_path / "stream"
    folder.mkdir()
    tasks = {"apart": ("zzz", "aaaa"), "old": ("Say", "red"), "new": ("Say", "blue")}
    for name, (instruction, answer) in tasks.items():
        rows = [{"instruction": instruction, "input": f"{k}", "output": answer} for k in range(20)]
        (folder / f"{name}.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return folder


def config(stream: Path, model: Path, **replay: Any) -> dict[str, Any]:
    return {
        "stream": {"path": str(stream), "order": ["apart", "old", "new"], "test_share": 0.2},
        "model": {"name": str(model), "adapter": {"r": 4}, "prompt": "plain", "precision": "fp32"},
        "replay": {
            "strategy": "measured",
            "params": {"distance": 0, "explore": 0.2},
            "embedder": "ngrams",
            "tag_embedder": None,
            "budget": {"total": 8},
            **replay,
        },
        "training": {"epochs": 4, "batch_size": 4, "learning_rate": 1e-2},
    }


def rises(plan: ReplayPlan) -> dict[str, float]:
    return {share.task: share.reason["rise"] for share in plan.shares}


def test_what_a_small_model_forgets_decides_the_plan_of_a_larger_one(
    stream: Path, tiny_model: Path, larger: Path, tmp_path: Path
) -> None:
    wanted = config(stream, tmp_path / "not at hand")
    plans = plan_stream(wanted, tmp_path / "plans", proxy=Proxy(str(tiny_model), rows=12, probes=4))
    last = plans[-1]
    assert rises(last)["old"] > max(0.0, rises(last)["apart"])
    assert last.allocation["old"] > last.allocation["apart"] > 0
    assert sum(last.allocation.values()) == 8
    assert last.parameters["signal"] == "proxy"
    assert last.parameters["proxy_rows"] == 12
    assert any("not on the model that will be taught" in note for note in last.notes)
    # The larger model forgets the same task more; taught by the plan it forgets less of it.
    tasks = load_stream(wanted["stream"]).tasks
    forgotten = {}
    for replayed in (False, True):
        model = FineTune(
            str(larger), adapter={"kind": "lora", "r": 4}, prompt="plain", precision="fp32", epochs=4, batch_size=4,
            learning_rate=1e-2,
        )  # fmt: skip
        before: dict[str, float] = {}
        for task, plan in zip(tasks, plans, strict=True):
            before = {old.name: loss(model, old) for old in tasks[:2]} if task.name == "new" else {}
            model.learn(task, plan if replayed else ReplayPlan.nothing(task.name))
        forgotten[replayed] = {old.name: loss(model, old) - before[old.name] for old in tasks[:2]}
    assert forgotten[False]["old"] > forgotten[False]["apart"]
    assert forgotten[True]["old"] < forgotten[False]["old"]
    rows = (tmp_path / "plans" / "03-new" / "train.jsonl").read_text().splitlines()
    assert len(rows) == len(tasks[2].train) + 8


def loss(model: FineTune, task: Task) -> float:
    found = model.log_likelihoods(list(map(Question.of, task.test)), [one.output for one in task.test])
    return float(np.mean([one.loss for one in found]))


def test_a_rise_is_what_a_part_of_the_new_task_does_and_the_proxy_is_put_back(stream: Path, tiny_model: Path) -> None:
    proxy = Proxy(str(tiny_model), rows=6, probes=4)
    settings = proxy.settings(load_config(config(stream, tiny_model)))
    tasks = load_stream(settings.stream.model_dump())
    planner = ProxyPlanner(proxy, Parts.of(settings))
    planner.learn(tasks, 1, ReplayPlan.nothing("apart"))
    apart = tasks.tasks[0]
    before = planner.parts.losses(proxy.probed(apart))
    plan = planner.plan(tasks, 2, Memory(tasks.tasks[:1]))
    assert planner.parts.losses(proxy.probed(apart)) == pytest.approx(before)
    # The same by hand, with a learner of one's own.
    alone = Parts.of(settings)
    alone.taught.learn(Task("apart", tuple(proxy.taught(apart))), ReplayPlan.nothing("apart"))
    alone.taught.learn(Task("old", tuple(proxy.taught(tasks.tasks[1]))), ReplayPlan.nothing("old"))
    after = alone.losses(proxy.probed(apart))
    assert rises(plan)["apart"] == pytest.approx(float(after.mean() - before.mean()), abs=1e-4)
    assert not {one.id for one in proxy.probed(apart)} & {one.id for one in proxy.taught(apart)}


def test_it_rehearses_as_large_a_part_as_it_learns(
    stream: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[int, int]] = []
    learn = FineTune.learn

    def heard(self: FineTune, task: Task, plan: ReplayPlan) -> Any:
        seen.append((len(task.train), len(plan.picks)))
        return learn(self, task, plan)

    monkeypatch.setattr(FineTune, "learn", heard)
    proxy = Proxy(str(tiny_model), rows=4, probes=2)
    settings = config(stream, tiny_model, budget={"total": 8})
    settings["training"]["epochs"] = 1
    plan_stream(settings, proxy=proxy)
    # Stage 1; ahead of stage 2, and stage 2 with a quarter of its replay; ahead of stage 3, the last.
    assert seen == [(4, 0), (4, 0), (4, 2), (4, 0)]


def test_mistakes(stream: Path, tiny_model: Path) -> None:
    with pytest.raises(ConfigError, match="set it to measured"):
        plan_stream(config(stream, tiny_model, strategy="random", params={}), proxy=str(tiny_model))
    wrong = config(stream, tiny_model, params={"signal": "probes"})
    wrong["training"]["learner"] = "icl"
    with pytest.raises(ConfigError, match="set it to fine_tune"):
        plan_stream(wrong, proxy=str(tiny_model))
    with pytest.raises(ConfigError, match="rows: must be at least 1"):
        Proxy("smollm2-135m", rows=0)
