"""Tokens beyond the vocabulary are known tokens that were moved."""

from __future__ import annotations

from pathlib import Path

import pytest

from inscl.models.language_model import LanguageModel
from inscl.models.soft_tokens import first_soft_token, soft_tokens


@pytest.fixture(scope="module")
def model(tiny_model: Path) -> LanguageModel:
    return LanguageModel(str(tiny_model))


def test_a_soft_token_is_its_known_token_moved_and_gradients_reach_the_move(model: LanguageModel) -> None:
    import torch

    network = model.model
    first = first_soft_token(network)
    assert first == network.config.vocab_size
    known, delta = [7, 9, 7], torch.randn((3, 32), generator=torch.manual_seed(1)).requires_grad_()
    rows = torch.tensor([[first, 5, first + 2], [8, first + 1, first]])
    with soft_tokens(network, known, delta):
        found = network(rows).logits
    embedded = network.get_input_embeddings()(torch.tensor([[7, 5, 7], [8, 9, 7]])).detach()
    moved = torch.stack(
        [torch.stack([delta[0], delta[0] * 0, delta[2]]), torch.stack([delta[0] * 0, delta[1], delta[0]])]
    )
    expected = network(inputs_embeds=embedded + moved).logits
    assert torch.equal(found, expected)
    (one,), (other,) = (torch.autograd.grad(logits.square().sum(), [delta]) for logits in (found, expected))
    assert torch.allclose(one, other, atol=1e-4)
    assert one.abs().sum(1).min() > 0


def test_prompts_that_share_a_soft_beginning_are_answered_as_one_by_one(model: LanguageModel) -> None:
    """Batches, caches and shared prefixes know nothing of it."""
    import torch

    delta = torch.randn((20, 32), generator=torch.manual_seed(2))
    known = list(range(20, 40))
    first = model.first_soft_token
    prompts = [[*range(first, first + 20), *range(50, 50 + size)] for size in (3, 9, 5, 7, 4)]
    with model.softened(known, delta):
        together = model.generate(prompts, max_new_tokens=6)
        assert together == [model.generate([prompt], max_new_tokens=6)[0] for prompt in prompts]
    with model.softened(known, delta * 0):
        still = model.generate(prompts, max_new_tokens=6)
    assert still == model.generate([[*known, *prompt[20:]] for prompt in prompts], max_new_tokens=6) != together


def test_outside_the_block_the_model_is_as_it_was(model: LanguageModel) -> None:
    import torch

    before = model.generate([[5, 6, 7]], max_new_tokens=4)
    with pytest.raises(RuntimeError, match="stop"), model.softened([5], torch.ones((1, 32))):
        raise RuntimeError("stop")
    assert model.generate([[5, 6, 7]], max_new_tokens=4) == before
    assert not model.model.get_input_embeddings()._forward_hooks
