from __future__ import annotations

from typing import Any

import pytest

from inscl.config.wrapping import name_and_params, unwrapped, wraps
from inscl.errors import ConfigError


def test_a_learner_inside_others_is_found() -> None:
    inside = {"name": "overprompt", "params": {"learner": "fine_tune"}}
    assert unwrapped("fine_tune", {"learner": "overprompt"}) == "fine_tune"
    assert unwrapped("overprompt", {}) == "fine_tune"
    assert unwrapped("overprompt", {"learner": inside}) == "fine_tune"
    assert unwrapped("overprompt", {"learner": "no such"}) == "no such"
    assert wraps("overprompt")
    assert not wraps("fine_tune")
    assert not wraps("no such")


@pytest.mark.parametrize(
    "learner", [3, None, {}, {"name": 3}, {"name": "x", "param": {}}, {"name": "x", "params": 3}, ["x"]]
)
def test_a_learner_that_is_named_in_no_right_form_is_refused(learner: Any) -> None:
    with pytest.raises(ConfigError, match="expected a name or"):
        name_and_params(learner)


def test_a_name_alone_has_no_parameters() -> None:
    assert name_and_params("x") == name_and_params({"name": "x", "params": None}) == ("x", {})
