from __future__ import annotations

from pathlib import Path

import pytest

import inscl
from streams import toy_config, toy_stream


@pytest.fixture(scope="session")
def learned(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Path:
    """A run of three tasks that kept every stage's adapter."""
    folder = tmp_path_factory.mktemp("learned")
    config = toy_config(toy_stream(folder / "stream"), tiny_model, folder / "run")
    config["model"]["keep"] = "all"
    config["evaluation"]["max_new_tokens"] = 2
    inscl.run(config)
    return folder / "run"
