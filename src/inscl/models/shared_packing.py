"""Packed examples whose common beginnings are in the row once: read once, and gone back through once.

Examples of a task share the chat template's beginning and often their instruction. In a causal model the states of a
beginning don't depend on what follows, so one copy serves all examples that begin with it; the gradients of all of them
meet there. Loss and gradients are those of the examples apart, but for rounding.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from inscl.contract.objective import IGNORED
from inscl.models.prompts import Encoded
from inscl.models.shared_prefixes import common_length

__all__ = ["alike", "pack_shared", "shares_exactly"]


def pack_shared(examples: Sequence[Encoded]) -> dict[str, Any]:
    """All examples in one row, each without the tokens that it shares with the one before it in lexicographic order.

    Such a row is only understood within `inscl.models.packed_attention.packed_attention`.

    Returns:
        ``input_ids``, ``position_ids`` of shape (1, distinct tokens); ``packed_paths``: the places of every token of
        every example, one example after the other, with how many tokens each has, and with which of them are the first
        to use their place; ``logits_to_keep`` and ``labels`` as `inscl.models.batches.pack` has them, in the order of
        `examples`.
    """
    import torch

    order = _alphabetical(examples)
    tokens: list[int] = []
    positions: list[int] = []
    paths: dict[int, list[int]] = {}
    new: list[int] = []
    before: int | None = None
    for k in order:
        own = examples[k].tokens
        shared = 0 if before is None else common_length(examples[before].tokens, own)
        inherited = [] if before is None else paths[before][:shared]
        paths[k] = [*inherited, *range(len(tokens), len(tokens) + len(own) - shared)]
        done = sum(len(paths[one]) for one in paths) - len(own)
        new += range(done + shared, done + len(own))
        tokens += own[shared:]
        positions += range(shared, len(own))
        before = k
    places = torch.tensor([place for k in order for place in paths[k]])
    return {
        "input_ids": torch.tensor([tokens]),
        "position_ids": torch.tensor([positions]),
        "packed_paths": (places, [len(paths[k]) for k in order], torch.tensor(new)),
        "logits_to_keep": torch.tensor([paths[k][at - 1] for k, one in enumerate(examples) for at in one.positions]),
        "use_cache": False,
        "labels": torch.tensor([[IGNORED, *(one.tokens[at] for one in examples for at in one.positions)]]),
    }


def shares_exactly(model: Any) -> bool:
    """Whether `model`, within `packed_attention`, lets an example see what it shares with another, and no more."""
    import torch

    bare = model.get_base_model() if hasattr(model, "peft_config") else model
    if bare.config._attn_implementation != "inscl_packed":
        return False
    second = Encoded([1, 2, 9, 5, 6], 3)
    others = [Encoded([1, 2, 3, 4], 3), Encoded([1, 2, 7, 8], 3)]  # the same beginning, another end
    training = model.training
    model.eval()
    with torch.no_grad():
        found = []
        for first in others:
            batch = pack_shared([first, second])
            del batch["labels"]
            found.append(model(**batch).logits[:, 1:])
        alone = pack_shared([Encoded([3, 4, 9, 5, 6], 3)])
        del alone["labels"]
        otherwise = model(**alone).logits
    model.train(training)
    return bool(torch.equal(*found)) and not bool(torch.equal(found[0], otherwise))


def alike(examples: Sequence[Encoded], most: int) -> list[list[int]]:
    """Examples in at most `most` parts of about the same number of distinct tokens, those that begin alike together.

    In lexicographic order, the parts are runs of neighbours; their bound is the least for which so many are enough.

    Args:
        examples: n examples, at least one.
        most: At least 1.

    Returns:
        The parts, none empty: places in `examples`.
    """
    order = _alphabetical(examples)
    sizes = [len(examples[k].tokens) for k in order]
    shared = [0, *(common_length(examples[one].tokens, examples[other].tokens) for one, other in pairwise(order))]
    least, enough = max(sizes), sum(sizes)
    while least < enough:
        middle = (least + enough) // 2
        if len(_runs(sizes, shared, middle)) <= most:
            enough = middle
        else:
            least = middle + 1
    return [[order[place] for place in run] for run in _runs(sizes, shared, enough)]


def _runs(sizes: Sequence[int], shared: Sequence[int], bound: int) -> list[list[int]]:
    """Neighbours together as long as they have at most `bound` distinct tokens."""
    runs: list[list[int]] = []
    total = 0
    for place, (size, common) in enumerate(zip(sizes, shared, strict=True)):
        if runs and total + size - common <= bound:
            runs[-1].append(place)
            total += size - common
        else:
            runs.append([place])
            total = size
    return runs


def _alphabetical(examples: Sequence[Encoded]) -> list[int]:
    return sorted(range(len(examples)), key=lambda k: (examples[k].tokens, k))
