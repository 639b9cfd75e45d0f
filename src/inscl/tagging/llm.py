"""Tags by an LLM, as the paper's: asked once an instruction, every answer kept at once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inscl.contract.seams import NullProgress, Progress
from inscl.errors import ConfigError, EndpointError, Problem
from inscl.llm.endpoint import ChatEndpoint, Messages
from inscl.storage.files.cache import Cache, cache_dir
from inscl.tagging.answers import PROMPT, REPEAT, parse_tags
from inscl.tagging.cached import decode_tags, encode_tags

__all__ = ["Estimate", "LLMTagger"]

_CHARACTERS_A_TOKEN = 4  # of English; bytes are counted, so that other scripts cost more
_OUTPUT_TOKENS = 120  # three or four tags, each with its explanation
_DEFAULT_REQUEST = {"temperature": 0, "max_tokens": 1024}


@dataclass(frozen=True)
class Estimate:
    """What tagging will take; rough, since only the server counts tokens exactly.

    Attributes:
        requests: Questions to ask; what the cache holds isn't asked.
        input_tokens: Tokens of all questions together.
        output_tokens: Tokens of all answers together.
        price: In the currency of the prices given; None without prices.
    """

    requests: int
    input_tokens: int
    output_tokens: int
    price: float | None = None

    def __str__(self) -> str:
        cost = "" if self.price is None else f", for about {self.price:.2f}"
        return f"{self.requests:,} requests: about {self.input_tokens:,} tokens in, {self.output_tokens:,} out{cost}"


class LLMTagger:
    """Intention tags by an LLM behind any OpenAI-compatible endpoint (InsCL, section 3.3, where it is GPT-4).

    Each distinct instruction is one request for JSON objects ``{tag, explanation}``. An answer that can't be read is
    asked for once more, with what was wrong. Every answer is in the cache when the next begins, so what was stopped
    goes on where it was. The cache knows an answer by model, prompt and request, not by address: the same model
    behind another address is the same.

    Args:
        model: The name that the server knows the model by.
        base_url: The server's address up to ``/v1``; None is ``$OPENAI_BASE_URL``, else OpenAI.
        concurrency: Requests at a time.
        max_retries: Tries after the first, for failures that pass (429, 5xx, timeouts, broken connections).
        timeout: Seconds for one try.
        price_per_million_input: Price of a million tokens in, for the estimate.
        price_per_million_output: Price of a million tokens out.
        prompt: What to ask; ``{instruction}`` in it stands for the instruction.
        request: Fields of the request body, over ``{"temperature": 0, "max_tokens": 1024}``; None takes one away.
        api_key_env: Name of the environment variable with the key. The key is written nowhere.
        cache: The cache file; None is ``tags.sqlite`` in the cache folder.
        progress: Told the estimate first, then every answer.

    Attributes:
        fingerprint: Model, prompt and request.
        keeps_answers: That an answer is in the cache as soon as it is there.

    Raises:
        ConfigError: A value is out of range; all of them at once.
        MissingExtraError: The package openai isn't installed.
        UserError: There is neither a key nor an address.
    """

    keeps_answers = True

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
        ranges = (
            ("concurrency", concurrency >= 1, "must be at least 1"),
            ("max_retries", max_retries >= 0, "must be at least 0"),
            ("timeout", timeout > 0, "must be above 0 seconds"),
            ("price_per_million_input", (price_per_million_input or 0) >= 0, "must not be negative"),
            ("price_per_million_output", (price_per_million_output or 0) >= 0, "must not be negative"),
            ("prompt", "{instruction}" in prompt, "must contain {instruction}"),
        )
        problems = [Problem(key, message) for key, good, message in ranges if not good]
        if problems:
            raise ConfigError(problems, "tagger llm")
        body = {**_DEFAULT_REQUEST, **(request or {})}
        self._endpoint = ChatEndpoint(
            model, base_url, api_key_env=api_key_env, max_retries=max_retries, timeout=timeout, request=body
        )
        self.model, self.prompt, self.concurrency = model, prompt, concurrency
        self._prices = (price_per_million_input, price_per_million_output)
        asked = json.dumps([prompt, body], sort_keys=True)
        self.fingerprint = f"llm/1 {model} {hashlib.sha256(asked.encode()).hexdigest()[:16]}"
        self._cache = Cache(Path(cache) if cache else cache_dir() / "tags.sqlite", self.fingerprint)
        self._progress = progress or NullProgress()

    def estimate(self, instructions: Sequence[str]) -> Estimate:
        """What tagging these would take now, without what the cache holds already."""
        missing = self._missing(instructions, self._cache.get(instructions))
        length = sum(len(_question(self.prompt, text).encode()) for text in missing)
        tokens = (length // _CHARACTERS_A_TOKEN, _OUTPUT_TOKENS * len(missing))
        price = None
        if self._prices[0] is not None and self._prices[1] is not None:
            price = (tokens[0] * self._prices[0] + tokens[1] * self._prices[1]) / 1e6
        return Estimate(len(missing), *tokens, price)

    def __call__(self, instructions: Sequence[str]) -> list[list[str]]:
        """Tags of each instruction, in the same order; each distinct one is asked once, ever.

        Raises:
            EndpointError: The server is down, refuses, or answers an instruction twice with something that can't be
                read. The answers that came are kept, and the same call goes on from them.
            WorkspaceError: The cache can't be written.
        """
        known = {text: decode_tags(value) for text, value in self._cache.get(instructions).items()}
        missing = self._missing(instructions, known)
        if missing:
            self._progress.note(f"tagging by {self.model}: {self.estimate(missing)}")
            self._progress.phase("tag", len(missing))
            for done, (text, tags) in enumerate(self._asked(missing), start=1):
                known[text] = tags
                self._progress.advance(done)
        return [list(known[text]) for text in instructions]

    def _asked(self, texts: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
        """Instructions with their tags, as the answers come."""
        pool = ThreadPoolExecutor(self.concurrency, thread_name_prefix="inscl-tags")
        with self._endpoint:
            try:
                futures = {pool.submit(self._ask, text): text for text in texts}
                for future in as_completed(futures):
                    yield futures[future], future.result()
            except Exception:
                # No new requests and no more tries, but the answers that are on their way are still kept.
                self._endpoint.give_up()
                pool.shutdown(wait=True, cancel_futures=True)
                raise
            finally:
                pool.shutdown(wait=False, cancel_futures=True)

    def _ask(self, text: str) -> list[str]:
        messages = [{"role": "user", "content": _question(self.prompt, text)}]
        tags, reason, answer = self._answer(messages)
        if not tags:
            repeat = REPEAT.replace("{reason}", reason)
            messages += [{"role": "assistant", "content": answer[:2000]}, {"role": "user", "content": repeat}]
            tags, reason, _ = self._answer(messages)
        if not tags:
            shown = " ".join(text.split())
            shown = shown if len(shown) <= 100 else shown[:99] + "…"
            raise EndpointError(
                f"{self.model} answered twice with something that can't be used ({reason}), asked for the tags of the "
                f"instruction {shown!r}. The answers to others are kept; try another model, or the tagger keyphrases"
            )
        self._cache.put({text: encode_tags(tags)})
        return tags

    def _answer(self, messages: Messages) -> tuple[list[str], str, str]:
        """Tags, or what is wrong with the answer; and the answer."""
        answer = self._endpoint.ask(messages)
        try:
            return parse_tags(answer), "", answer
        except ValueError as problem:
            return [], str(problem), answer

    @staticmethod
    def _missing(instructions: Sequence[str], known: Mapping[str, object]) -> list[str]:
        return [text for text in dict.fromkeys(instructions) if text not in known]


def _question(prompt: str, instruction: str) -> str:
    # Half a surrogate pair can't be sent: it becomes a question mark.
    return prompt.replace("{instruction}", instruction.encode(errors="replace").decode())
