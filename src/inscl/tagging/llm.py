"""Tags by an LLM, as in the paper: one request per instruction, every answer saved at once."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from inscl.contract.seams import NullProgress, Progress
from inscl.errors import ConfigError, Problem
from inscl.llm.questions import Questions, filled
from inscl.llm.settings import LLMSettings
from inscl.tagging.answers import PROMPT, REPEAT, parse_tags
from inscl.tagging.asking import AskingTagger
from inscl.tagging.cached import decode_tags, encode_tags

__all__ = ["LLMTagger"]

_OUTPUT_TOKENS = 120  # three or four tags, each with its explanation
_DEFAULT_REQUEST = {"temperature": 0, "max_tokens": 1024}


class LLMTagger(AskingTagger):
    """Intention tags by an LLM (InsCL, section 3.3, where it is GPT-4): an OpenAI-compatible endpoint or a local model.

    Each distinct instruction is one request for JSON objects ``{tag, explanation}``. An answer that can't be read is
    asked for once more, with what was wrong. Every answer is in the cache when the next begins, so what was stopped
    goes on where it was. The cache knows an answer by model, prompt and request, not by address: the same model
    behind another address is the same.

    Args:
        model: The name that the server knows the model by; or ``local:`` and the name of a model that runs here, as in
            ``local:smollm2-135m``.
        base_url: The server's address up to ``/v1``; None is ``$OPENAI_BASE_URL``, else OpenAI.
        concurrency: Concurrent requests.
        max_retries: Tries after the first, for failures that pass (429, 5xx, timeouts, broken connections).
        timeout: Seconds allowed for each attempt.
        price_per_million_input: Price of a million tokens in, for the estimate.
        price_per_million_output: Price of a million output tokens.
        prompt: What to ask; ``{instruction}`` in it stands for the instruction.
        request: Fields of the request body, over ``{"temperature": 0, "max_tokens": 1024}``; None takes one away.
        api_key_env: Name of the environment variable with the key. The key is written nowhere.
        cache: The cache file; None is ``tags.sqlite`` in the cache folder.
        progress: Told the estimate first, then every answer.

    Attributes:
        fingerprint: Model, prompt and request.

    Raises:
        ConfigError: A value is out of range; all of them at once.
        MissingExtraError: The package openai isn't installed.
        UserError: There is neither a key nor an address.
    """

    def __init__(
        self,
        model: str,
        base_url: str | None = None,
        concurrency: int = 4,
        max_retries: int = 5,
        timeout: float = 60.0,
        price_per_million_input: float | None = None,
        price_per_million_output: float | None = None,
        prompt: str = PROMPT,
        request: Mapping[str, Any] | None = None,
        api_key_env: str = "OPENAI_API_KEY",
        cache: Path | str | None = None,
        progress: Progress | None = None,
    ) -> None:
        settings = LLMSettings(
            model,
            base_url,
            concurrency,
            max_retries,
            timeout,
            price_per_million_input,
            price_per_million_output,
            request or {},
            api_key_env,
            cache,
        )
        problems = settings.problems()
        if "{instruction}" not in prompt:
            problems.append(Problem("prompt", "must contain {instruction}"))
        if problems:
            raise ConfigError(problems, "tagger llm")
        questions = Questions(
            model=settings.chat_model(_DEFAULT_REQUEST),
            kind="tags/2",
            prompt=lambda text: filled(prompt, {"instruction": text}),
            parse=parse_tags,
            encode=encode_tags,
            decode=decode_tags,
            repeat=REPEAT,
            doing="tagging",
            remedy="try another model, or the tagger keyphrases",
            answer_tokens=_OUTPUT_TOKENS,
            progress=progress or NullProgress(),
            **settings.asking("tags.sqlite"),
        )
        super().__init__(questions)
