from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import inscl
from inscl.errors import ConfigError, UnknownComponentError
from inscl.planning.plan import plan_stream
from inscl.replay import Budget
from inscl.testing import fake_embedder, fake_tagger, made_task
from streams import toy_config, toy_stream

MEMORY = inscl.Memory((made_task("a", 20), made_task("b", 20)))
NEW = made_task("c", 10)


def test_plan_replay_takes_callables_names_and_every_form_of_budget() -> None:
    parts = {"embedder": fake_embedder, "tagger": fake_tagger, "tag_embedder": None}
    by_number = inscl.plan_replay(MEMORY, NEW, 5, **parts)  # type: ignore[arg-type]
    by_mapping = inscl.plan_replay(MEMORY, NEW, {"per_task": 5}, **parts)  # type: ignore[arg-type]
    by_budget = inscl.plan_replay(MEMORY, NEW, budget=Budget(per_task=5), **parts)  # type: ignore[arg-type]
    assert by_number.examples == by_mapping.examples == by_budget.examples
    assert sum(by_number.allocation.values()) == 10
    random = inscl.plan_replay(MEMORY, NEW, 5, strategy="random")
    assert random.allocation == {"a": 5, "b": 5}


def test_the_seed_decides() -> None:
    plans = [inscl.plan_replay(MEMORY, NEW, 5, strategy="random", seed=seed).examples for seed in (1, 1, 2)]
    assert plans[0] == plans[1] != plans[2]


def test_wrong_names_and_parameters() -> None:
    with pytest.raises((UnknownComponentError, ConfigError), match="random"):
        inscl.plan_replay(MEMORY, NEW, strategy="randm")
    with pytest.raises(ConfigError, match="dynamic"):
        inscl.plan_replay(MEMORY, NEW, params={"dynamik": True})


def test_a_streams_plans_are_written_with_the_mixed_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INSCL_CACHE", str(tmp_path / "cache"))
    config = {
        "stream": {"path": str(toy_stream(tmp_path / "stream"))},
        "replay": {"embedder": "ngrams", "tag_embedder": None, "budget": {"per_task": 3}},
    }
    plans = plan_stream(config, tmp_path / "plans")
    assert [len(plan.picks) for plan in plans] == [0, 3, 6]
    for stage, plan in enumerate(plans, start=1):
        folder = next((tmp_path / "plans").glob(f"{stage:02d}-*"))
        mixed = [json.loads(line) for line in (folder / "train.jsonl").read_text().splitlines()]
        new = inscl.load_stream(config["stream"]).tasks[stage - 1]
        assert len(mixed) == len(new.train) + len(plan.picks)
        replayed = [json.loads(line) for line in (folder / "replay.jsonl").read_text().splitlines()]
        assert {row["input"] for row in replayed} <= {row["input"] for row in mixed}
    only = plan_stream(config, None, task=plans[2].new_task)
    assert [plan.to_json() for plan in only] == [plans[2].to_json()]
    with pytest.raises(ConfigError, match="no task"):
        plan_stream(config, None, task="nothing")


def test_planning_on_cached_embeddings_never_loads_torch(tmp_path: Path, tiny_model: Path) -> None:
    script = (
        "import sys; from inscl.planning.plan import plan_stream;"
        f"c = {{'stream': {{'path': {str(toy_stream(tmp_path / 'stream'))!r}}},"
        f" 'model': {{'name': {str(tiny_model)!r}}},"
        " 'replay': {'embedder': 'model', 'tag_embedder': None}};"
        "plans = plan_stream(c); print(sum(len(p.picks) for p in plans), 'torch' in sys.modules)"
    )
    outputs = [
        subprocess.run(
            [sys.executable, "-c", script],
            capture_output=True,
            text=True,
            check=True,
            env={"INSCL_CACHE": str(tmp_path / "cache"), "PATH": "", "HOME": str(tmp_path)},
        ).stdout.split()
        for _ in range(2)
    ]
    assert outputs[0][0] == outputs[1][0] != "0"
    # The first call embeds with the model; the second finds every vector on disk.
    assert outputs[0][1] == "True"
    assert outputs[1][1] == "False"


def test_a_plan_by_losses_says_whose_losses_they_are(tmp_path: Path, tiny_model: Path) -> None:
    from inscl.contract.seams import NullProgress

    class Heard(NullProgress):
        notes: list[str] = []  # noqa: RUF012

        def note(self, message: str) -> None:
            self.notes.append(message)

    config = toy_config(toy_stream(tmp_path / "stream"), tiny_model, tmp_path / "run", strategy="loss")
    plans = plan_stream(config, progress=Heard())
    assert [len(plan.picks) for plan in plans] == [0, 3, 6]
    assert "as it came" in Heard.notes[0]
