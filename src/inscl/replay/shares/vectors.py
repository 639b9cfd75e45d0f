"""Vectors of texts, the known ones first, and the cosine between them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from inscl.contract import Memory
from inscl.contract.seams import Embedder
from inscl.contract.stored_facts import known_of
from inscl.errors import ConfigError, Problem

__all__ = ["cosines", "vectors_of"]


def vectors_of(texts: Sequence[str], memory: Memory, embedder: Embedder) -> NDArray[np.float64]:
    """Vectors of `texts`; the embedder is asked only for what the memory doesn't hold, once for each distinct text.

    Args:
        texts: n texts, repetitions allowed.
        memory: Its `vectors` are taken as they are.
        embedder: Embeds the rest.

    Returns:
        Shape (n, d), float64, one row a text in the same order; (0, 0) for no texts.

    Raises:
        ConfigError: The embedder returned another number of rows than texts, or vectors of another length than the
            memory's.
    """
    distinct = dict.fromkeys(texts)
    known = known_of(memory.vectors, distinct)
    missing = [text for text in distinct if text not in known]
    rows = list(embedder(missing)) if missing else []
    if len(rows) != len(missing):
        raise ConfigError([Problem("embedder", f"must return {len(missing)} rows for as many texts, got {len(rows)}")])
    known |= dict(zip(missing, rows, strict=True))
    found = [np.asarray(known[text]) for text in texts]
    shapes = {row.shape for row in found}
    if len(shapes) > 1:
        lengths = ", ".join(sorted(str(shape) for shape in shapes))
        raise ConfigError(
            [Problem("embedder", f"vectors differ in shape ({lengths}); use the embedder that filled the memory")]
        )
    return np.stack(found).astype(np.float64) if found else np.zeros((0, 0))


def cosines(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """Cosine of every row of `x` with every row of `y`.

    Args:
        x: Shape (n, d).
        y: Shape (m, d).

    Returns:
        Shape (n, m), in [-1, 1] and rounded to nine decimals, so that equal angles stay equal on every machine; 0 where
        one of the two is the zero vector.
    """
    rounded: NDArray[np.float64] = np.round(_unit(x) @ _unit(y).T, 9)
    return rounded


def _unit(x: NDArray[np.float64]) -> NDArray[np.float64]:
    lengths = np.linalg.norm(x, axis=1, keepdims=True)
    unit: NDArray[np.float64] = np.divide(x, lengths, out=np.zeros_like(x), where=lengths > 0)
    return unit
