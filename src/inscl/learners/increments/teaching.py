"""The two stages in which a task is learned: keys are aligned, then pairs and weights are trained."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from inscl.contract.objective import IGNORED
from inscl.learners.descent import Descent, Passes
from inscl.learners.increments.applying import applied
from inscl.learners.increments.model import IncrementedModel
from inscl.learners.increments.pool import Chosen, Pool
from inscl.learners.out_of_memory import memory_enough
from inscl.models.prompts import Encoded

if TYPE_CHECKING:
    import torch

__all__ = ["Teaching", "align"]


def align(pool: Pool, queries: torch.Tensor, most: int, steps: int, learning_rate: float) -> None:
    r"""Turn the keys that are chosen towards the queries that choose them.

    .. math:: L = - \frac{1}{n} \sum_q \sum_{m=1}^{M} \cos(q, k_{i_m})

    Each step chooses anew, and takes all queries. A key that none chooses stays as it is, bit for bit.

    Args:
        pool: Its keys are replaced.
        queries: Frozen, one for each row that is learned, shape (n, query size).
        most: M.
        steps: Of Adam.
        learning_rate: Of Adam.
    """
    import torch

    distinct, counts = queries.unique(dim=0, return_counts=True)
    keys = pool.keys.clone().requires_grad_()
    optimiser = torch.optim.Adam([keys], lr=learning_rate)
    pool.keys = keys
    with torch.enable_grad():
        for _ in range(steps):
            nearest = pool.cosines(distinct).topk(min(most, len(keys)), dim=1).values.sum(1)
            loss = -(nearest * counts).sum() / counts.sum()
            (keys.grad,) = torch.autograd.grad(loss, [keys])
            optimiser.step()
    pool.keys = keys.detach()


@dataclass(frozen=True)
class Teaching:
    """How pairs and weights are trained: by the cross entropy of answers, with Adam.

    Attributes:
        model: Frozen.
        epochs: Passes over the rows.
        learning_rate: Of Adam.
        batch_size: Rows per step.
        advance: Told after each step how many are done, and the loss.
    """

    model: IncrementedModel
    epochs: float
    learning_rate: float
    batch_size: int
    advance: Callable[..., None] = lambda done, **facts: None

    @property
    def passes(self) -> Passes:
        """How rows are gone over."""
        return Passes(self.epochs, self.batch_size)

    def teach(
        self, pool: Pool, chosen: Chosen, rows: Sequence[Encoded], weights: Sequence[float], chance: Any
    ) -> Descent:
        """Train the pairs that rows have chosen, and a weight for each average; the others stay, bit for bit.

        Args:
            pool: Its pairs and weights are replaced. Weights start from zero.
            chosen: Of the rows.
            rows: What is learned.
            weights: What the loss of each row counts.
            chance: A numpy generator, for the order of rows.

        Raises:
            ModelError: The loss is no longer finite, or memory ran out.
        """
        import torch

        took = Descent(len(rows), self.learning_rate, self.advance)
        kept, own = chosen.places.unique(return_inverse=True)
        local, device = Chosen(own, chosen.shares), self.model.device
        down, up = (
            {k: v[kept].to(device).requires_grad_() for k, v in every.items()} for every in (pool.down, pool.up)
        )
        counts = {task: torch.zeros((), device=device, requires_grad=True) for task in pool.averages}
        contextual = [(counts[task], average) for task, average in pool.averages.items()]
        trained = [*down.values(), *up.values(), *counts.values()]
        optimiser = torch.optim.Adam(trained, lr=self.learning_rate)
        model = self.model.model.eval()
        for places in self.passes.batches(len(rows), chance):
            batch = [rows[place] for place in places]
            with (
                memory_enough("training increments", "training.batch_size or training.max_length"),
                torch.enable_grad(),
                self.model.reading(),
                applied(model, down, up, local.of(places), contextual),
            ):
                loss, answered = self._loss(batch, [weights[place] for place in places])
                gradients = torch.autograd.grad(loss, trained)
            value = took.finite(loss)
            for one, gradient in zip(trained, gradients, strict=True):
                one.grad = gradient
            optimiser.step()
            took.made(places, value, sum(len(row.tokens) for row in batch), answered)
        for mine, every in ((down, pool.down), (up, pool.up)):
            for name, tensor in mine.items():
                every[name] = every[name].index_copy(0, kept, tensor.detach().cpu())
        pool.weights = {task: float(weight.detach()) for task, weight in counts.items()}
        return took

    def _loss(self, batch: Sequence[Encoded], weights: Sequence[float]) -> tuple[Any, int]:
        """The loss of a batch, and on how many tokens it was counted."""
        import torch

        logits, labels = self.model.predictions(batch)
        losses = torch.nn.functional.cross_entropy(
            logits.transpose(1, 2), labels, ignore_index=IGNORED, reduction="none"
        )
        count = int((labels != IGNORED).sum())
        return (losses.sum(1) * torch.tensor(weights, device=losses.device)).sum() / count, count
