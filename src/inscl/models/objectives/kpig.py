"""A KPIG-style objective: the key parts of an instruction must matter for its answer."""

from __future__ import annotations

import math
from typing import Any

from inscl.contract import Example
from inscl.contract.key_parts import MASK, key_part_choices, masked
from inscl.contract.objective import IGNORED, ObjectiveBatch, TaughtExample
from inscl.contract.traits import ObjectiveTraits
from inscl.errors import ConfigError, ModelError, Problem, nearest
from inscl.models.objectives.divergences import jensen_shannon, to_one_hot

__all__ = ["FORMS", "KPIG"]

FORMS = ("margin", "jsd")


class KPIG:
    r"""Cross entropy that also asks the model to heed the key parts of instructions (after KPIG).

    With p the distribution after the whole instruction, :math:`\tilde p` that after the instruction with its key parts
    masked (no gradient), and the information gain :math:`IG = \frac{1}{|y|} \sum_t (\ln p(y_t) - \ln \tilde p(y_t))`
    of an example, the form ``margin`` is

    .. math:: L = \sum_i w_i \sum_t \big( -\ln p(y_{i,t}) + \gamma \max(0, m - JSD(p \| \tilde p)) \big)

    and ``jsd`` replaces the cross entropy by a generalised Jensen-Shannon divergence from the one-hot target, at a
    temperature that rises as the gain falls below the margin:

    .. math:: L = \sum_i w_i \sum_t D_\pi\big(e_y \| \mathrm{softmax}(z / \tau_i)\big), \quad
        \tau_i = 1 + \gamma \max(0, m - IG_i)

    with :math:`D_\pi` of `inscl.models.objectives.divergences.to_one_hot`. Examples without a key part, and earlier
    answers of a conversation, have the cross entropy alone.

    After *Don't Half-listen* (arXiv 2403.10056), of which the full text and code weren't at hand; that the information
    gain of masked key parts refines the loss is confirmed. Both equations, all default values, the mask and how key
    parts are found are reconstructions.

    Args:
        gamma: Weight of the penalty; in ``jsd`` how fast the temperature rises. Above 0.
        margin: m, nats; above 0, and in ``margin`` at most ln 2, the most that a Jensen-Shannon divergence can be.
        form: ``margin`` or ``jsd``.
        share: :math:`\pi` of ``jsd``, between 0 and 1.
        candidates: Most clauses of an instruction that are compared, the longest: the key part is the one whose masking
            makes the example's answer least likely under the base model. Metadata ``key_parts`` come first.
        mask: What stands in place of a key part.

    Raises:
        ConfigError: A value is out of range.
    """

    traits = ObjectiveTraits(reads=("now", "base"))

    def __init__(
        self,
        gamma: float = 0.1,
        margin: float = 0.3,
        form: str = "margin",
        share: float = 0.5,
        candidates: int = 4,
        mask: str = MASK,
    ) -> None:
        most = math.log(2) if form == "margin" else math.inf
        ranges = (
            ("gamma", gamma > 0, f"must be above 0, got {gamma!r}"),
            ("margin", 0 < margin <= most, f"must be above 0 and, in the form margin, at most ln 2, got {margin!r}"),
            ("form", form in FORMS, f"no form {form!r}{nearest(str(form), FORMS)}"),
            ("share", 0 < share < 1, f"must be between 0 and 1, got {share!r}"),
            ("candidates", candidates >= 1, f"must be at least 1, got {candidates!r}"),
        )
        if problems := [Problem(key, said) for key, good, said in ranges if not good]:
            raise ConfigError(problems, "objective kpig")
        self.gamma, self.margin, self.form, self.share = gamma, margin, form, share
        self.candidates, self.mask = candidates, mask
        # Under the base model the same example always has the same key part: remembering changes no result.
        self._parts: dict[str, tuple[str, ...]] = {}

    def __call__(self, batch: ObjectiveBatch) -> Any:
        """The summed loss, nats.

        Raises:
            ModelError: The learner doesn't say what texts its examples have.
        """
        import torch
        from torch.nn.functional import cross_entropy

        each = cross_entropy(batch.logits, batch.labels, ignore_index=IGNORED, reduction="none")
        found = [
            (k, hidden) for k, one in enumerate(batch.examples) if (hidden := self._masked(batch, one)) is not None
        ]
        if not found:
            return (each * batch.weights).sum()
        rows = [_answer_rows(batch, k) for k, _ in found]
        blind = batch.logits_of([hidden for _, hidden in found])
        if self.form == "margin":
            places = torch.cat(rows)
            penalty = (self.margin - jensen_shannon(batch.logits[places], blind)).relu()
            return (each * batch.weights).sum() + self.gamma * (penalty * batch.weights[places]).sum()
        for places, without in zip(rows, blind.split([len(places) for places in rows]), strict=True):
            each = each.index_copy(0, places, self._jsd(batch.logits[places], without, batch.labels[places]))
        return (each * batch.weights).sum()

    def _jsd(self, logits: Any, blind: Any, targets: Any) -> Any:
        """The form ``jsd`` of one answer; shape (t,), nats."""
        gain = (_log_probability(logits.detach(), targets) - _log_probability(blind, targets)).mean()
        temperature = 1 + self.gamma * (self.margin - gain).relu()
        return to_one_hot(_log_probability(logits / temperature, targets), self.share)

    def _masked(self, batch: ObjectiveBatch, taught: TaughtExample) -> Example | None:
        """An example without the key parts of its instruction; None if it has none."""
        example = taught.example
        if example is None:
            raise ModelError("the objective kpig masks parts of instructions: the learner must say the examples' texts")
        if example.id not in self._parts:
            made = {parts: masked(example, parts, self.mask) for parts in key_part_choices(example, self.candidates)}
            choices = [parts for parts, one in made.items() if one is not None]
            hidden = [one for one in made.values() if one is not None]
            best = 0
            if len(hidden) > 1:
                import torch

                answer = torch.tensor(taught.encoded.tokens[taught.encoded.prompt_length :], device=batch.labels.device)
                logits = batch.logits_of(hidden, state="base")
                likely = _log_probability(logits, answer.repeat(len(hidden))).reshape(len(hidden), -1).sum(1)
                best = int(likely.argmin())
            self._parts[example.id] = choices[best] if hidden else ()
        return masked(example, self._parts[example.id], self.mask)


def _answer_rows(batch: ObjectiveBatch, k: int) -> Any:
    """Where in the batch's logits the answer of its k-th example is predicted, earlier answers left out."""
    encoded = batch.examples[k].encoded
    rows = ((batch.labels != IGNORED) & (batch.owners == k)).nonzero()[:, 0]
    return rows[-min(len(rows), len(encoded.tokens) - encoded.prompt_length) :]


def _log_probability(logits: Any, targets: Any) -> Any:
    return logits.log_softmax(-1).gather(1, targets[:, None])[:, 0]
