"""How like each other vectors are: fewer dimensions by PCA, and the nearest by the cosine."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

__all__ = ["by_nearness", "likeness", "principal_components"]

_DECIMALS = 6
"""Of a cosine: an embedder's rounding errors differ from batch to batch, and must not decide a rank."""

_NOISE = 1e-6
"""Of the longest vector: what is smaller is a rounding error of float32."""

Vectors = NDArray[np.float32]


def likeness(questions: Vectors, candidates: Vectors) -> NDArray[np.float64]:
    r"""The cosine of each question with each candidate, rounded to six decimals; 0 where a vector is zero.

    .. math:: \cos(q, c) = \frac{q \cdot c}{\lVert q \rVert \lVert c \rVert}

    Args:
        questions: Vectors, shape (n, d).
        candidates: Vectors, shape (m, d).

    Returns:
        Shape (n, m).
    """
    from sklearn.metrics.pairwise import cosine_similarity

    found = cosine_similarity(questions.astype(np.float64), candidates.astype(np.float64))
    rounded: NDArray[np.float64] = np.round(found, _DECIMALS)
    return rounded


def by_nearness(questions: Vectors, candidates: Vectors) -> NDArray[np.int64]:
    """The candidates in the order of their `likeness` to each question.

    Args:
        questions: Vectors, shape (n, d).
        candidates: Vectors, shape (m, d).

    Returns:
        Positions of candidates, shape (n, m), most alike first; of equal ones the first in the data.
    """
    return np.argsort(-likeness(questions, candidates), axis=1, kind="stable")


def principal_components(vectors: Vectors, most: int) -> Callable[[Vectors], Vectors]:
    r"""A projection on the directions in which `vectors` differ most.

    .. math:: p(x) = W^\top (x - \bar{v})

    where the columns of :math:`W` are the first `most` principal components of the vectors, or as many as there are.
    ReLLa (Lin et al., arXiv 2308.11131, its released code) takes 512 of its items' vectors. Since the mean is
    subtracted, cosines tell what remains apart, even though the mean-pooled states of a language model all point the
    same way.

    Args:
        vectors: Shape (n, d), n at least 1.
        most: Dimensions, at least 1.

    Returns:
        A function from shape (m, d) to shape (m, at most `most`), float32. Numbers below a millionth of the longest
        vector, from the mean, are 0: they are rounding errors, whose cosines would mean nothing.
    """
    from sklearn.decomposition import PCA

    centre = vectors.mean(axis=0)
    if np.ptp(vectors, axis=0).max(initial=0) == 0:  # nothing differs, so there is no direction to keep
        return lambda some: np.zeros((len(some), 1), dtype=np.float32)
    fitted = PCA(min(most, *vectors.shape), svd_solver="full").fit(vectors.astype(np.float64))
    least = _NOISE * float(np.linalg.norm(vectors - centre, axis=1).max())

    def project(some: Vectors) -> Vectors:
        found: NDArray[np.float64] = fitted.transform(some.astype(np.float64))
        return np.where(np.abs(found) < least, 0, found).astype(np.float32)

    return project
