"""How a language model that serves as a tool is named: one form for taggers, judges and refiners."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from inscl.config.confidential import secret_problems
from inscl.contract.chat import ChatModel
from inscl.errors import ConfigError, Problem, nearest
from inscl.llm.chat_model import chat_model
from inscl.llm.costs import Prices
from inscl.storage.files.cache import cache_dir

__all__ = ["LLMSettings"]


@dataclass(frozen=True)
class LLMSettings:
    """A language model, how it is asked, and what it costs.

    Attributes:
        model: The name that the server knows the model by; or ``local:`` and the name of a model that runs here, as in
            ``local:smollm2-135m``.
        base_url: The server's address up to ``/v1``; None is ``$OPENAI_BASE_URL``, else OpenAI.
        concurrency: Concurrent requests.
        max_retries: Tries after the first, for failures that pass (429, 5xx, timeouts, broken connections).
        timeout: Seconds allowed for each attempt.
        price_per_million_input: Price of a million tokens in.
        price_per_million_output: Price of a million output tokens.
        request: Fields of the request body, over those that the tool asks for; None as value takes one away.
        api_key_env: Name of the environment variable with the key. The key is written nowhere.
        cache: The cache file; None is the tool's own in the cache folder.
    """

    model: str
    base_url: str | None = None
    concurrency: int = 4
    max_retries: int = 5
    timeout: float = 60.0
    price_per_million_input: float | None = None
    price_per_million_output: float | None = None
    request: Mapping[str, Any] = field(default_factory=dict)
    api_key_env: str = "OPENAI_API_KEY"
    cache: Path | str | None = None

    @classmethod
    def read(cls, given: Any, key: str = "llm") -> LLMSettings:
        """Settings as a configuration gives them: the name of a model, or a mapping with the fields above.

        Args:
            given: What stands at `key`; settings are returned as they are.
            key: Where it stands, for messages.

        Raises:
            ConfigError: Something in it can't be used; all of it is told at once, under its key.
        """
        given = {"model": given} if isinstance(given, str) else given
        found: LLMSettings | None
        if isinstance(given, cls):
            found, problems = given, given.problems()
        elif not isinstance(given, Mapping) or not all(isinstance(name, str) for name in given):
            said = "the name of a model, or {model: ..., base_url: ...}, was expected"
            raise ConfigError([Problem(key, said)])
        else:
            found, problems = cls._of(given)
        if problems or found is None:
            raise ConfigError([Problem(f"{key}.{one.key}" if one.key else key, one.message) for one in problems])
        return found

    @classmethod
    def _of(cls, given: Mapping[str, Any]) -> tuple[LLMSettings | None, list[Problem]]:
        known = [one.name for one in fields(cls)]
        problems = [Problem(name, f"no such field{nearest(name, known)}") for name in given if name not in known]
        problems += secret_problems(given)
        if not given.get("model"):
            return None, [*problems, Problem("model", "is required: the name of a model, or local: and one")]
        try:
            found = TypeAdapter(cls).validate_python({name: given[name] for name in given if name in known})
        except ValidationError as error:
            told = error.errors(include_url=False, include_input=False, include_context=False)
            problems += [Problem(".".join(map(str, one["loc"])), one["msg"]) for one in told]
            return None, problems
        return found, problems + found.problems()

    @property
    def prices(self) -> Prices:
        """The two prices."""
        return Prices(self.price_per_million_input, self.price_per_million_output)

    def problems(self) -> list[Problem]:
        """Values that are out of range, under the names that configurations give them."""
        ranges = (
            ("model", bool(self.model.strip()), "must name a model"),
            ("concurrency", self.concurrency >= 1, "must be at least 1"),
            ("max_retries", self.max_retries >= 0, "must be at least 0"),
            ("timeout", 0 < self.timeout < math.inf, "must be a number of seconds above 0"),
        )
        return [Problem(key, message) for key, good, message in ranges if not good] + self.prices.problems()

    def chat_model(self, request: Mapping[str, Any] | None = None) -> ChatModel:
        """The model.

        Args:
            request: Fields of the request body that the tool asks for; those of the settings count before them.

        Raises:
            ConfigError: A field that only a server obeys was given for a local model.
            MissingExtraError: The package openai isn't installed.
            UserError: There is neither a key nor an address.
        """
        return chat_model(
            self.model,
            self.base_url,
            request={**(request or {}), **self.request},
            api_key_env=self.api_key_env,
            max_retries=self.max_retries,
            timeout=self.timeout,
        )

    def asking(self, cache: str) -> dict[str, Any]:
        """The arguments of `inscl.llm.questions.Questions` that settings decide.

        Args:
            cache: Name of the tool's own cache file.
        """
        file = Path(self.cache) if self.cache else cache_dir() / cache
        return {"cache": file, "concurrency": self.concurrency, "prices": self.prices}

    def to_json(self) -> dict[str, Any]:
        """Plain values; the key isn't among them."""
        values = asdict(self)
        return {**values, "cache": None if self.cache is None else str(self.cache)}
