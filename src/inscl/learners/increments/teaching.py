"""The two stages in which a task is learned: keys are aligned, then pairs and weights are trained."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from inscl.contract.objective import IGNORED
from inscl.errors import ModelError
from inscl.learners.increments.applying import applied
from inscl.learners.increments.model import IncrementedModel
from inscl.learners.increments.pool import Chosen, Pool
from inscl.learners.out_of_memory import memory_enough
from inscl.models.prompts import Encoded

if TYPE_CHECKING:
    import torch

__all__ = ["Taught", "Teaching", "align"]


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


@dataclass
class Taught:
    """What the second stage took.

    Attributes:
        log: One row per step: ``step``, ``loss``, ``learning_rate``, ``tokens`` (so far) and ``seconds``.
        tokens: Tokens read.
        answer_tokens: Tokens that carried loss.
        seen: How often each row was read.
    """

    log: list[dict[str, Any]] = field(default_factory=list)
    tokens: int = 0
    answer_tokens: int = 0
    seen: list[int] = field(default_factory=list)


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

    def steps(self, rows: int) -> int:
        """How many steps `rows` rows take."""
        return math.ceil(self.epochs * math.ceil(rows / self.batch_size))

    def teach(
        self, pool: Pool, chosen: Chosen, rows: Sequence[Encoded], weights: Sequence[float], chance: Any
    ) -> Taught:
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

        began, taught = time.perf_counter(), Taught(seen=[0] * len(rows))
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
        for step, places in enumerate(self._batches(len(rows), chance), start=1):
            batch = [rows[place] for place in places]
            with (
                memory_enough("training increments", "training.batch_size or training.max_length"),
                torch.enable_grad(),
                self.model.reading(),
                applied(model, down, up, local.of(places), contextual),
            ):
                loss, answered = self._loss(batch, [weights[place] for place in places])
                gradients = torch.autograd.grad(loss, trained)
            value = float(loss.detach())
            if not math.isfinite(value):
                raise ModelError(f"training diverged: loss {value} at step {step}; lower training.learning_rate")
            for one, gradient in zip(trained, gradients, strict=True):
                one.grad = gradient
            optimiser.step()
            taught.tokens += sum(len(row.tokens) for row in batch)
            taught.answer_tokens += answered
            for place in places:
                taught.seen[place] += 1
            facts = {"loss": value, "learning_rate": self.learning_rate, "tokens": taught.tokens}
            taught.log.append({"step": step, **facts, "seconds": round(time.perf_counter() - began, 3)})
            self.advance(step, loss=value)
        for mine, every in ((down, pool.down), (up, pool.up)):
            for name, tensor in mine.items():
                every[name] = every[name].index_copy(0, kept, tensor.detach().cpu())
        pool.weights = {task: float(weight.detach()) for task, weight in counts.items()}
        return taught

    def _batches(self, rows: int, chance: Any) -> Iterator[list[int]]:
        left = self.steps(rows)
        while left > 0:
            order = chance.permutation(rows).tolist()
            for start in range(0, rows, self.batch_size):
                if left > 0:
                    yield order[start : start + self.batch_size]
                left -= 1

    def _loss(self, batch: Sequence[Encoded], weights: Sequence[float]) -> tuple[Any, int]:
        """The loss of a batch, and on how many tokens it was counted."""
        import torch

        logits, labels = self.model.predictions(batch)
        losses = torch.nn.functional.cross_entropy(
            logits.transpose(1, 2), labels, ignore_index=IGNORED, reduction="none"
        )
        count = int((labels != IGNORED).sum())
        return (losses.sum(1) * torch.tensor(weights, device=losses.device)).sum() / count, count
