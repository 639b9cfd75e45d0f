"""`check_adapter`: what an adapter must keep."""

from __future__ import annotations

import json
from collections.abc import Callable

from inscl.contract.seams import Adapter
from inscl.testing.made import tiny_model

__all__ = ["check_adapter"]


def check_adapter(factory: Callable[[], Adapter]) -> None:
    """Check that an adapter keeps the contract, on a tiny random model.

    It wraps a model so that something can be trained, by gradients that arrive there; what it says of the base weights
    is true; its parameters are JSON with a kind; and two of the same parameters say the same.

    Args:
        factory: Makes the adapter, as in ``lambda: Norms()``. The model is a Llama of one layer: parameters that
            select weights must select some of it.

    Raises:
        AssertionError: What is broken, in words.
    """
    import torch

    said = factory().to_json()
    assert json.loads(json.dumps(said)) == said, "to_json gives something that JSON can't hold"
    assert said.get("kind"), "to_json doesn't say the kind"
    assert factory().to_json() == said, "two adapters of the same parameters say different things of themselves"
    adapter, model = factory(), tiny_model()
    before = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    torch.manual_seed(0)
    wrapped = adapter.wrap(model, "tiny", 1)
    trained = [weight for weight in wrapped.parameters() if weight.requires_grad]
    assert trained, f"nothing is left to train; the weights of this model are {', '.join(before)}"
    tokens = torch.tensor([[1, 2, 3, 4]])
    optimiser = torch.optim.SGD(trained, lr=0.5)
    for _ in range(2):
        optimiser.zero_grad()
        wrapped(input_ids=tokens, labels=tokens).loss.backward()
        optimiser.step()
    assert any(weight.grad is not None and bool(weight.grad.any()) for weight in trained), "no gradient arrives"
    if adapter.keeps_base:
        bare = wrapped.unload() if hasattr(wrapped, "unload") else wrapped
        same = all(torch.equal(before[name], weight) for name, weight in bare.named_parameters() if name in before)
        assert same, "keeps_base is True, and training changed the weights that the model came with"
    assert all(hasattr(one, "on_step_end") for one in adapter.callbacks()), "callbacks must be TrainerCallbacks"
