"""How much the datastore counts beside the language model."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from inscl.learners.datastore.neighbours import Neighbours
from inscl.learners.datastore.store import Datastore, Reference

__all__ = ["UNKNOWN", "best_mixture"]

UNKNOWN = 0.5
"""The weight of a task that has too few references to hold some out."""
_GRID = np.arange(20) / 20
"""What is tried: 0, 0.05, ... 0.95. With 1 a token that no neighbour has would be impossible."""


def best_mixture(
    references: Sequence[Reference], held_out: int, search: Callable[[NDArray[np.float32]], Neighbours]
) -> float:
    r"""The mixture weight under which held-out answers of a task are most likely.

    .. math:: \hat\lambda = \arg\max_\lambda \sum_t \ln(\lambda\, r(y_t) + (1 - \lambda)\, p_{LM}(y_t))

    over the positions of held-out references, with :math:`r` from the others. Nothing but the references decides it:
    those with the smallest ids are held out, which is a random choice, since ids are digests of what examples say. The
    paper compares weights by hand; that a weight is chosen like this is a reconstruction. An example whose options were
    rotated is held out with all its rotations, and asked as it is.

    Args:
        references: Of one task.
        held_out: Most examples that are held out; at most half of them are.
        search: Makes the search over the keys of the others.
    """
    ids = sorted({one.id for one in references})
    chosen = set(ids[: min(held_out, len(ids) // 2)])
    if not chosen:
        return UNKNOWN
    asked = Datastore(one for one in references if one.id in chosen and not one.turn)
    rest = Datastore(one for one in references if one.id not in chosen)
    places, weights = search(rest.keys)(asked.keys)
    right = (weights * (rest.values[places] == asked.values[:, None])).sum(axis=1)
    alone = np.exp(asked.log_probabilities.astype(np.float64))
    mixed = _GRID[:, None] * right + (1 - _GRID[:, None]) * alone
    return float(_GRID[np.log(np.maximum(mixed, np.finfo(float).tiny)).sum(axis=1).argmax()])
