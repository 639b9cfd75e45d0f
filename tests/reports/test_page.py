"""The whole page, without a browser."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from inscl.errors import WorkspaceError
from inscl.reports import write_report
from reports.conftest import seal_run

WriteRun = Callable[..., Path]


def test_the_default_place_is_the_first_run(two_runs: list[Path], tmp_path: Path) -> None:
    assert write_report(two_runs) == two_runs[0].resolve() / "report.html"
    other = tmp_path / "deep" / "page.html"
    assert write_report(two_runs, other) == other
    assert other.read_text(encoding="utf-8").startswith("<!doctype html>")


def test_the_same_runs_make_the_same_bytes(two_runs: list[Path], tmp_path: Path) -> None:
    first, second = (write_report(two_runs, tmp_path / name).read_bytes() for name in ("1.html", "2.html"))
    assert first == second


def test_nothing_outside_is_asked_for(two_runs: list[Path]) -> None:
    page = write_report(two_runs).read_text(encoding="utf-8")
    assert "<script" not in page
    assert re.findall(r"url\(|@import", page) == []
    assert {link[0] for link in re.findall(r'\bhref="([^"]*)"', page)} <= {"#", "d"}
    assert re.findall(r"<[^>]*\b(?:src|srcset|action)=", page) == []
    assert "Content-Security-Policy" in page


def test_no_text_of_a_run_becomes_markup(write_run: WriteRun) -> None:
    hostile = '"><img src=x onerror=alert(1)>'
    folder = write_run("a", label=hostile, strategy=hostile, metrics=(f"m{hostile}", "exact_match"), loss=14)
    path = folder / "manifest.json"
    manifest = json.loads(path.read_bytes().decode("utf-8", "surrogatepass"))
    for part in (manifest["stream"], manifest["model"], manifest["stream"]["tasks"][0]):
        part["fingerprint"] = hostile
    manifest["stream"]["name"] = manifest["model"]["name"] = hostile
    for key in ("created", "inscl", "python", "platform"):
        manifest[key] = hostile
    manifest["packages"] = manifest["hardware"] = {hostile: hostile}
    path.write_bytes(json.dumps(manifest).encode())
    seal_run(folder)
    page = write_report([folder, write_run("b", label=f"other {hostile}")]).read_text(encoding="utf-8")
    assert page.count("&lt;img") > 20
    assert "<img" not in page


def test_no_run_is_refused() -> None:
    with pytest.raises(WorkspaceError, match="at least one run folder"):
        write_report([])


def test_a_damaged_file_leaves_the_old_page(two_runs: list[Path]) -> None:
    page = write_report(two_runs)
    before = page.read_bytes()
    path = next((two_runs[0] / "stages").glob("05-*/predictions/Route_messages.jsonl"))
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(WorkspaceError, match=r"Route_messages\.jsonl"):
        write_report(two_runs)
    assert page.read_bytes() == before


@pytest.mark.parametrize("finished", [0, 1, 2])
def test_an_unfinished_run_has_a_page(write_run: WriteRun, finished: int) -> None:
    folder = write_run("a", finished=finished, experts=False)
    page = write_report([folder]).read_text(encoding="utf-8")
    assert f"InsCL has learned {finished} of 5 tasks so far." in page
    assert "Relative Gain needs experts" in page
    (folder / "scores.json").unlink()
    for path in folder.glob("stages/*/scores.json"):
        path.unlink()
    seal_run(folder)
    assert "No scores yet" in write_report([folder]).read_text(encoding="utf-8")


def test_one_task_has_a_page(write_run: WriteRun) -> None:
    assert "After 1 task" in write_report([write_run("a", tasks=("Only",), experts=False)]).read_text(encoding="utf-8")


def test_a_huge_run_fits(write_run: WriteRun) -> None:
    tasks = tuple(f"Task_{number}" for number in range(16))
    folders = [write_run(name, label=name, loss=6, tasks=tasks, text=5000) for name in ("a", "b")]
    page = write_report(folders)
    assert page.stat().st_size < 5_000_000
    assert "characters in all" in page.read_text(encoding="utf-8")


def test_a_run_of_very_many_tasks_fits_and_says_what_is_shown(write_run: WriteRun) -> None:
    tasks = tuple(f"Task_{number}" for number in range(70))
    page = write_report([write_run("a", tasks=tasks)])
    text = page.read_text(encoding="utf-8")
    assert page.stat().st_size < 5_000_000
    assert "evenly spread ones are shown" in text
    # The first and the last are always among them.
    assert "Task_0" in text
    assert "Task_69" in text


def test_many_long_runs_are_thinned_to_fit(write_run: WriteRun, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_run("a", loss=14)
    whole = write_report([folder]).stat().st_size
    monkeypatch.setattr("inscl.reports.page.MOST_BYTES", whole - 1)
    assert write_report([folder]).stat().st_size < whole
    monkeypatch.setattr("inscl.reports.page.MOST_BYTES", 1000)
    with pytest.raises(WorkspaceError, match="report fewer at a time"):
        write_report([folder])


def test_torch_stays_away(two_runs: list[Path]) -> None:
    code = (
        "import sys; from pathlib import Path; from inscl.reports import write_report; "
        "write_report([Path(a) for a in sys.argv[1:]]); "
        "print([m for m in ('torch', 'transformers', 'peft', 'accelerate') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code, *map(str, two_runs)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_page_of_losses_speaks_of_nats_and_compares_answers_by_another_metric(write_run: WriteRun) -> None:
    page = write_report([write_run("a", metrics=("answer_loss", "exact_match"), loss=14)]).read_text()
    assert "Nats, lower is better, by answer loss" in page
    assert "Percent, by exact match" in page
    assert "Perplexity gain" in page
    assert "The mean score" not in page
    assert "(exact match of 0.9 or more)" in page
    alone = write_report([write_run("b", metrics=("answer_loss",))]).read_text()
    assert "By none of these metrics a single answer is right or wrong" in alone


def test_a_gain_that_experts_leave_undefined_isnt_said_to_lack_them(write_run: WriteRun) -> None:
    lacking = "models trained on one task alone, and these were not evaluated"
    assert lacking in write_report([write_run("a", experts=False)]).read_text()
    single = write_report([write_run("b", tasks=("Route_messages",))]).read_text()
    assert lacking not in single
    assert "Relative Gain is undefined or not computed yet" in single
