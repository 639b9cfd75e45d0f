from __future__ import annotations

import pytest

from inscl.errors import ConfigError
from inscl.models.adapters.choose import make_adapter
from inscl.models.adapters.none import FullFineTuning


def test_no_settings_train_every_weight() -> None:
    assert isinstance(make_adapter(None), FullFineTuning)


def test_a_kind_and_its_parameters() -> None:
    assert make_adapter({"kind": "lora", "r": 4}).to_json()["r"] == 4
    assert make_adapter({"r": 4}).to_json()["kind"] == "lora"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"kind": "lorra"}, r"model\.adapter\.kind.*'lora'"),
        ({"kind": "lora", "rr": 4}, r"model\.adapter\.rr: no such parameter"),
        ({"kind": "lora", "r": 0, "dropout": 2}, r"(?s)model\.adapter\.r.*model\.adapter\.dropout"),
        ({"kind": "none", "r": 4}, r"model\.adapter\.r"),
    ],
)
def test_mistakes_are_told_by_their_keys(given: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        make_adapter(given)
