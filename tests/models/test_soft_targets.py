"""The likeliest tokens of answers, against one plain forward pass over each example."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from inscl.models.prompts import Encoded
from inscl.models.soft_targets import soft_targets

EXAMPLES = [
    Encoded([5, 6, 7, 8, 9, 10, 2], 4),
    Encoded([11, 12, 2], 1),
    Encoded([*range(20, 40), 2], 15, learned=((3, 9),)),  # an earlier answer, of which nothing is kept
]


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_they_are_the_likeliest_tokens_of_a_plain_pass(tiny_model: Path, attention: str) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(tiny_model, attn_implementation=attention).eval()
    found = soft_targets(model, EXAMPLES, 5, batch_size=2, pad_token=2)
    for one, example in zip(found, EXAMPLES, strict=True):
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([example.tokens])).logits[0, example.prompt_length - 1 : -1]
        best = logits.double().log_softmax(-1).topk(5, dim=-1)
        assert one.tokens.tolist() == best.indices.tolist()
        assert one.log_probabilities == pytest.approx(best.values.numpy(), abs=1e-4)
        assert (one.tokens.dtype, one.log_probabilities.dtype) == (np.int32, np.float32)


def test_the_whole_vocabulary_is_never_kept(tiny_model: Path) -> None:
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(tiny_model).eval()
    (found,) = soft_targets(model, EXAMPLES[1:2], 10_000, batch_size=2, pad_token=2)
    assert found.tokens.shape == (2, model.config.vocab_size - 1)
