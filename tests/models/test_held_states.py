from __future__ import annotations

from pathlib import Path

import pytest

from inscl.models.held_states import HeldText, read_on
from inscl.models.packed_attention import packed_attention


@pytest.fixture(scope="module")
def model(tiny_model: Path):
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(tiny_model).eval()


def test_keys_and_values_are_those_that_transformers_keeps(model) -> None:
    import torch

    first = HeldText.after(None, [5, 6, 7, 8, 9], 9)
    second = HeldText.after(first, [5, 6, 7, 30], 4)
    assert (first.read, second.read) == (0, 3)
    with torch.inference_mode(), packed_attention(model):
        logits = [read_on(model, [first, second])]
        first.tokens += [40, 41]
        logits.append(read_on(model, [first]))
        # What was added to the first may not have been read when another text begins, so that is read again.
        third = HeldText.after(first, [5, 6, 7, 8, 9, 40, 3], 7)
        assert third.read == 5
        logits.append(read_on(model, [third]))
    assert second.begun is third.begun is None  # nothing holds a text that has ended
    said = [logits[0][1], logits[1][0], logits[2][0]]
    for text, own in zip((second, first, third), said, strict=True):
        with torch.inference_mode():
            plain = model(input_ids=torch.tensor([text.tokens]), use_cache=True)
        torch.testing.assert_close(own, plain.logits[0, -1], atol=1e-4, rtol=1e-4)
        for number, layer in enumerate(plain.past_key_values.layers):
            with torch.inference_mode():
                held = text.states(number, layer.keys[:, :, :0], layer.values[:, :, :0])
            torch.testing.assert_close(list(held), [layer.keys, layer.values], atol=1e-4, rtol=1e-4)


def test_a_text_has_room_for_itself_alone(model) -> None:
    import torch

    short, long = HeldText.after(None, [5], 3), HeldText.after(None, [9] * 90, 95)
    with torch.inference_mode(), packed_attention(model):
        read_on(model, [short, long])
    sizes = [keys.shape[2] for text in (short, long) for keys, _ in text._layers.values()]
    assert sizes == [3, 3, 95, 95]
