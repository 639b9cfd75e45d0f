"""Texts in one row whose common beginnings are there once: read once and, in training, gone back through once.

Examples and questions of a task share the chat template's beginning and often their instruction. In a causal model the
states of a beginning don't depend on what follows, so one copy serves all that begin with it; the gradients of all of
them meet there. Loss and gradients are those of the texts apart, but for rounding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from inscl.contract.objective import IGNORED
from inscl.models.modes import evaluating
from inscl.models.prompts import Encoded
from inscl.models.shared_prefixes import common_length

__all__ = ["SharedRow", "alike", "alphabetical", "pack_shared", "shares_exactly"]


@dataclass(frozen=True)
class SharedRow:
    """Texts in one row, each without what it shares with the one before it in lexicographic order.

    Attributes:
        tokens: The row: every distinct beginning's last token once.
        positions: Where each of them stands in its texts.
        paths: For each text the places of all its tokens in the row.
        pieces: What attention takes one after the other, in the order of the row: a piece's first place, its end, and
            the places that it sees, its own among them; see `inscl.models.packed_attention`.
    """

    tokens: list[int]
    positions: list[int]
    paths: list[list[int]]
    pieces: list[tuple[int, int, list[int]]]

    @classmethod
    def of(cls, texts: Sequence[Sequence[int]]) -> SharedRow:
        """The row of these token ids."""
        row = cls([], [], [[] for _ in texts], [])
        before: int | None = None
        for k in alphabetical(texts):
            own, start = texts[k], len(row.tokens)
            shared = 0 if before is None else common_length(texts[before], own)
            inherited = [] if before is None else row.paths[before][:shared]
            row.paths[k] += [*inherited, *range(start, start + len(own) - shared)]
            row.tokens.extend(own[shared:])
            row.positions.extend(range(shared, len(own)))
            if shared < len(own):
                row.pieces.append((start, len(row.tokens), row.paths[k]))
            before = k
        return row

    def inputs(self) -> dict[str, Any]:
        """What a model takes: ``input_ids``, ``position_ids`` of shape (1, distinct tokens), ``packed_pieces``."""
        import torch

        return {
            "input_ids": torch.tensor([self.tokens]),
            "position_ids": torch.tensor([self.positions]),
            "packed_pieces": [_piece(*piece) for piece in self.pieces],
        }


def pack_shared(examples: Sequence[Encoded]) -> dict[str, Any]:
    """All examples in one `SharedRow`.

    Such a row is only understood within `inscl.models.packed_attention.packed_attention`.

    Returns:
        `SharedRow.inputs`; ``logits_to_keep`` and ``labels`` as `inscl.models.batches.pack` has them, in the order of
        `examples`.
    """
    import torch

    row = SharedRow.of([one.tokens for one in examples])
    kept = [path[at - 1] for path, one in zip(row.paths, examples, strict=True) for at in one.positions]
    return {
        **row.inputs(),
        "logits_to_keep": torch.tensor(kept),
        "use_cache": False,
        "labels": torch.tensor([[IGNORED, *(one.tokens[at] for one in examples for at in one.positions)]]),
    }


def _piece(start: int, end: int, path: Sequence[int]) -> tuple[int, int, Any, Any]:
    """A piece with the places that it sees and a mask of shape (own, seen); None for both where it sees itself alone.

    A single token sees all of them, so it needs no mask.
    """
    import torch

    own = end - start
    if own == len(path):
        return start, end, None, None
    mask = torch.ones(own, len(path), dtype=torch.bool).tril(len(path) - own) if own > 1 else None
    return start, end, torch.tensor(path), mask


def shares_exactly(model: Any) -> bool:
    """Whether `model`, within `packed_attention`, lets an example see what it shares with another, and no more."""
    import torch

    bare = model.get_base_model() if hasattr(model, "peft_config") else model
    if bare.config._attn_implementation != "inscl_packed":
        return False
    second = Encoded([1, 2, 9, 5, 6], 3)
    others = [Encoded([1, 2, 3, 4], 3), Encoded([1, 2, 7, 8], 3)]  # the same beginning, another end
    with torch.no_grad(), evaluating(model):
        found = []
        for first in others:
            batch = pack_shared([first, second])
            del batch["labels"]
            found.append(model(**batch).logits[:, 1:])
        alone = pack_shared([Encoded([3, 4, 9, 5, 6], 3)])
        del alone["labels"]
        otherwise = model(**alone).logits
    return bool(torch.equal(*found)) and not bool(torch.equal(found[0], otherwise))


def alike(texts: Sequence[Sequence[int]], most: int) -> list[list[int]]:
    """Texts in at most `most` parts of about the same number of distinct tokens, those that begin alike together.

    In lexicographic order, the parts are runs of neighbours; their bound is the least for which so many are enough.

    Args:
        texts: Token ids of n texts, at least one.
        most: At least 1.

    Returns:
        The parts, none empty: places in `texts`.
    """
    order = alphabetical(texts)
    sizes = [len(texts[k]) for k in order]
    shared = [0, *(common_length(texts[one], texts[other]) for one, other in pairwise(order))]
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


def alphabetical(texts: Sequence[Sequence[int]]) -> list[int]:
    """Places of texts in the lexicographic order of their tokens: those that begin alike are neighbours."""
    return sorted(range(len(texts)), key=lambda k: (list(texts[k]), k))
