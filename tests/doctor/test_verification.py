"""Every file of a run, changed by a bit: `verify` names it."""

from __future__ import annotations

import random
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import inscl
from inscl.doctor.verification import verify
from inscl.engine.evaluate_stage import evaluate_stage
from inscl.engine.open_run import open_run
from inscl.engine.parts import Parts
from inscl.errors import ConfigError, WorkspaceError

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))
from faults.damage import spoil
from faults.small_run import Counted, make_stream, results, settings
from faults.strikes import toy_model


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a finished run and its report."""
    folder = tmp_path_factory.mktemp("verified")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("INSCL_CACHE", str(folder / "cache"))
        patch.setattr(Parts, "new_learner", lambda self: Counted(self.config.seed))
        run(folder, folder / "run")
        inscl.write_report([folder / "run"])
        yield folder


def run(base: Path, out: Path) -> None:
    model = base / "model"
    inscl.run(settings(make_stream(base / "stream"), out, model if model.exists() else toy_model(model)))


def test_a_whole_run_has_no_damage(base: Path) -> None:
    assert verify(base / "run") == []


def test_whatever_file_changes_by_a_bit_or_is_cut_is_named(base: Path, tmp_path: Path) -> None:
    chance = random.Random(5)
    out = tmp_path / "run"
    shutil.copytree(base / "run", out)
    files = sorted(path for path in out.rglob("*") if path.is_file())
    assert {path.name for path in files if not path.stat().st_size} == {".lock", "replay.jsonl"}
    assert len(files) > 50
    for path in files:
        content = path.read_bytes()
        for how in ("bit", "cut"):
            if not spoil(path, how, chance):
                continue
            found = "\n".join(map(str, verify(out)))
            name = "memory" if "memory" in path.parts else str(path)
            assert name in found or path.read_bytes() == content, (path, how, found)
            assert "What to do" in found
            path.write_bytes(content)
    assert verify(out) == []


def test_what_is_missing_is_named(base: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    for name in (
        "scores.json",
        "inscl.yaml",
        "manifest.json",
        "stages/02-backwards/plan.json",
        "stages/03-length/model",
        "memory",
    ):
        shutil.copytree(base / "run", out)
        path = out / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
        assert name in "\n".join(map(str, verify(out))), name
        shutil.rmtree(out)


def test_a_folder_without_a_run_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no run there"):
        verify(tmp_path)


def test_damaged_weights_are_never_used(base: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    shutil.copytree(base / "run", out)
    spoil(out / "stages" / "03-length" / "model" / "more.bin", "bit", random.Random(1))
    (out / "experts" / "03-length" / "DONE").unlink()
    with pytest.raises(WorkspaceError, match=r"more\.bin is damaged.*DONE"):
        evaluate_stage(out, tasks=["upper"])


def test_a_report_is_not_made_of_what_is_damaged(base: Path, tmp_path: Path) -> None:
    for name in ("manifest.json", "inscl.yaml", "stages/02-backwards/plan.json", "experts/01-upper/scores.json"):
        out = tmp_path / "run"
        shutil.copytree(base / "run", out)
        spoil(out / name, "bit", random.Random(3))
        with pytest.raises(WorkspaceError, match=name):
            inscl.write_report([out])
        shutil.rmtree(out)


def test_a_stage_done_anew_learns_what_went_before_again_from_the_plans(base: Path, tmp_path: Path) -> None:
    """The weights of the stages before the last aren't kept."""
    out = tmp_path / "run"
    shutil.copytree(base / "run", out)
    (out / "stages" / "02-backwards" / "DONE").unlink()
    run(base, out)
    assert results(out) == results(base / "run")
    assert verify(out) == []


def test_a_memory_that_was_removed_is_filled_again(base: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    shutil.copytree(base / "run", out)
    shutil.rmtree(out / "memory")
    run(base, out)
    assert verify(out) == []
    opened = open_run(out)
    kept = [len(opened.memory.task(key).train) for key in sorted(opened.memory.keys())]
    assert kept == [len(task.train) for task in opened.stream]


def test_configuration_and_manifest_are_put_right_by_the_run_itself(base: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    shutil.copytree(base / "run", out)
    for name in ("inscl.yaml", "manifest.json"):
        good = (out / name).read_bytes()
        spoil(out / name, "cut", random.Random(2))
        run(base, out)
        assert (out / name).read_bytes() == good
        for how in ("gone", "bit"):
            spoil(out / ".copies" / name, how, random.Random(4))
            run(base, out)
            assert (out / ".copies" / name).read_bytes() == good
