"""Attention of pieces without gradients, against the sums written out in float64."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from inscl.models import packed_attention
from inscl.models.packed_attention import _attend


def states(tokens: int, dtype: str, heads: int = 6, groups: int = 2, width: int = 16):
    import torch

    generator = torch.Generator().manual_seed(tokens)
    sizes = (heads, groups, groups)
    return [torch.randn(1, size, tokens, width, generator=generator).to(getattr(torch, dtype)) for size in sizes]


def plainly(query, key, value, start: int, end: int, path: list[int]):
    """What the tokens from `start` to `end`, the last of `path`, see."""
    import torch

    repeated = [part[0].double().repeat_interleave(query.shape[1] // key.shape[1], 0)[:, path] for part in (key, value)]
    scores = query[0, :, start:end].double() @ repeated[0].transpose(1, 2) * query.shape[3] ** -0.5
    own, whole = end - start, len(path)
    scores = scores.masked_fill(~torch.ones(own, whole, dtype=torch.bool).tril(whole - own), float("-inf"))
    return (scores.softmax(-1) @ repeated[1]).transpose(0, 1)


@pytest.mark.parametrize(("dtype", "far"), [("float32", 1e-5), ("bfloat16", 2e-2)])
@pytest.mark.parametrize("settings", [{}, {"is_causal": True}], ids=["plain", "more"])
def test_each_token_sees_its_text_up_to_itself(dtype: str, far: float, settings: dict[str, bool]) -> None:
    import torch

    query, key, value = states(520, dtype)
    # A beginning of more than a block, two ends of it (a long and a single token), one text alone, one token alone.
    paths = [
        (0, 130, list(range(130))),
        (130, 390, [*range(100), *range(130, 390)]),
        (390, 391, [*range(130), 390]),
        (391, 519, list(range(391, 519))),
        (519, 520, [519]),
    ]
    pieces = [(start, end, torch.tensor(path), None) for start, end, path in paths]
    module = SimpleNamespace(num_key_value_groups=3, is_causal=True, layer_idx=0)
    with torch.no_grad():
        found, _ = _attend(module, query, key, value, None, scaling=16**-0.5, packed_pieces=pieces, **settings)
    assert found.dtype == query.dtype
    for start, end, path in paths:
        expected = plainly(query, key, value, start, end, path)
        torch.testing.assert_close(found[0, start:end].double(), expected, atol=far, rtol=far)


def test_what_isnt_plain_is_left_to_transformers(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    query, key, value = states(40, "bfloat16")
    module = SimpleNamespace(num_key_value_groups=3, is_causal=True, layer_idx=0)
    monkeypatch.setattr(packed_attention, "_read_bf16", lambda *_: pytest.fail("not plain"))
    bias = torch.zeros(1, 6, 40, 40)
    bias[..., 0] = 50.0  # all look at the first token
    with torch.no_grad():
        found, _ = _attend(module, query, key, value, None, packed_pieces=[(0, 40, None, None)], position_bias=bias)
    first = value[0, :, 0].repeat_interleave(3, 0).expand(40, -1, -1)
    torch.testing.assert_close(found[0], first, atol=2e-2, rtol=2e-2)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_chance_is_drawn_where_a_model_in_training_would_draw_it(dtype: str) -> None:
    import torch

    query, key, value = states(40, dtype)
    module = SimpleNamespace(num_key_value_groups=3, is_causal=True, layer_idx=0)
    before = torch.random.get_rng_state()
    with torch.no_grad():
        _attend(module, query, key, value, None, packed_pieces=[(0, 40, None, None)], dropout=0.5)
    assert not torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize("rows", [1, 2, 96])
@pytest.mark.parametrize("before", [0, 1, 7, 8, 9, 1000])
def test_a_mask_hides_what_comes_later(rows: int, before: int) -> None:
    import torch

    found = packed_attention._mask(rows, before + rows)
    seen = torch.ones(rows, before + rows).tril(before).bool()
    assert torch.equal(found == 0, seen)
    assert torch.equal(found == float("-inf"), ~seen)


@pytest.mark.parametrize("own", [1, 3])
def test_values_of_another_precision_than_queries_are_read(own: int) -> None:
    """As autocast leaves them where the weights are float32."""
    import torch

    from inscl.models.packed_attention import _read

    torch.manual_seed(0)
    module = torch.nn.Module()
    module.num_key_value_groups = 2
    query, key, value = torch.randn(1, 4, own, 8), torch.randn(1, 2, 3, 8), torch.randn(1, 2, 3, 8).bfloat16()
    found = torch.empty(1, own, 4, 8)
    _read(module, query, key, value, {"scaling": 8**-0.5, "dropout": 0.0}, found)
    keys, values = (part.float().repeat_interleave(2, dim=1) for part in (key, value))
    mask = torch.ones(own, 3, dtype=torch.bool).tril(3 - own)
    wanted = torch.nn.functional.scaled_dot_product_attention(query, keys, values, attn_mask=mask)
    torch.testing.assert_close(found, wanted.transpose(1, 2), rtol=1e-4, atol=1e-4)
