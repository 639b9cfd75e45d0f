"""Commands on two processes, over gloo on the processor, against the same command in one process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import yaml
from safetensors.numpy import load_file

from inscl.engine.processes import channel, joined, rank, world_size
from inscl.pipeline import run
from model_servers import free_port

TASKS = ["route_message", "grade_review", "rewrite_date"]
LAUNCHERS = {
    "torchrun": ["torch.distributed.run", "--nproc-per-node", "2", "--master-port"],
    "accelerate": [
        *("accelerate.commands.launch", "--multi_gpu", "--num_processes", "2", "--num_machines", "1"),
        *("--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port"),
    ],
    "fsdp": [
        *("accelerate.commands.launch", "--use_fsdp", "--fsdp_version", "2", "--num_processes", "2"),
        *("--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port"),
    ],
}


def settings_in(folder: Path, model: Path, **changes: Any) -> dict[str, Any]:
    return {
        "stream": {"path": "demo", "order": TASKS, "train_per_task": 16, "test_per_task": 5},
        "model": {"name": str(model), "precision": "fp32", "adapter": {"kind": "lora", "r": 4}},
        # What it replays is decided by losses of training, so that both ranks' losses must have come together.
        "replay": {"strategy": "measured", "budget": {"per_task": 4}, "embedder": "ngrams", "tag_embedder": None},
        "training": {
            "epochs": 2,
            "batch_size": 2,
            "save_every": 0,
            "batching": "pack",
            "learning_rate": 0.01,
            **changes,
        },
        "evaluation": {"metrics": ["answer_loss", "exact_match"], "max_new_tokens": 4},
        "output_dir": str(folder),
    }


def launched(launcher: str, config: Path, *more: str) -> subprocess.Popen[str]:
    module, *options = LAUNCHERS[launcher]
    command = [sys.executable, "-m", module, *options, str(free_port()), "-m", "inscl", "run", str(config), *more]
    surroundings = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=surroundings)


def kill_rank_1(launcher: subprocess.Popen[str]) -> None:
    """As soon as it is there, end the second process of a launcher without a word."""
    for process in psutil.Process(launcher.pid).children(recursive=True):
        if process.environ().get("RANK") == "1":
            process.kill()
            return
    raise AssertionError("no second process")


def learned(folder: Path) -> list[dict[str, Any]]:
    """What was learned at each stage, but for its time."""
    found = [json.loads(path.read_text()) for path in sorted(folder.glob("stages/*/learn.json"))]
    for one in found:
        del one["seconds"]
    return found


def rows_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_two_processes_are_one_and_a_dead_one_ends_the_run_which_goes_on(tiny_model: Path, tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    config = tmp_path / "two.yaml"
    config.write_text(yaml.safe_dump(settings_in(two, tiny_model)))
    with launched("accelerate", config) as running:
        end = time.monotonic() + 300
        # Within the second stage: a checkpoint, to go on from.
        while not list(two.glob("stages/02-*/progress/training/checkpoint-*/inscl.json")):
            assert running.poll() is None, running.stdout.read()
            assert time.monotonic() < end
            time.sleep(0.01)
        kill_rank_1(running)
        said, _ = running.communicate(timeout=120)
    assert running.returncode != 0, said
    assert not list(two.glob("stages/02-*/DONE"))
    before = {path: path.stat().st_mtime_ns for path in two.glob("stages/01-*/*.json")}

    with launched("torchrun", config) as running:
        said, _ = running.communicate(timeout=300)
    assert running.returncode == 0, said
    assert "of an interrupted training" in said
    assert before == {path: path.stat().st_mtime_ns for path in before}, "what was finished is not done again"

    expected = run(settings_in(one, tiny_model, batch_size=4))
    for ours, theirs in zip(learned(two), learned(one), strict=True):
        assert ours.pop("facts") == {"processes": 2}
        assert ours.pop("loss") == pytest.approx(theirs.pop("loss"), abs=1e-4)
        assert ours == theirs  # steps, examples, tokens: of both processes together
    for theirs in sorted(one.glob("stages/*/train_log.jsonl")):
        logs = [rows_of(path) for path in (two / theirs.relative_to(one), theirs)]
        assert [row["tokens"] for row in logs[0]] == [row["tokens"] for row in logs[1]]
        np.testing.assert_allclose(*([row["loss"] for row in log] for log in logs), atol=1e-4)
    for theirs in sorted(one.glob("stages/*/replay.jsonl")):
        ours = two / theirs.relative_to(one)
        assert [row["id"] for row in rows_of(ours)] == [row["id"] for row in rows_of(theirs)]
    for theirs in sorted(one.glob("stages/*/visits.jsonl")):
        first, second = ({row["id"]: row for row in rows_of(path)} for path in (two / theirs.relative_to(one), theirs))
        assert set(first) == set(second)
        for name, row in second.items():
            assert [first[name]["first"], first[name]["last"]] == pytest.approx([row["first"], row["last"]], abs=1e-3)
    mine = sorted(two.glob("stages/*/model/adapter_model.safetensors"))
    assert mine
    for path in mine:
        theirs, ours = load_file(one / path.relative_to(two)), load_file(path)
        assert max(float(np.abs(ours[name] - theirs[name]).max()) for name in theirs) < 1e-4
        assert max(float(np.abs(theirs[name]).max()) for name in theirs) > 0.1
    scores = json.loads((two / "scores.json").read_text())
    assert scores["tasks"] == json.loads((one / "scores.json").read_text())["tasks"]
    losses = expected.scores.array("answer_loss")
    found = type(expected.scores).from_json(scores).array("answer_loss")
    np.testing.assert_allclose(found, losses, atol=1e-3)


def test_weights_in_shards_learn_as_one_process_does_and_are_saved_whole(tiny_model: Path, tmp_path: Path) -> None:
    """FSDP2: full fine-tuning under `accelerate launch`, killed in its second stage, then under torchrun."""
    from transformers import AutoModelForCausalLM

    one, two = tmp_path / "one", tmp_path / "two"
    settings = settings_in(two, tiny_model, epochs=1, learning_rate=0.003, hf_args={"fsdp": True})
    settings["model"] |= {"adapter": {"kind": "none"}, "keep": "all"}
    settings["stream"] |= {"order": TASKS[:2], "test_per_task": 2}
    config = tmp_path / "two.yaml"
    config.write_text(yaml.safe_dump(settings))
    with launched("fsdp", config) as running:
        end = time.monotonic() + 300
        while not list(two.glob("stages/02-*/plan.json")):
            assert running.poll() is None, running.stdout.read()
            assert time.monotonic() < end
            time.sleep(0.01)
        kill_rank_1(running)
        said, _ = running.communicate(timeout=120)
    assert running.returncode != 0, said
    assert not list(two.glob("stages/02-*/DONE"))
    with launched("torchrun", config) as running:
        said, _ = running.communicate(timeout=300)
    assert running.returncode == 0, said
    assert "no checkpoints of weights in shards" in said

    settings["training"] |= {"batch_size": 4, "hf_args": {}}
    run({**settings, "output_dir": str(one)})
    for ours, theirs in zip(learned(two), learned(one), strict=True):
        assert ours.pop("facts") == {"processes": 2, "sharding": "fsdp2"}
        assert ours.pop("loss") == pytest.approx(theirs.pop("loss"), abs=1e-5)
        assert ours == theirs
    came = load_file(tiny_model / "model.safetensors")
    for folder in sorted(one.glob("stages/*/model")):
        ours, theirs = (load_file(where / "model.safetensors") for where in (two / folder.relative_to(one), folder))
        assert set(ours) == set(theirs)
        assert max(float(np.abs(ours[name] - theirs[name]).max()) for name in theirs) < 1e-5
        assert max(float(np.abs(theirs[name] - came[name]).max()) for name in theirs) > 1e-3
        AutoModelForCausalLM.from_pretrained(two / folder.relative_to(one))
    plans = [sorted(folder.glob("stages/*/replay.jsonl")) for folder in (one, two)]
    assert [rows_of(path) for path in plans[0]] == [rows_of(path) for path in plans[1]]


def test_alone_there_is_nobody_to_join(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    assert (world_size(), rank(), channel()) == (1, 0, None)
    with joined() as others:
        assert others is None
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "4")
    assert (world_size(), rank()) == (1, 0), "some schedulers set them without a place to meet"
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
    monkeypatch.setenv("MASTER_PORT", "1")
    assert (world_size(), rank()) == (4, 1)
