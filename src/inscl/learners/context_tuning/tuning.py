"""Tuning a context: gradient descent on what moves its embeddings, each within a ball."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from inscl.learners.context_tuning.context import Context
from inscl.learners.descent import Descent, Passes
from inscl.learners.out_of_memory import memory_enough
from inscl.models.batches import understood
from inscl.models.language_model import LanguageModel
from inscl.models.prompts import Encoded

__all__ = ["Tuned", "Tuning", "projected"]


class Tuned(NamedTuple):
    """A context that was tuned, and what that took; tokens of the context count once per step."""

    context: Context
    took: Descent


@dataclass(frozen=True)
class Tuning:
    r"""How a context is tuned.

    .. math::
        \min_\delta \frac{1}{n} \Big[ \sum_{t \in y} -\ln p(y_t)
            + \sum_{k=1}^{K} \gamma^{K + 1 - k} \sum_{t \in y^{(k)}} -\ln p(y^{(k)}_t) \Big]
        \quad \text{subject to} \quad \lVert \delta_j \rVert_2 \le \epsilon_j

    for a row with answer y behind the K demonstrations with answers :math:`y^{(k)}`, over the n tokens of all these
    answers (PEFT's ``CPTEmbedding``, loss type ``decay``). All rows of a batch stand behind the same context, so it is
    read once for all of them.

    Attributes:
        model: Whose embeddings are moved; its weights stay.
        epochs: Passes over the rows.
        learning_rate: Of Adam.
        batch_size: Rows per step.
        epsilon_input: Radius for tokens of inputs, at a hidden size of 2048; see `Context.radii`.
        epsilon_format: Radius for tokens of the template.
        decay: The factor :math:`\gamma`.
        advance: Told after each step how many are done, and the loss.
    """

    model: LanguageModel
    epochs: float
    learning_rate: float
    batch_size: int
    epsilon_input: float
    epsilon_format: float
    decay: float
    advance: Callable[..., None] = lambda done, **facts: None

    @property
    def passes(self) -> Passes:
        """How rows are gone over."""
        return Passes(self.epochs, self.batch_size)

    def tune(
        self, context: Context, beginning: int, rows: Sequence[Encoded], weights: Sequence[float], chance: Any
    ) -> Tuned:
        """Tune `context` on rows that begin with it.

        Args:
            context: At least one of its tokens may move.
            beginning: How many tokens every row begins with: those of the template, then the context.
            rows: What is learned.
            weights: What the loss of each row counts.
            chance: A numpy generator, for the order of rows.

        Raises:
            ModelError: The loss is no longer finite, or memory ran out.
        """
        import torch

        model = self.model.model.eval()
        radii = torch.from_numpy(context.radii(self.epsilon_input, self.epsilon_format)).to(model.device)
        delta = torch.from_numpy(context.delta.copy()).to(model.device).requires_grad_()
        optimiser = torch.optim.Adam([delta], lr=self.learning_rate)
        took = Descent(len(rows), self.learning_rate, self.advance)
        for places in self.passes.batches(len(rows), chance):
            with memory_enough("tuning a context", "training.batch_size or training.max_length"):
                batch = [rows[place] for place in places]
                with self.model.reading(), self.model.softened(context.tokens.tolist(), delta), torch.enable_grad():
                    loss, labels = self._loss(model, context, beginning, batch, [weights[place] for place in places])
                    (gradient,) = torch.autograd.grad(loss, [delta])
            value = took.finite(loss)
            delta.grad = torch.where(radii[:, None] > 0, gradient, 0.0)
            optimiser.step()
            with torch.no_grad():
                delta.copy_(projected(delta, radii))
            took.made(places, value, beginning + sum(len(row.tokens) - beginning for row in batch), labels)
        found = delta.detach().cpu().numpy().astype(np.float32)
        return Tuned(replace(context, delta=found), took)

    def _loss(
        self, model: Any, context: Context, beginning: int, batch: Sequence[Encoded], weights: Sequence[float]
    ) -> tuple[Any, int]:
        """The loss of a batch, and on how many tokens it was counted; the context is read once."""
        import torch
        from transformers import DynamicCache

        device = model.device
        cache = DynamicCache(config=model.config)
        start = beginning - len(context.tokens)
        shared = torch.tensor([batch[0].tokens[:beginning]], device=device)
        # Nothing predicts the very first token.
        labels = [place for place in (context.labels + start).tolist() if place > 0]
        decayed = torch.from_numpy(context.decayed(self.decay)[len(context.labels) - len(labels) :]).to(device)
        wanted = torch.tensor([place - 1 for place in labels], dtype=torch.long, device=device)
        logits = _logits(model, wanted, input_ids=shared, past_key_values=cache, use_cache=True)
        answers = torch.from_numpy(context.tokens).to(device)[[place - start for place in labels]]
        inner = (decayed * _losses(logits[0], answers)).sum()
        cache.batch_repeat_interleave(len(batch))
        longest = max(len(row.tokens) for row in batch) - beginning
        tokens = torch.zeros((len(batch), longest), dtype=torch.long, device=device)
        for number, row in enumerate(batch):
            tokens[number, : len(row.tokens) - beginning] = torch.tensor(row.tokens[beginning:], device=device)
        first = min(row.prompt_length for row in batch) - beginning - 1
        kept = torch.arange(first, longest, device=device)
        positions = torch.arange(beginning, beginning + longest, device=device)[None].expand(len(batch), -1)
        # Rows are padded at their ends, where no earlier token sees it.
        logits = _logits(model, kept, input_ids=tokens, position_ids=positions, past_key_values=cache, use_cache=True)
        outer, count = torch.zeros((), device=device), len(labels) * len(batch)
        for number, (row, weight) in enumerate(zip(batch, weights, strict=True)):
            bounds = (row.prompt_length - beginning, len(row.tokens) - beginning)
            said = logits[number, bounds[0] - 1 - first : bounds[1] - 1 - first]
            outer = outer + weight * _losses(said, tokens[number, bounds[0] : bounds[1]]).sum()
            count += bounds[1] - bounds[0]
        return (outer + len(batch) * inner) / count, len(labels) + count - len(labels) * len(batch)


def projected(delta: Any, radii: Any) -> Any:
    r"""Each row of `delta`, shortened to its radius where it is longer.

    .. math:: \delta_j \min(1, \epsilon_j / \lVert \delta_j \rVert_2)

    Args:
        delta: A tensor of shape (n, d).
        radii: Shape (n,), each at least 0.
    """
    lengths = delta.norm(dim=1)
    return delta * (radii / lengths.clamp(min=1e-12)).clamp(max=1.0)[:, None]


def _logits(model: Any, kept: Any, **batch: Any) -> Any:
    """Logits at the positions `kept`, shape (rows, number of positions, vocabulary)."""
    given = understood(model, {**batch, "logits_to_keep": kept})
    logits = model(**given).logits
    return logits if "logits_to_keep" in given else logits[:, kept]


def _losses(logits: Any, tokens: Any) -> Any:
    import torch

    return torch.nn.functional.cross_entropy(logits.float(), tokens, reduction="none")
