from __future__ import annotations

import importlib

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
