"""Commands that are given an address of object storage for a folder work there, or say that they can't."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from streams import toy_stream
from typed import Done, refused
from workspace.conftest import SETTINGS


def test_commands_that_cannot_say_so_and_make_nothing(
    typed: Callable[..., Done], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    data = toy_stream(tmp_path / "data")
    grid = {"run": {"stream": {"path": str(data)}}, "methods": ["none"], "output_dir": "s3://bucket/grid"}
    (tmp_path / "grid.yaml").write_text(json.dumps(grid))
    before = sorted(tmp_path.iterdir())
    for arguments in (
        ["refine", "data", "s3://bucket/refined", "--with", "deduplicate"],
        ["data", "show", "s3://bucket/data"],
        ["bench", "grid.yaml", "--submit", "slurm"],
    ):
        done = typed(*arguments)
        assert (done.returncode, "is an address and no folder" in done.stderr) == (2, True), (arguments, done.stderr)
        assert sorted(tmp_path.iterdir()) == before, arguments


def test_a_workspace_at_an_address(
    typed: Callable[..., Done], bucket: str, stub: None, model: Path, data: Callable[..., Path]
) -> None:
    address = f"{bucket}/support"
    changes = [part for change in SETTINGS for part in ("--set", change)]
    made = typed("init", address, "--model", model, *changes)
    assert made.returncode == 0, made.stderr
    assert f"workspace: {address}. Next: inscl learn DATA -w {address}" in made.stdout
    done = typed("learn", data("upper"), "-w", address, "--yes")
    assert done.returncode == 0, done.stderr
    assert "upper" in typed("status", "-w", address).stdout
    assert "learned" in typed("log", "-w", address).stdout
    assert typed("doctor", address).returncode == 0
    refused(typed("init", address, "--model", model), 2, f"{address} holds a workspace already")
    refused(typed("status", "-w", f"{bucket}/none"), 2, f"nothing is at {bucket}/none")


def test_what_the_storage_refuses_is_one_line(
    typed: Callable[..., Done], bucket: str, stub: None, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused(typed("init", "s3://no-such-bucket/w", "--model", model), 1, "see that the bucket exists")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "somebody-else")
    import s3fs

    s3fs.S3FileSystem.clear_instance_cache()
    done = typed("status", "-w", f"{bucket}/w")
    refused(done, 1, f"{bucket}/w/generations: ", "see that the keys in the environment are right")
    assert "hush" not in done.stderr
