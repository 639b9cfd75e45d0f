from __future__ import annotations

import pytest

from inscl.errors import ConfigError
from inscl.learners.settings import check


def test_every_setting_that_cannot_be_is_told_with_its_key_and_learner() -> None:
    check({"model.prompt": ("chat", ("chat", "plain"))}, {"k": (0, 0)}, {"decay": (1, 1), "rate": (2.5, None)}, "cpt")
    with pytest.raises(ConfigError) as told:
        check(
            {"model.prompt": ("chta", ("chat", "plain"))},
            {"k": (True, 0), "keys": (0, 1), "n": (1.5, 1)},
            {"decay": (1.1, 1), "rate": (float("inf"), None), "radius": (0, None), "other": ("x", None)},
            "cpt",
        )
    for said in (
        "did you mean 'chat'",
        "k:",
        "keys:",
        "n:",
        "decay:",
        "at most 1",
        "rate:",
        "radius:",
        "other:",
        "cpt",
    ):
        assert said in str(told.value)
