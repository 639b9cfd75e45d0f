r"""Positions of pictures for models that give each of their tokens a place in time, height and width (M-RoPE).

In Qwen2-VL (arXiv 2409.12191) a token has three positions. Those of a text are all the same and count on; a picture's
are its own, from where it begins, and the text behind it goes on one after the largest of them, though the picture has
more tokens than that. Attention knows differences of positions alone. So what stands *before* the end of a picture is
moved up here, where transformers moves back what follows:

.. math:: P_i = p_i + \sum_{k :\, i < b_k} (n_k - a_k), \qquad P_{b_k + j} = p_{b_k} + n_k - a_k + g_{k,j} + \ldots

with p the positions by count, :math:`b_k` where picture k begins, n its tokens, g its own positions and
:math:`a = 1 + \max g`; the dots are the sum over the later pictures. What follows the last picture keeps the positions
that count it, so that whoever reads on, with options or with generated tokens, needn't know of pictures.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["own_places", "placed"]


def own_places(positions: Any, taken: Any) -> Any | None:
    """A picture's own positions, of those that a model gave its decoder; None if it has none of its own.

    Args:
        positions: Shape (3, 1, tokens), or (4, 1, tokens) with the text's before; anything else has no three axes.
        taken: Which of the tokens are the picture's, shape (1, tokens).

    Returns:
        Shape (3, n), from zero on.
    """
    if positions is None or positions.dim() != 3:
        return None
    found = positions[-3:, 0, taken[0]]
    return found - found.min()


def placed(keys: Any, positions: Any, places: Mapping[int, Any]) -> Any:
    """The three positions of each token.

    Args:
        keys: Which picture each token belongs to, -1 for text; shape (rows, tokens). Pictures are there as a whole.
        positions: By count, of the same shape or of one row for all; where they don't count on, another text begins.
        places: Key -> a picture's own positions, shape (3, n).

    Returns:
        Shape (3, rows, tokens).
    """
    positions = positions.expand(keys.shape)
    found = positions.expand(3, *keys.shape).clone()
    for row, (own, counted) in enumerate(zip(keys.tolist(), positions.tolist(), strict=True)):
        first = place = 0
        while place < len(own):
            if place and counted[place] != counted[place - 1] + 1:
                first = place
            if own[place] < 0:
                place += 1
                continue
            mine = places[own[place]]
            end = place + mine.shape[1]
            further = mine.shape[1] - 1 - int(mine.max())
            found[:, row, place:end] = mine + counted[place] + further
            found[:, row, first:place] += further
            place = end
    return found
