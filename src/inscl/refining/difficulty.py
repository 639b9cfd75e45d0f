"""How much an instruction helps a model to say its answer: IFD, and the reverse."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property
from typing import Any

from inscl.contract import Example
from inscl.errors import DataError

__all__ = ["GUESS", "Student"]

GUESS = """\
Below is an answer. Which question or task, with the text that it is about, was it given to?

{answer}"""
"""Asks for the question of an answer; ``{answer}`` in it stands for the answer. Our own words."""


class Student:
    r"""The model that is to be taught, as far as it says how hard rows are for it.

    .. math::
        \mathrm{IFD}(y \mid x) = \exp(L(y \mid x) - L(y)), \qquad
        \mathrm{rIFD}(x \mid y) = \exp(L(x \mid g(y)) - L(x))

    (Li et al., arXiv 2308.12032 and 2402.10110.) :math:`L` is the mean loss of a text's tokens in nats, end of sequence
    included, :math:`x` the instruction with its input, :math:`y` the answer, and :math:`g` the question of which task
    :math:`y` may answer. A text alone is read after an empty question in the model's own template, so that both losses
    are means over the same tokens (reconstruction: the papers' code puts nothing before it). 1 means that the condition
    doesn't help at all.

    Args:
        model: Alias, folder or hub id.
        form: ``chat`` for the model's template, ``plain`` for instruction, blank line, input.
        max_length: Most tokens of a row; what a text stands behind is shortened, the text itself never.
    """

    def __init__(self, model: str, form: str = "chat", max_length: int = 1024) -> None:
        self.model, self.form, self.max_length = model, form, max_length

    @cached_property
    def fingerprint(self) -> str:
        """Digest of the model's files, and how rows are read."""
        from inscl.models import names

        return f"{names.fingerprint(names.resolve(self.model))} {self.form} {self.max_length}"

    def ifd(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        """IFD of each (prompt, answer); NaN where an answer alone has more than `max_length` tokens."""
        return self._ratios([(prompt, answer) for prompt, answer in pairs])

    def reversed_ifd(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        """Reversed IFD of each (prompt, answer); NaN where a prompt alone has more than `max_length` tokens."""
        return self._ratios([(GUESS.replace("{answer}", answer), prompt) for prompt, answer in pairs])

    def _ratios(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        """Exp of the loss of each second text after the first, less its loss after nothing."""
        encoded = {place: both for place, pair in enumerate(pairs) if (both := self._encoded(*pair))}
        if not encoded:
            return [math.nan] * len(pairs)
        rows = [both[part] for part in (0, 1) for both in encoded.values()]
        losses = [one.loss for one in self._loaded.log_likelihoods(rows, batch_size=8)]
        given, alone = losses[: len(encoded)], losses[len(encoded) :]
        found = {place: math.exp(a - b) for place, a, b in zip(encoded, given, alone, strict=True)}
        return [found.get(place, math.nan) for place in range(len(pairs))]

    def _encoded(self, prompt: str, text: str) -> tuple[Any, Any] | None:
        """A text after a prompt and after nothing; None where it doesn't fit, since a part of it has another loss."""
        try:
            given, alone = (self._encoder.encode(Example(before, "", (text,))) for before in (prompt, ""))
        except DataError:
            return None
        return given, alone

    @cached_property
    def _loaded(self) -> Any:
        from inscl.models.language_model import LanguageModel

        return LanguageModel(self.model, "fp32")

    @cached_property
    def _encoder(self) -> Any:
        return self._loaded.encoder(self.form, self._loaded.within_context(self.max_length))
