from __future__ import annotations

from pathlib import Path

import pytest

from inscl.models.decoding import generate_greedily
from inscl.models.packed_reading import reads_packed


@pytest.fixture(scope="module", params=["packed", "padded"])
def model(tiny_model: Path, request: pytest.FixtureRequest):
    from transformers import AutoModelForCausalLM

    attention = "sdpa" if request.param == "packed" else "eager"
    found = AutoModelForCausalLM.from_pretrained(tiny_model, attn_implementation=attention).eval()
    assert reads_packed(found) is (request.param == "packed")
    return found


PROMPTS = [[5, 6, 7], [9] * 20, [30, 31, 32, 33, 34], [100], [5, 6, 7, 8]]


def alone(model, prompt: list[int], ends: set[int], length: int) -> list[int]:
    """Greedy decoding without cache, batch or padding."""
    import torch

    tokens = list(prompt)
    while len(tokens) - len(prompt) < length:
        with torch.no_grad():
            token = int(model(input_ids=torch.tensor([tokens])).logits[0, -1].argmax())
        if token in ends:
            break
        tokens.append(token)
    return tokens[len(prompt) :]


@pytest.mark.parametrize("batch_size", [1, 2, 3, 8])
def test_a_batch_answers_as_each_prompt_alone(model, batch_size: int) -> None:
    free = [alone(model, prompt, set(), 12) for prompt in PROMPTS]
    # Ends that stop some rows early and others never, so that rows leave the batch while it goes on.
    ends = {free[0][3], free[2][1]}
    expected = [alone(model, prompt, ends, 12) for prompt in PROMPTS]
    assert len({len(answer) for answer in expected}) > 1
    told: list[int] = []
    found = generate_greedily(
        model, PROMPTS, max_new_tokens=12, batch_size=batch_size, end_tokens=ends, pad_token=2, advance=told.append
    )
    assert found == expected
    assert told[-1] == len(PROMPTS)


def test_an_answer_may_be_empty(model) -> None:
    first = alone(model, [5, 6, 7], set(), 1)[0]
    found = generate_greedily(model, [[5, 6, 7]], max_new_tokens=4, batch_size=2, end_tokens={first}, pad_token=2)
    assert found == [[]]


@pytest.mark.parametrize("batch_size", [1, 3])
def test_an_answer_ends_where_it_is_told_to_and_the_others_go_on(model, batch_size: int) -> None:
    free = [alone(model, prompt, set(), 8) for prompt in PROMPTS]
    ends = [free[1][:3], free[3][:1]]
    found = generate_greedily(
        model,
        PROMPTS,
        max_new_tokens=8,
        batch_size=batch_size,
        end_tokens=(),
        pad_token=2,
        over=lambda one: one in ends,
    )
    expected = [next((end for end in sorted(ends, key=len) if one[: len(end)] == end), one) for one in free]
    assert found == expected
    assert {1, 3, 8} <= set(map(len, found))
