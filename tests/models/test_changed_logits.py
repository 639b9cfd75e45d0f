from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from inscl.models.adapters.lora import LoRA
from inscl.models.changed_logits import changed_logits

TOKENS = [[5, 6, 7, 8], [9, 10, 11, 12]]


@pytest.fixture(params=["bare", "adapted"])
def model(request: pytest.FixtureRequest, tiny_model: Path) -> Any:
    from transformers import AutoModelForCausalLM

    bare = AutoModelForCausalLM.from_pretrained(tiny_model).eval()
    return bare if request.param == "bare" else LoRA(r=4).wrap(bare, "tiny").eval()


def test_logits_are_what_is_made_of_the_last_states_and_them(model: Any) -> None:
    import torch

    tokens, seen = torch.tensor(TOKENS), []

    def change(hidden: Any, logits: Any) -> Any:
        seen.append((hidden, logits))
        return logits * 2

    with torch.no_grad():
        plain = model(tokens, output_hidden_states=True)
        with changed_logits(model, change):
            found = model(tokens, logits_to_keep=torch.tensor([1, 3]))
        after = model(tokens)
    ((hidden, logits),) = seen
    assert torch.allclose(hidden, plain.hidden_states[-1][:, [1, 3]], atol=1e-5)
    assert torch.allclose(logits, plain.logits[:, [1, 3]], atol=1e-4)
    assert torch.allclose(found.logits, 2 * plain.logits[:, [1, 3]], atol=1e-4)
    assert torch.equal(after.logits, plain.logits)


def test_it_ends_with_the_block_whatever_happens(model: Any) -> None:
    import torch

    def broken(*_: Any) -> Any:
        raise RuntimeError("broken")

    with torch.no_grad():
        plain = model(torch.tensor(TOKENS)).logits
        with pytest.raises(RuntimeError, match="broken"), changed_logits(model, broken):
            model(torch.tensor(TOKENS))
        assert torch.equal(model(torch.tensor(TOKENS)).logits, plain)
