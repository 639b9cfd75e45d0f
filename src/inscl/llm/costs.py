"""What asking a language model will cost, and what it did cost."""

from __future__ import annotations

import math
from dataclasses import dataclass

from inscl.errors import Problem

__all__ = ["BYTES_A_TOKEN", "Estimate", "Prices", "Spent"]

BYTES_A_TOKEN = 4
"""Of English; bytes are counted, so that other scripts cost more."""


@dataclass(frozen=True)
class Estimate:
    """The estimated cost of asking; rough, since only the server counts tokens exactly.

    Attributes:
        requests: Questions to ask; what the cache holds isn't asked.
        input_tokens: Tokens of all questions together.
        output_tokens: Tokens of all answers together.
        price: In the currency of the prices given; None without prices.
    """

    requests: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    price: float | None = None

    def __add__(self, other: Estimate) -> Estimate:
        """Both together; a price that isn't known leaves the sum to the other."""
        return Estimate(
            self.requests + other.requests,
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            _sum(self.price, other.price),
        )

    def __str__(self) -> str:
        cost = "" if self.price is None else f", for about {self.price:.2f}"
        return f"{self.requests:,} requests: about {self.input_tokens:,} tokens in, {self.output_tokens:,} out{cost}"


@dataclass(frozen=True)
class Spent:
    """What was asked and answered.

    Attributes:
        requests: Answers that came, second tries included; what the cache held isn't counted.
        input_tokens: Tokens read, as the server counts them; where it doesn't say, bytes divided by four.
        output_tokens: Tokens written, counted in the same way.
        price: In the currency of the prices given; None without prices.
    """

    requests: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    price: float | None = None

    def __add__(self, other: Spent) -> Spent:
        """Both together; a price that isn't known leaves the sum to the other."""
        return Spent(
            self.requests + other.requests,
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            _sum(self.price, other.price),
        )

    def __str__(self) -> str:
        cost = "" if self.price is None else f", for {self.price:.2f}"
        return f"{self.requests:,} requests: {self.input_tokens:,} tokens in, {self.output_tokens:,} out{cost}"


@dataclass(frozen=True)
class Prices:
    """Prices of a million tokens; None where they aren't known."""

    per_million_input: float | None = None
    per_million_output: float | None = None

    def problems(self) -> list[Problem]:
        """Prices that no one can pay, under the names that configurations give them."""
        given = {"price_per_million_input": self.per_million_input, "price_per_million_output": self.per_million_output}
        wrong = {key: price for key, price in given.items() if price is not None and not 0 <= price < math.inf}
        return [Problem(key, f"must be a number of 0 or more, got {price}") for key, price in wrong.items()]

    def of(self, read: int, written: int) -> float | None:
        """The price of so many tokens read and written; None if one of the two prices isn't known."""
        if self.per_million_input is None or self.per_million_output is None:
            return None
        return (read * self.per_million_input + written * self.per_million_output) / 1e6


def _sum(one: float | None, other: float | None) -> float | None:
    return one if other is None else other if one is None else one + other
