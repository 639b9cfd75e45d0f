from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import forking
from streams import toy_config, toy_stream
from typed import Done, write_config
from workspace.conftest import data, learned, model, stub, workspace  # noqa: F401 - fixtures


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache that the commands of one session share."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def inscl(cache: Path, tmp_path: Path) -> Callable[..., Done]:
    """Calls the command line in a process of its own, forked, in an empty folder, without a terminal."""

    def call(*arguments: object, timeout: float = 300) -> Done:
        environment = {**os.environ, "INSCL_CACHE": str(cache), "COLUMNS": "150"}
        environment.pop("OPENAI_API_KEY", None)
        command = [sys.executable, "-c", "from inscl.cli import main; main()", *map(str, arguments)]
        return forking.run(command, timeout=timeout, env=environment, cwd=tmp_path)

    return call


@pytest.fixture
def toy(tmp_path: Path, tiny_model: Path) -> Path:
    """A configuration of a run of seconds; its run folder is ``run`` beside it."""
    return write_config(tmp_path, toy_config(toy_stream(tmp_path / "stream"), tiny_model, tmp_path / "run"))


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Done]:
    """Calls the command line in this process, where a stub can stand for a learner; without a terminal."""

    def call(*arguments: object) -> Done:
        from inscl.cli import main

        monkeypatch.setattr(sys, "argv", ["inscl", *map(str, arguments)])
        capsys.readouterr()
        code: object = 0
        try:
            main()
        except SystemExit as stopped:
            code = stopped.code
        said = capsys.readouterr()
        return subprocess.CompletedProcess(sys.argv, int(str(code or 0)), said.out, said.err)

    return call
