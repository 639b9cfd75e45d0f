"""Parts of a network that were in evaluation mode stay there, whoever reads it in between."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from inscl.models.batches import packs_exactly
from inscl.models.modes import evaluating
from inscl.models.objectives.other_states import _mode
from inscl.models.packed_attention import packed_attention
from inscl.models.shared_packing import shares_exactly


def read_plainly(network: Any) -> None:
    with evaluating(network):
        assert not any(module.training for module in network.modules())


def read_other_states(network: Any) -> None:
    with _mode(network, gradients=False):
        assert not any(module.training for module in network.modules())


def read_with_gradients(network: Any) -> None:
    before = [module.training for module in network.modules()]
    with _mode(network, gradients=True):
        assert [module.training for module in network.modules()] == before


def check_sharing(network: Any) -> None:
    with packed_attention(network):
        assert shares_exactly(network)


def check_packing(network: Any) -> None:
    packs_exactly(network)


def interrupted(network: Any) -> None:
    with pytest.raises(KeyboardInterrupt), evaluating(network):
        raise KeyboardInterrupt


@pytest.mark.parametrize(
    "read", [read_plainly, read_other_states, read_with_gradients, check_sharing, check_packing, interrupted]
)
@pytest.mark.parametrize("training", [True, False])
def test_each_part_has_its_own_mode_afterwards(tiny_model: Path, read: Callable[[Any], None], training: bool) -> None:
    from transformers import AutoModelForCausalLM

    network = AutoModelForCausalLM.from_pretrained(tiny_model).train(training)
    network.model.layers[0].train(not training)  # as a part that is frozen, or one that alone is taught
    before = {name: module.training for name, module in network.named_modules()}
    assert len(set(before.values())) == 2
    read(network)
    assert {name: module.training for name, module in network.named_modules()} == before
