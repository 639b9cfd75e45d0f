"""``inscl run`` as a user types it, and the list of what can be wrong."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

import forking
from streams import toy_config, toy_stream
from typed import Done, refused, write_config


def test_a_run_prints_its_matrix_and_draws_its_report(inscl: Callable[..., Done], toy: Path, tmp_path: Path) -> None:
    done = inscl("run", toy, "--set", "replay.budget.total=2", "--out", tmp_path / "here")
    assert done.returncode == 0, done.stderr
    assert "3 length" in done.stdout
    assert "average_performance" in done.stdout
    assert "stage 3/3 length" in done.stderr
    assert (tmp_path / "here" / "report.html").exists()
    resolved = yaml.safe_load((tmp_path / "here" / "inscl.yaml").read_text())
    assert resolved["replay"]["budget"]["total"] == 2


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (
            {"strem": 1, "training": {"epochs": 0}, "replay": {"strategy": "inscll"}},
            ("3 problems", "'stream'", "'inscl'"),
        ),
        ({"replay": {"strategy": "magic"}}, ("magic", "there are: .*random")),
        ({"stream": {"path": "nowhere.jsonl"}}, ("nowhere.jsonl",)),
    ],
)
def test_a_wrong_configuration(
    inscl: Callable[..., Done], tmp_path: Path, content: dict[str, Any], said: tuple[str, ...]
) -> None:
    refused(inscl("run", write_config(tmp_path, content), "--out", tmp_path / "run"), 2, *said)
    assert not (tmp_path / "run").exists()


GOOD = b'{"instruction": "x", "input": "1", "output": "y"}\n{"instruction": "x", "input": "2", "output": "z"}\n'
BAD_STREAMS: dict[str, tuple[dict[str, bytes], str]] = {
    "wrong column": ({"a.jsonl": b'{"question": "x", "output": "y"}\n' * 3}, r"a\.jsonl, line 1.*"),
    "line 7": ({"a.jsonl": b'{"instruction": "x", "output": "y"}\n' * 6 + b'{"instr\n'}, r"a\.jsonl, line 7"),
    "junk": ({"a.jsonl": bytes(range(256)) * 9}, r"a\.jsonl"),
    "empty file": ({"a.jsonl": b""}, r"a\.jsonl"),
    "empty task": ({"a.jsonl": GOOD, "b.csv": b"instruction,output\n"}, r"b\.csv"),
    "one example": ({"a.jsonl": GOOD.split(b"\n")[0]}, "a"),
    "two of one name": ({"a.jsonl": GOOD, "a.csv": b"instruction,output\nx,y\nx,z\n"}, "a"),
    "control character": ({"a\x07b.jsonl": GOOD}, "name"),
    "nothing at all": ({}, "stream"),
}


@pytest.mark.parametrize("case", BAD_STREAMS)
def test_bad_streams(inscl: Callable[..., Done], tmp_path: Path, case: str) -> None:
    files, said = BAD_STREAMS[case]
    (tmp_path / "stream").mkdir()
    for name, content in files.items():
        (tmp_path / "stream" / name).write_bytes(content)
    config = write_config(tmp_path, {"stream": {"path": "stream"}, "replay": {"embedder": "ngrams"}})
    done = inscl("run", config, "--out", tmp_path / "run")
    refused(done, 2, said)
    assert "\x07" not in done.stderr
    assert not (tmp_path / "run").exists()


def test_a_model_that_isnt_there(inscl: Callable[..., Done], tmp_path: Path) -> None:
    config = toy_config(toy_stream(tmp_path / "stream"), tmp_path / "no-model", tmp_path / "run")
    refused(inscl("run", write_config(tmp_path, config)), 1, "no-model")
    assert not (tmp_path / "run").exists()


def test_a_folder_that_cant_be_written(inscl: Callable[..., Done], toy: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    refused(inscl("run", toy, "--out", tmp_path / "file" / "run"), 1, "choose another")


def test_rows_set_aside_are_counted_named_and_kept(
    inscl: Callable[..., Done], tmp_path: Path, tiny_model: Path
) -> None:
    stream = toy_stream(tmp_path / "stream")
    (stream / "upper.jsonl").write_bytes((stream / "upper.jsonl").read_bytes() + b'{"instruction": "no answer"}\n')
    config = write_config(tmp_path, toy_config(stream, tiny_model, tmp_path / "run"))
    refused(inscl("run", config), 2, r"upper\.jsonl, line 16")
    done = inscl("run", config, "--set", "stream.skip_bad_rows=true")
    assert done.returncode == 0, done.stderr
    assert "upper.jsonl" in done.stderr
    rejected = (tmp_path / "run" / "rejected.jsonl").read_text().splitlines()
    assert len(rejected) == 1
    assert "no answer" in rejected[0]


def test_a_full_disk_leaves_no_half_run(inscl: Callable[..., Done], toy: Path, tmp_path: Path, cache: Path) -> None:
    """A limit on file sizes stands for the full disk: the kernel refuses the write in the same way."""
    script = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv.pop(1)), resource.RLIM_INFINITY));"
        "from inscl.cli import main; main()"
    )
    environment = {**os.environ, "INSCL_CACHE": str(tmp_path / "cache")}
    for limit in (20, 40_000):
        command = [sys.executable, "-c", script, str(limit), "run", str(toy)]
        done = forking.run(command, env=environment)
        refused(done, 1, "error: ")
        assert not list(tmp_path.glob("run/**/*.part"))
        assert not (tmp_path / "run" / "stages" / "03-length" / "DONE").exists()
        assert not (tmp_path / "run" / "report.html").exists()
    whole = inscl("run", toy)
    assert whole.returncode == 0, whole.stderr


def test_ctrl_c_says_how_to_go_on_and_the_same_command_goes_on(
    inscl: Callable[..., Done], toy: Path, tmp_path: Path, cache: Path
) -> None:
    # Long enough that the signal comes in the middle of a stage.
    toy.write_text(toy.read_text().replace("epochs: 1", "epochs: 60"))
    command = [sys.executable, "-c", "from inscl.cli import main; main()", "run", str(toy)]
    environment = {**os.environ, "INSCL_CACHE": str(cache)}
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as running:
        assert running.stderr is not None
        for line in running.stderr:
            if "stage 2/3" in line:
                break
        running.send_signal(signal.SIGINT)
        rest = running.stderr.read()
        assert running.wait(timeout=60) == 130
    assert "Traceback" not in rest
    assert "give the same command again" in rest
    finished = len(list((tmp_path / "run").rglob("DONE")))
    assert 1 <= finished < 3
    done = inscl("run", toy)
    assert done.returncode == 0, done.stderr
    assert "stage 1/3" not in done.stderr
    assert len(json.loads((tmp_path / "run" / "scores.json").read_text())["cells"]) == 6
