from __future__ import annotations

from pathlib import Path

import pytest

from inscl.errors import ModelError
from inscl.models.adapters.lora import LoRA


def test_modes_say_what_becomes_of_the_weights() -> None:
    assert [
        (LoRA(mode=mode).keeps_base, LoRA(mode=mode).merges, LoRA(mode=mode).starts_fresh)
        for mode in ("keep", "merge", "fresh")
    ] == [(True, False, False), (False, True, False), (True, False, True)]


def test_layers_that_are_not_there_are_told(tiny_model: Path) -> None:
    from transformers import AutoModelForCausalLM

    with pytest.raises(ModelError, match="no adapter fits tiny"):
        LoRA(target_modules=["nothing"]).wrap(AutoModelForCausalLM.from_pretrained(tiny_model), "tiny")


def test_settings_that_peft_refuses_are_told(tiny_model: Path) -> None:
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(tiny_model)
    with pytest.raises(ModelError, match=r"no adapter fits tiny: .*layers_to_transform"):
        LoRA(layers_to_transform=[1]).wrap(model, "tiny")  # beside the names that `all-linear` stands for
