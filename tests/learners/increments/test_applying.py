"""Increments are added to the output projections of attention, whatever they are called and however they are kept."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import transformers

from inscl.errors import ModelError
from inscl.learners.increments.applying import applied, projections, shapes
from inscl.learners.increments.pool import Chosen, Pool

SMALL = {"vocab_size": 20, "max_position_embeddings": 16}
LLAMA = {"hidden_size": 8, "intermediate_size": 12, "num_hidden_layers": 2, "num_attention_heads": 2, "head_dim": 6}


def made(kind: str, **settings: Any) -> Any:
    torch.manual_seed(0)
    config = transformers.AutoConfig.for_model(kind, **SMALL, **settings)
    return transformers.AutoModelForCausalLM.from_config(config).eval()


@pytest.mark.parametrize(
    ("kind", "settings", "size"),
    [
        ("llama", LLAMA, (12, 8)),
        ("gpt2", {"n_embd": 8, "n_layer": 2, "n_head": 2}, (8, 8)),
        ("gpt_neox", {k: v for k, v in LLAMA.items() if k != "head_dim"}, (8, 8)),
    ],
)
def test_each_row_is_read_with_its_own_increment(kind: str, settings: dict[str, Any], size: tuple[int, int]) -> None:
    model = made(kind, **settings)
    assert list(shapes(model).values()) == [size] * 2
    pool = Pool.new(3, 2, 4, shapes(model), seed=0)
    pool.up = {name: torch.randn_like(one) for name, one in pool.up.items()}
    chosen = Chosen(torch.tensor([[0, 1], [2, 0]]), torch.tensor([[0.3, 0.7], [0.5, 0.5]]))
    average = pool.average(chosen)
    tokens = torch.tensor([[1, 2, 3], [4, 5, 6]])
    with torch.no_grad():
        plain = model(tokens).logits
        with applied(model, pool.down, pool.up, chosen, [(0.5, average)]):
            found = model(tokens).logits
        assert torch.equal(model(tokens).logits, plain)
        dense = {
            name: [
                sum(s * pool.up[name][p] @ pool.down[name][p] for p, s in zip(*row, strict=True))
                for row in zip(chosen.places, chosen.shares, strict=True)
            ]
            for name in pool.up
        }
        for row in range(2):
            changed = made(kind, **settings)
            for name, module in projections(changed).items():
                delta = dense[name][row] + 0.5 * sum(dense[name]) / 2
                module.weight += delta if hasattr(module, "in_features") else delta.T
            assert torch.allclose(found[row], changed(tokens[row : row + 1]).logits[0], atol=1e-5)
            assert not torch.allclose(found[row], plain[row], atol=1e-3)


def test_an_architecture_without_a_known_projection_is_refused() -> None:
    with pytest.raises(ModelError, match=r"no output projection of attention is known in a Linear: use the learner"):
        projections(torch.nn.Linear(2, 2))
