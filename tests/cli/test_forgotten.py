from __future__ import annotations

import inspect
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from inscl.cli.forgotten import forgotten as command
from inscl.forgetting.case import RIGHT, WRONG
from inscl.storage.run.stage_record import Record
from typed import Done, refused

# The command alone, so that this test says the same whatever else the command line has.
_ALONE = """
import typer
from inscl.cli import app as cli
from inscl.cli.forgotten import forgotten
cli.app = typer.Typer(pretty_exceptions_enable=False)
cli.app.callback()(lambda: None)
cli.app.command("forgotten")(forgotten)
cli.main()
"""


@pytest.fixture
def call(tmp_path: Path, cache: Path) -> Callable[..., Done]:
    def run(*arguments: object) -> Done:
        return subprocess.run(
            [sys.executable, "-c", _ALONE, "forgotten", *map(str, arguments)],
            capture_output=True,
            text=True,
            timeout=300,
            env={**os.environ, "INSCL_CACHE": str(cache), "COLUMNS": "150"},
            cwd=tmp_path,
            check=False,
        )

    return run


def test_shares_cases_and_a_file(
    inscl: Callable[..., Done], call: Callable[..., Done], toy: Path, tmp_path: Path
) -> None:
    assert inscl("run", toy).returncode == 0
    spoil(tmp_path / "run", "01-upper", 1.0, "WORD")
    spoil(tmp_path / "run", "03-length", 0.0, "7\x1b[2J")
    done = call(tmp_path / "run", "--out", tmp_path / "cases.jsonl")
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in (tmp_path / "cases.jsonl").read_text(encoding="utf-8").splitlines()]
    lost = [row for row in rows if row["task"] == "upper"]
    assert lost
    assert {row["score_before"] - row["score_end"] for row in lost} == {1.0}
    line = next(line.split() for line in done.stdout.splitlines() if line.split()[:1] == ["upper"])
    related = sum(row["related"] for row in lost)
    assert line[1:5] == [str(number) for number in (len(lost), len(lost), related, len(lost) - related)]
    assert "\x1b[2J" not in done.stdout
    assert r"7\x1b[2J" in done.stdout
    refused(call(tmp_path / "run", "--right", "0.2"), 2, "wrong <= right")
    refused(call(tmp_path / "run", "--metric", "bleu"), 2, "bleu.*there are")


def test_no_run_there(call: Callable[..., Done], tmp_path: Path) -> None:
    refused(call(tmp_path / "no-run"), 2, "no-run")


def test_the_thresholds_are_those_of_the_report() -> None:
    parameters = inspect.signature(command).parameters
    assert (parameters["right"].default, parameters["wrong"].default) == (RIGHT, WRONG)


def spoil(run: Path, stage: str, score: float, answer: str) -> None:
    """Write answers and scores of the first task after a stage."""
    number, task = stage.split("-")
    record = Record(run / "stages" / stage, int(number), task)
    rows = record.rows("predictions/upper.jsonl")
    for row in rows:
        row["prediction"], row["scores"] = answer, dict.fromkeys(row["scores"], score)
    record.write_rows("predictions/upper.jsonl", rows)
