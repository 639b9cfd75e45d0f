"""InsInfo: how informative an instruction is, by how many intentions it has and how rare they are."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["instruction_information"]


def instruction_information(tags: Sequence[Collection[str]]) -> NDArray[np.float64]:
    r"""InsInfo of each instruction (InsCL, NAACL 2024 long 37, section 3.3).

    .. math:: \mathrm{InsInfo}(q) = \sum_{t \in \mathrm{tags}(q)} \ln \frac{N}{f_t}

    N is the number of instructions given, that is the distinct instructions of tasks 1..i with the new task among
    them, and :math:`f_t` the number of them that carry t. A tag that every instruction carries tells nothing.

    Args:
        tags: For each of the N instructions its tags, merged; a tag given twice counts once.

    Returns:
        Shape (N,), float64, nats, never negative; 0 for an instruction without tags.
    """
    distinct = [set(own) for own in tags]
    carried = Counter(tag for own in distinct for tag in own)
    # fsum is exact, so the value doesn't hang on the order in which a set happens to give its members.
    return np.array(
        [math.fsum(math.log(len(distinct) / carried[tag]) for tag in own) for own in distinct], dtype=np.float64
    )
