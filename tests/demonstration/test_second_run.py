"""A run in a process of its own: the same results, failures told, and ended with the block it is used in."""

from __future__ import annotations

import signal
import time
from pathlib import Path
from typing import Any

import pytest

import inscl
from inscl.config.loading import load_config
from inscl.config.settings import RunConfig
from inscl.contract.seams import NullProgress
from inscl.demonstration.second_run import SecondRun
from inscl.errors import InsclError, UserError
from streams import toy_config, toy_stream


class Heard(NullProgress):
    def __init__(self) -> None:
        self.stages: list[tuple[int, int, str]] = []
        self.scores: list[tuple[str, str, float, Any]] = []

    def stage(self, number: int, total: int, task: str) -> None:
        self.stages.append((number, total, task))

    def score(self, task: str, metric: str, mean: float, scale: Any) -> None:
        self.scores.append((task, metric, mean, scale))


@pytest.fixture(scope="module")
def first(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run without replay."""
    folder = tmp_path_factory.mktemp("first")
    config = toy_config(toy_stream(folder), tiny_model, folder / "none", strategy="none")
    config["model"]["keep"] = "all"
    return inscl.run(config).path


def second(first: Path, out: Path) -> RunConfig:
    settings = load_config(first / "inscl.yaml").model_dump(mode="json")
    return load_config(settings, ["replay.strategy=random", f"output_dir={out}"])


def test_it_is_the_run_that_this_process_would_have_made(first: Path, tmp_path: Path) -> None:
    heard = Heard()
    with SecondRun(second(first, tmp_path / "other"), first, heard) as run:
        run.prepare()
        prepared = run._process
        assert not (tmp_path / "other").exists()
        run.start()
        run.start()
        assert run._process is prepared
        found = run.finished()
    alone = inscl.run(second(first, tmp_path / "alone"), beside=first)
    for file in ("scores.json", "metrics.json"):
        assert (found.path / file).read_bytes() == (alone.path / file).read_bytes()
    assert [stage for stage in heard.stages if stage[0]][:3] == [(1, 3, "upper"), (2, 3, "backwards"), (3, 3, "length")]
    assert {task for task, *_ in heard.scores} == {"upper", "backwards", "length"}
    assert heard.scores[0][3] == inscl.contract.scale.PERCENT
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["alone", "other"]  # the log is gone


def test_prepared_and_left_it_has_done_nothing(first: Path, tmp_path: Path) -> None:
    with SecondRun(second(first, tmp_path / "left"), first, NullProgress()) as run:
        run.prepare()
        prepared = run._process
        assert prepared is not None
    assert prepared.returncode == -signal.SIGKILL
    assert not list(tmp_path.iterdir())


def test_where_it_was_not_begun_it_is_learned_here(first: Path, tmp_path: Path) -> None:
    with SecondRun(second(first, tmp_path / "other"), first, NullProgress()) as run:
        run.prepare()
        assert run.finished().path == tmp_path / "other"
        assert run._process is None


def test_a_mistake_is_raised_here_with_its_own_message(first: Path, tmp_path: Path) -> None:
    with SecondRun(second(first, tmp_path / "other"), tmp_path / "nowhere", NullProgress()) as run:
        run.start()
        with pytest.raises(UserError, match="no run there"):
            run.finished()


def test_killed_it_says_so_and_left_it_is_interrupted(first: Path, tmp_path: Path) -> None:
    with SecondRun(second(first, tmp_path / "other"), first, NullProgress()) as run:
        run.start()
        assert run._process is not None
        run._process.send_signal(signal.SIGKILL)
        with pytest.raises(InsclError, match="was killed by SIGKILL; if memory ran out"):
            run.finished()
    heard = Heard()
    with SecondRun(second(first, tmp_path / "other"), first, heard) as run:
        run.start()
        assert run._process is not None
        while not heard.stages and run._process.poll() is None:
            time.sleep(0.02)
    assert run._process.returncode in (130, -signal.SIGINT)
    with SecondRun(second(first, tmp_path / "other"), first, NullProgress()) as run:
        run.start()
        assert (run.finished().path / "metrics.json").exists()
