"""A learner's answers, and the likelihoods it assigns to given answers."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Answer", "LogLikelihood"]


@dataclass(frozen=True)
class Answer:
    """One answer.

    Attributes:
        text: What was said.
        option_log_probabilities: Natural logarithm of the probability of each of the question's options, in their
            order; None where the learner can't tell or the question has none.
        prompt_tokens: Tokens that were read for it; None where that isn't counted.
        answer_tokens: Tokens that were written; None likewise.
    """

    text: str
    option_log_probabilities: tuple[float, ...] | None = None
    prompt_tokens: int | None = None
    answer_tokens: int | None = None


@dataclass(frozen=True)
class LogLikelihood:
    r"""How likely a given answer is under a learner, teacher-forced.

    .. math:: \mathrm{nats} = \sum_t \ln p(y_t \mid x, y_{<t})

    over the tokens of the answer and the end of sequence.

    Attributes:
        nats: The sum; at most 0.
        tokens: How many tokens it is the sum of, the end of sequence among them.
        correct: How many of them are the most likely ones (greedy); None where that isn't known.
    """

    nats: float
    tokens: int
    correct: int | None = None

    @property
    def loss(self) -> float:
        """Mean cross entropy, nats a token."""
        return -self.nats / self.tokens
