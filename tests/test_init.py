from __future__ import annotations

import importlib
import os
import subprocess
import sys

import pytest

import inscl


def test_every_public_name_is_there_and_nothing_else_is_promised() -> None:
    for name in inscl.__all__:
        assert getattr(inscl, name) is not None
    assert sorted(inscl.__all__) == list(inscl.__all__)
    assert set(inscl.__all__) <= set(dir(inscl))


def test_every_all_of_every_module_is_true() -> None:
    for module in (
        "data",
        "replay",
        "tagging",
        "evaluation",
        "reports",
        "learners",
        "metrics",
        "transport",
    ):
        loaded = importlib.import_module(f"inscl.{module}")
        for name in loaded.__all__:
            assert hasattr(loaded, name), f"{module}.{name}"


@pytest.mark.parametrize("own", [None, "ACTIVE"])
def test_threads_sleep_while_they_wait_unless_the_user_says_otherwise(own: str | None) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    environment |= {"OMP_WAIT_POLICY": own} if own else {}
    code = "import inscl, os, sys; print(os.environ['OMP_WAIT_POLICY'], 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [own or "PASSIVE", "False"]
