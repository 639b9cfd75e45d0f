"""Examples that differ as much as they can."""

from __future__ import annotations

import numpy as np

from inscl.learners.demonstrations.pool import Pool

__all__ = ["diverse"]


def diverse(pool: Pool) -> list[int]:
    r"""Farthest-first traversal of the candidates' prompts (Gonzalez 1985, by cosine distance).

    The first is the candidate nearest to the mean of all; each further one is

    .. math:: \arg\max_{c} \min_{s \in S} (1 - \cos(c, s))

    where S is what was chosen before; ties go to the first in the data. The beginning of a longer choice is the
    shorter choice. A reconstruction: the paper's *diversity* draws evenly over the sources of its data, which a task
    doesn't have.
    """
    from sklearn.metrics.pairwise import cosine_distances

    if not pool.count:
        return []
    texts = [example.prompt for example in (*pool.candidates, *pool.chosen)]
    vectors = np.asarray(pool.embed(texts), dtype=np.float64)
    own, before = vectors[: len(pool.candidates)], vectors[len(pool.candidates) :]
    found: list[int] = []
    if len(before):
        distances = cosine_distances(own, before).min(axis=1)
    else:
        found.append(int(np.argmin(np.round(cosine_distances(own, own.mean(axis=0, keepdims=True))[:, 0], 6))))
        distances = cosine_distances(own, own[found])[:, 0]
    while len(found) < pool.count:
        distances[found] = -1.0
        found.append(int(np.argmax(np.round(distances, 6))))
        distances = np.minimum(distances, cosine_distances(own, own[found[-1:]])[:, 0])
    return found
