"""The neighbours' vote, mixed with what the language model says by itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inscl.learners.datastore.mixture import best_mixture
from inscl.learners.datastore.neighbours import AUTO, Neighbours
from inscl.learners.datastore.store import Datastore, Reference

__all__ = ["Voting"]


@dataclass(frozen=True)
class Voting:
    r"""Votes of a datastore, each for the token or answer that followed a state, mixed with the model's distribution.

    .. math::
        p(v) = \sum_{i \in N} w_i \left[ \lambda_i\, 1(v_i = v) + (1 - \lambda_i)\, p_{LM}(v) \right]

    Attributes:
        store: Who votes.
        k: Neighbours in each slice of a state.
        heads: Slices.
        temperature: As in `Neighbours`.
        mixture: The weight of every vote, at least 0 and below 1; ``auto`` chooses one for each task.
        held_out: Most references of a task that ``auto`` holds out.
    """

    store: Datastore
    k: int
    heads: int
    temperature: float | str
    mixture: float | str
    held_out: int

    @cached_property
    def mixtures(self) -> dict[str, float]:
        """The mixture weight of each task, by name."""
        tasks: dict[str, list[Reference]] = {}
        for one in self.store.references:
            tasks.setdefault(one.task, []).append(one)
        if self.mixture != AUTO:
            return dict.fromkeys(tasks, float(self.mixture))
        return {name: best_mixture(own, self.held_out, self._search) for name, own in tasks.items()}

    def tokens(self, hidden: Any, logits: Any) -> Any:
        """Natural logarithms of the mixture.

        Args:
            hidden: States, a tensor of shape (n, k, hidden size).
            logits: What the model by itself makes of them, shape (n, k, vocabulary).

        Returns:
            Shape (n, k, vocabulary), float32; `logits` where there is nobody to vote.
        """
        import torch

        if not self.store.references:
            return logits
        places, weights = self._by_token(hidden.float().flatten(0, 1).cpu().numpy())
        shares = torch.from_numpy(weights * self._token_weights[places])
        alone = logits.float().log_softmax(-1).flatten(0, 1)
        votes = torch.zeros_like(alone)
        votes.scatter_add_(1, torch.from_numpy(self.store.values[places]).to(votes.device), shares.to(votes))
        left = torch.log1p(-shares.sum(1)).to(votes)
        return torch.logaddexp(alone + left[:, None], votes.log()).view_as(logits)

    def options(
        self, states: NDArray[np.float32], options: Sequence[Sequence[str]], alone: Sequence[Sequence[float]]
    ) -> list[tuple[float, ...]]:
        """Log-probabilities over the options of n questions.

        Votes for an answer that is none of a question's options are lost. Space around an answer is left aside, as it
        is around options when data are read.

        Args:
            states: What predicts the first token of each answer, shape (n, hidden size).
            options: Of each question.
            alone: Log-probabilities over them of the model by itself.
        """
        if not self.store.references:
            return [tuple(own) for own in alone]
        places, weights = self._by_answer(states)
        shares = weights * self._weights[places]
        answers = [one.answer.strip() for one in self.store.references]
        found = []
        for own, given, row, share in zip(options, alone, places, shares, strict=True):
            texts = [option.strip() for option in own]
            votes = dict.fromkeys(texts, 0.0)
            for place, weight in zip(row, share, strict=True):
                if answers[place] in votes:
                    votes[answers[place]] += weight
            with np.errstate(divide="ignore"):
                mixed = np.logaddexp(np.add(given, np.log1p(-share.sum())), np.log([votes[text] for text in texts]))
            found.append(tuple(map(float, mixed - np.logaddexp.reduce(mixed))))
        return found

    @cached_property
    def _by_token(self) -> Neighbours:
        return self._search(self.store.keys)

    @cached_property
    def _by_answer(self) -> Neighbours:
        return self._search(self.store.keys[self.store.firsts])

    @cached_property
    def _weights(self) -> NDArray[np.float64]:
        """The mixture weight of each reference, shape (number of references,)."""
        return np.array([self.mixtures[one.task] for one in self.store.references])

    @cached_property
    def _token_weights(self) -> NDArray[np.float64]:
        """The same of each position, shape (number of positions,)."""
        return np.repeat(self._weights, [len(one.values) for one in self.store.references])

    def _search(self, keys: NDArray[np.float32]) -> Neighbours:
        return Neighbours(keys, self.k, self.heads, self.temperature)
