from __future__ import annotations

import pytest

from inscl.models.adapters.lora import LoRA
from inscl.models.adapters.none import FullFineTuning
from inscl.models.adapters.osf import OSF
from inscl.testing import check_adapter


def test_the_built_in_adapters_keep_the_contract() -> None:
    for adapter in (LoRA, OSF, FullFineTuning):
        check_adapter(adapter)


def test_an_adapter_that_says_it_keeps_the_weights_and_does_not_is_found() -> None:
    class Untrue(FullFineTuning):
        keeps_base = True

    with pytest.raises(AssertionError, match="keeps_base is True"):
        check_adapter(Untrue)


def test_an_adapter_with_nothing_to_train_is_found() -> None:
    class Frozen(FullFineTuning):
        def wrap(self, model, base_name, stage=1):
            return model.requires_grad_(False)

    with pytest.raises(AssertionError, match=r"nothing is left to train; the weights of this model are model\.embed"):
        check_adapter(Frozen)
