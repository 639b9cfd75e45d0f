"""``inscl refine``: mistakes leave nothing behind, and an interruption leaves nothing half-written."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from inscl.data import load_stream
from inscl.storage.files.atomic import read_json
from streams import toy_stream
from typed import Done, refused
from workspace.conftest import everything

INTERRUPTED = """
import signal
from inscl.cli import main
from inscl.refining import refine_stream as module

refine, calls = module.refine_split, []

def interrupted(*arguments):
    calls.append(1)
    if len(calls) == 2:
        signal.raise_signal(signal.SIGINT)
    return refine(*arguments)

module.refine_split = interrupted
main()
"""


def test_it_tells_what_became_of_the_rows(inscl: Callable[..., Done], tmp_path: Path) -> None:
    data = toy_stream(tmp_path / "data")
    done = inscl("refine", data, tmp_path / "out", "--with", "deduplicate", "--set", "threshold=0.3")
    assert done.returncode == 0, done.stderr
    counts = read_json(tmp_path / "out" / "refine.json")["tasks"]
    for task, of_task in counts.items():
        assert f"{task}: {of_task['kept']} kept, 0 replaced, 0 added, {of_task['rejected']} rejected" in done.stdout
    assert sum(of_task["rejected"] for of_task in counts.values()) > 0
    assert "deduplicate" in inscl("list", "refiners").stdout


def test_mistakes_are_told_and_leave_nothing_behind(inscl: Callable[..., Done], tmp_path: Path) -> None:
    data, out = toy_stream(tmp_path / "data"), tmp_path / "out"
    before = everything(tmp_path)
    refused(inscl("refine", data, out, "--with", "dedupe"), 2, "did you mean 'deduplicate'")
    refused(inscl("refine", data, out, "--with", "deduplicate", "--set", "tresh=1"), 2, "tresh", "threshold")
    refused(inscl("refine", data, out, "--with", "deduplicate", "--set", "threshold=2"), 2, "threshold", "up to 1")
    refused(inscl("refine", data, out, "--with", "deduplicate", "--set", "by=words"), 2, "by")
    refused(inscl("refine", data, out, "--with", "deduplicate", "--leaks", "perhaps"), 2, "leaks")
    refused(inscl("refine", tmp_path / "nowhere", out, "--with", "deduplicate"), 2, "nowhere")
    refused(inscl("refine", data, out, "--with", "deduplicate", "--on", "rays"), 2, "expected local or ray")
    refused(
        inscl("refine", data, out, "--with", "deduplicate", "--on", "ray"), 2, "can't be dealt out", "Leave --on out"
    )
    refused(inscl("refine", data, data, "--with", "deduplicate"), 2, "isn't empty", "another folder")
    assert everything(tmp_path) == before
    (data / "upper.jsonl").write_text('{"instruction": "Do it.", "input": "x"}\n')
    refused(inscl("refine", data, out, "--with", "deduplicate"), 2, "upper.jsonl, line 1", "no column 'outputs'")
    assert not out.exists()


def test_ctrl_c_leaves_whole_files_and_the_same_command_goes_on(inscl: Callable[..., Done], tmp_path: Path) -> None:
    data, out = toy_stream(tmp_path / "data"), tmp_path / "out"
    command = [sys.executable, "-c", INTERRUPTED, "refine", str(data), str(out), "--with", "deduplicate"]
    done = subprocess.run(command, env=dict(os.environ), capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 130, done.stderr
    assert "Traceback" not in done.stderr
    written = {name for name in everything(out) if name != ".lock"}
    assert written == {"refine.json", "rejected.jsonl", str(Path("tasks", "backwards.jsonl"))}
    assert not read_json(out / "refine.json")["complete"]
    for line in (out / "tasks" / "backwards.jsonl").read_text().splitlines():
        json.loads(line)
    refused(inscl("data", "show", out), 2, "interrupted", "inscl refine")
    again = inscl("refine", data, out, "--with", "deduplicate")
    assert again.returncode == 0, again.stderr
    assert "rejected (done before)" in again.stdout
    assert load_stream(out).names == load_stream(data).names
