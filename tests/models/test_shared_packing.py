from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from inscl.models.batches import pack
from inscl.models.packed_attention import packed_attention
from inscl.models.prompts import Encoded
from inscl.models.shared_packing import SharedRow, alike, pack_shared, shares_exactly

EXAMPLES = [
    Encoded([1, 2, 3, 4, 5, 6], 4),
    Encoded([1, 2, 3, 4, 7, 8, 9], 5),
    Encoded([1, 2, 3, 9, 9], 4),
    Encoded([1, 2, 3, 4, 5, 6], 4),  # the first again
    Encoded([7, 7, 7], 2),
    Encoded([1, 2, 3, 4], 1),  # the beginning of others
]


@pytest.fixture(scope="module")
def model(tiny_model: Path) -> Any:
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(tiny_model).eval()


def test_each_token_of_the_trie_is_there_once() -> None:
    batch = pack_shared(EXAMPLES)
    distinct = {tuple(one.tokens[: end + 1]) for one in EXAMPLES for end in range(len(one.tokens))}
    assert batch["input_ids"].shape == batch["position_ids"].shape == (1, len(distinct))
    row = SharedRow.of([one.tokens for one in EXAMPLES])
    assert [[row.tokens[place] for place in path] for path in row.paths] == [one.tokens for one in EXAMPLES]
    assert all([row.positions[place] for place in path] == list(range(len(path))) for path in row.paths)
    bounds = [(start, end) for start, end, *_ in batch["packed_pieces"]]
    assert [place for start, end in bounds for place in range(start, end)] == list(range(len(distinct)))


def test_loss_positions_see_what_they_see_apart_and_pass_back_the_same_gradients(model: Any) -> None:
    import torch

    found = []
    with packed_attention(model):
        for join in (pack, pack_shared):
            model.zero_grad()
            batch = join(EXAMPLES)
            labels = batch.pop("labels")[:, 1:]
            logits = model(**batch).logits
            torch.nn.functional.cross_entropy(logits[0], labels[0], reduction="sum").backward()
            gradients = [weight.grad.clone() for weight in model.parameters()]
            found.append((labels.tolist(), logits.detach(), gradients))
    (labels, logits, gradients), (others, shared, also) = found
    assert labels == others
    torch.testing.assert_close(shared, logits)
    torch.testing.assert_close(also, gradients, rtol=1e-3, atol=1e-5)


def test_only_attention_by_paths_shares(model: Any) -> None:
    assert not shares_exactly(model)
    with packed_attention(model):
        assert shares_exactly(model)


@pytest.mark.parametrize(
    ("most", "parts"),
    [(1, [[5, 0, 3, 1, 2, 4]]), (2, [[5, 0, 3, 1], [2, 4]]), (9, [[5, 0, 3], [1], [2], [4]])],
)
def test_examples_that_begin_alike_are_taught_together(most: int, parts: list[list[int]]) -> None:
    # Distinct tokens: 4, 2 more, none, 3 more, 2 more, 3 more; a part of its own pays for its beginning again.
    assert alike([one.tokens for one in EXAMPLES], most) == parts
