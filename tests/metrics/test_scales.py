"""Unit and direction of each metric."""

from inscl import metrics
from inscl.contract.scale import PERCENT, Scale

NATS = Scale("nats", "lower")


def test_unit_and_direction_of_each_metric():
    assert metrics.scale_of("average_performance", NATS) == NATS
    assert metrics.scale_of("forgetting", NATS) == NATS
    assert metrics.scale_of("backward_transfer", NATS) == Scale("nats", "higher")
    assert metrics.scale_of("perplexity_gain", NATS) == PERCENT
    assert metrics.scale_of("forgetting_rate", PERCENT) == Scale("percent", "lower")
    assert metrics.scale_of("average_incremental", PERCENT) == PERCENT
