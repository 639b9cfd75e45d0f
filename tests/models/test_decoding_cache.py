from __future__ import annotations

import pytest

from inscl.models.decoding_cache import joined, joins


def read(tokens: int, rows: int, seed: int):
    """A cache of two layers as transformers makes it."""
    import torch
    from transformers import DynamicCache

    generator = torch.Generator().manual_seed(seed)
    cache = DynamicCache()
    for layer in range(2):
        cache.update(*(torch.randn(rows, 3, tokens, 4, generator=generator) for _ in range(2)), layer)
    return cache


def test_rows_are_put_together_behind_zeros() -> None:
    import torch

    short, long = read(5, 2, 0), read(9, 1, 1)
    whole = joined([short, long])
    assert whole.get_seq_length() == 9
    for layer, one, other in zip(whole.layers, short.layers, long.layers, strict=True):
        assert torch.equal(layer.keys[:2, :, 4:], one.keys)
        assert not layer.keys[:2, :, :4].any()
        assert torch.equal(layer.values[2:], other.values)


def test_it_grows_and_lets_go_of_rows_as_the_cache_of_transformers_does() -> None:
    import torch

    plain, ours = read(6, 5, 0), joined([read(6, 5, 0)])
    generator = torch.Generator().manual_seed(1)
    for step in range(90):  # more than there is room for at first
        if step in (10, 70):
            kept = torch.tensor([0, 2, 3] if step == 10 else [1])
            plain.batch_select_indices(kept)
            ours.batch_select_indices(kept)
        rows = len(plain.layers[0].keys)
        for layer in range(2):
            new = [torch.randn(rows, 3, 1, 4, generator=generator) for _ in range(2)]
            for mine, theirs in zip(ours.update(*new, layer), plain.update(*new, layer), strict=True):
                assert torch.equal(mine, theirs)
    assert ours.get_seq_length() == plain.get_seq_length() == 96
    assert ours.get_mask_sizes(1, 0) == plain.get_mask_sizes(1, 0)


@pytest.mark.parametrize(("window", "expected"), [(None, True), (8, False)])
def test_layers_that_forget_are_not_joined(window: int | None, expected: bool) -> None:
    from transformers import MistralConfig, MistralForCausalLM

    config = MistralConfig(
        vocab_size=32, hidden_size=16, intermediate_size=16, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, sliding_window=window,
    )  # fmt: skip
    assert joins(MistralForCausalLM(config)) is expected
