"""What metrics declare, looked up by their names in a configuration."""

from __future__ import annotations

import pytest

from inscl.config.metrics import metric_traits, scales_of
from inscl.contract.scale import PERCENT, Scale
from inscl.contract.traits import MeasureTraits
from inscl.errors import UnknownComponentError


def test_scorers_and_measures_say_their_unit_and_direction() -> None:
    loss = Scale("nats", "lower")
    found = scales_of(["answer_loss", "rouge_l", "log_loss", "choice_accuracy"])
    assert found == {"answer_loss": loss, "rouge_l": PERCENT, "log_loss": loss, "choice_accuracy": PERCENT}
    assert next(iter(found)) == "answer_loss"
    assert isinstance(metric_traits("auc"), MeasureTraits)
    assert not isinstance(metric_traits("rouge_l"), MeasureTraits)
    with pytest.raises(UnknownComponentError):
        scales_of(["bleu"])
