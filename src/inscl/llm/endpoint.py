"""One request to an OpenAI-compatible server, with limits, retries, and a protected key."""

from __future__ import annotations

import email.utils
import hashlib
import importlib.util
import json
import math
import os
import random
import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypeVar
from urllib.parse import urlsplit

from inscl.contract.chat import Completion, Messages
from inscl.errors import EndpointError, MissingExtraError, RefusedError, TooLongError, UserError
from inscl.llm.limited_client import TOO_LARGE, limited_client

__all__ = ["ChatEndpoint", "Continued"]

Reply = TypeVar("Reply")

_OPENAI = "https://api.openai.com/v1"
_FIRST_WAIT, _LONGEST_WAIT = 0.5, 30.0  # seconds between tries: doubled each time, with jitter
_LONGEST_RETRY_AFTER = 120.0  # seconds; a server that asks for more is given up
_TOO_LONG = re.compile(r"context[ _](length|window|size)|maximum context|too long", re.IGNORECASE)
_SHORTEST_KEY = 8  # characters; what is shorter is no secret, and may be a word


@dataclass(frozen=True)
class _Failure:
    """Why a try gave no answer.

    Attributes:
        reason: As a clause that follows the server's address.
        passing: Whether another try may help.
        wait: After how many seconds at least.
        too_long: Whether the question doesn't fit the model's context.
        refused: Whether the server refuses what the request asks for, whoever asks.
    """

    reason: str
    passing: bool
    wait: float | None = None
    too_long: bool = False
    refused: bool = False


@dataclass(frozen=True)
class Continued:
    """What came of a text or of token ids that a server was asked to continue.

    Attributes:
        text: The continuation, after the prompt where the request had it echoed.
        log_probabilities: What the server says of its tokens, in the server's own form; empty where it says nothing.
        tokens: How many tokens were read and written; None where that isn't known.
    """

    text: str
    log_probabilities: Mapping[str, Any]
    tokens: tuple[int, int] | None = None


class ChatEndpoint:
    """A chat model behind the OpenAI protocol (OpenAI, vLLM, llama.cpp, Ollama, ``transformers serve``, ...).

    Tries again after 408, 409, 429, 5xx, timeouts and broken connections, waiting longer each time, and as long as
    ``Retry-After`` says. Anything else is told at once. Redirects are not followed, since they would carry the key
    along. Use it as a context manager: the key is read from the environment on entry and forgotten on exit.

    Args:
        model: The name that the server knows it by.
        base_url: The address up to ``/v1``; None takes ``$OPENAI_BASE_URL``, else OpenAI.
        api_key_env: The environment variable with the key; a server given by address may do without.
        max_retries: Tries after the first.
        timeout: Seconds for one try, from the request to the end of the answer.
        request: More fields of the request body, as ``{"seed": 1}`` or ``{"logprobs": true}``; None as value takes a
            field away.

    Raises:
        MissingExtraError: The package openai isn't installed.
        UserError: There is neither an address nor a key, or one of them can't be one.
    """

    def __init__(
        self,
        model: str,
        base_url: str | None = None,
        *,
        api_key_env: str = "OPENAI_API_KEY",
        max_retries: int = 5,
        timeout: float = 60.0,
        request: Mapping[str, Any] | None = None,
    ) -> None:
        if importlib.util.find_spec("openai") is None:
            raise MissingExtraError(f"Asking the model server for {model!r}", "llm", "openai")
        given = base_url or os.environ.get("OPENAI_BASE_URL")
        self.api_key_env, self.max_retries, self.timeout = api_key_env, max_retries, timeout
        if not self._key().isascii() or not self._key().isprintable():
            raise UserError(f"the key in {api_key_env} holds characters that no key has; copy it again")
        if not given and not self._key():
            raise UserError(
                f"the model {model!r} needs a key or an address: set the environment variable {api_key_env}, or give "
                "base_url (as http://localhost:8000/v1) of a server that needs no key"
            )
        self.name, self.address = model, _checked(given or _OPENAI)
        self.request = {name: value for name, value in (request or {}).items() if value is not None}
        asked = hashlib.sha256(json.dumps(self.request, sort_keys=True).encode()).hexdigest()[:16]
        self.fingerprint = f"{model} {asked}"
        self._stopped = threading.Event()
        self._client: Any = None

    def complete(self, messages: Messages) -> Completion:
        """The model's answer to a conversation; may be called from several threads.

        Raises:
            TooLongError: The server says that the question doesn't fit the model's context.
            EndpointError: No answer came, for good; one line that says why and names no secret.
        """

        def create() -> Any:
            chat = self._client.chat.completions.with_raw_response
            return chat.create(model=self.name, messages=list(messages), extra_body=self.request)

        return self._until_answered(create, _content)

    def continue_text(self, prompt: str | Sequence[int], fields: Mapping[str, Any] = MappingProxyType({})) -> Continued:
        """The server's answer to a text or to token ids as they are, without a template (``/v1/completions``).

        Args:
            prompt: What is continued.
            fields: More fields of the request body; they count before those of the constructor.

        Raises:
            TooLongError: The server says that the prompt doesn't fit the model's context.
            RefusedError: The server refuses the request itself.
            EndpointError: No answer came, for good.
        """
        body = {**self.request, **fields}

        def create() -> Any:
            given = prompt if isinstance(prompt, str) else list(prompt)
            text = self._client.completions.with_raw_response
            return text.create(model=self.name, prompt=given, extra_body=body)

        return self._until_answered(create, _continued)

    def post(self, path: str, body: Mapping[str, Any]) -> str:
        """The server's answer to a request beyond the OpenAI protocol, such as vLLM's ``/load_lora_adapter``.

        Args:
            path: After the address, which ends in ``/v1``.
            body: Sent as JSON.

        Raises:
            RefusedError: The server refuses the request itself.
            EndpointError: No answer came, for good.
        """

        def create() -> Any:
            # What `with_raw_response` sets for the paths that the client knows.
            raw = {"headers": {"X-Stainless-Raw-Response": "true"}}
            return self._client.post(path, body=dict(body), cast_to=object, options=raw)

        return self._until_answered(create, str)

    def models(self) -> list[str]:
        """The names that the server lists (``/v1/models``).

        Raises:
            EndpointError: No list came.
        """
        return self._until_answered(lambda: self._client.models.with_raw_response.list(), _listed)

    def _until_answered(self, create: Callable[[], Any], read: Callable[[str], Reply | _Failure]) -> Reply:
        """What `read` makes of the first answer that comes; raises as `complete` does."""
        tried = 0
        while True:
            outcome, tried = self._try(create, read), tried + 1
            if not isinstance(outcome, _Failure):
                return outcome
            if not outcome.passing or tried > self.max_retries or self._stopped.is_set():
                times = f" ({tried} tries)" if tried > 1 else ""
                failed = TooLongError if outcome.too_long else RefusedError if outcome.refused else EndpointError
                raise failed(self._hidden(f"the model server at {self.address} {outcome.reason}{times}"))
            backoff = min(_FIRST_WAIT * 2 ** (tried - 1), _LONGEST_WAIT) * random.uniform(0.75, 1.25)
            self._pause(backoff if outcome.wait is None else outcome.wait)

    def __enter__(self) -> ChatEndpoint:
        """Open the connections, with the key of the moment."""
        import openai

        self._stopped.clear()
        self._client = openai.OpenAI(
            api_key=self._key() or "none",
            base_url=self.address,
            max_retries=0,
            default_headers={"Accept-Encoding": "identity"},
            http_client=limited_client(self.timeout),
        )
        return self

    def __exit__(self, *error: object) -> None:
        """Close the connections; who waits for the next try gives up."""
        self._stopped.set()
        self._client.close()
        self._client = None

    def give_up(self) -> None:
        """Make this the last try of every question that is under way."""
        self._stopped.set()

    def _pause(self, seconds: float) -> None:
        self._stopped.wait(seconds)

    def _try(self, create: Callable[[], Any], read: Callable[[str], Reply | _Failure]) -> Reply | _Failure:
        # Failures are returned, not raised from within an except block: the client's own errors can hold the key, and
        # would be printed with ours as its cause.
        import openai

        try:
            raw = create()
        except openai.APIStatusError as error:
            return self._refusal(error.status_code, error.response.headers, str(error.message))
        except openai.APITimeoutError:
            return _Failure(f"gave no whole answer within {self.timeout:g} seconds", True)
        except openai.APIConnectionError as error:
            if str(error.__cause__) == TOO_LARGE:
                return _Failure(TOO_LARGE, False)
            return _Failure(f"can't be reached ({error.__cause__ or error})", True)
        except openai.OpenAIError as error:
            return _Failure(f"can't be asked ({error})", False)
        return read(self._without_key(raw.http_response.text))  # should a server send it back, it ends here

    def _refusal(self, status: int, headers: Mapping[str, str], text: str) -> _Failure:
        if status in (401, 403):  # such answers like to repeat parts of the key, so they are not shown
            known = f"the key in {self.api_key_env}" if self._key() else "a request without key"
            return _Failure(f"refused {known} for the model {self.name!r} (HTTP {status})", False)
        if 300 <= status < 400:
            return _Failure(f"redirects elsewhere (HTTP {status}); give its final address as base_url", False)
        shown = " ".join(re.sub(r"[^\x20-\x7e]", " ", text).split())[:200]
        if status == 404:
            hint = f"is {self.name!r} served there, and does base_url end in /v1?"
            return _Failure(f"doesn't know the model or the path (HTTP 404): {hint}", False)
        passing = status in (408, 409, 429) or status >= 500
        wait = _retry_after(headers.get("retry-after"))
        if passing and wait is not None and wait > _LONGEST_RETRY_AFTER:
            return _Failure(f"asks to come back in {wait:.0f} seconds (HTTP {status})", False)
        too_long = status in (400, 413, 422) and bool(_TOO_LONG.search(text))
        return _Failure(f"answered HTTP {status}: {shown}", passing, wait, too_long, status in (400, 405, 422, 501))

    def _hidden(self, text: str) -> str:
        """The text without the key, nor what looks like one."""
        return re.sub(r"\b(?:sk|pk|key)-[\w*.-]{6,}|\S*\*{3,}\S*", "[key]", self._without_key(text))

    def _key(self) -> str:
        return os.environ.get(self.api_key_env, "").strip()

    def _without_key(self, text: str) -> str:
        key = self._key()
        return text.replace(key, "[key]") if len(key) >= _SHORTEST_KEY else text


def _content(body: str) -> Completion | _Failure:
    """The first choice's message in a chat completion, with its tokens' log-probabilities where there are any."""
    try:
        whole = json.loads(body)
        choice = whole["choices"][0]
        content = choice["message"]["content"]
    except (ValueError, LookupError, TypeError, RecursionError):
        return _something_else(body, "a chat completion")
    text = content if isinstance(content, str) else ""
    return Completion(text, _log_probabilities(choice.get("logprobs")), _tokens(whole.get("usage")))


def _continued(body: str) -> Continued | _Failure:
    """The first choice of a text completion."""
    try:
        whole = json.loads(body)
        choice = whole["choices"][0]
        text = choice["text"]
    except (ValueError, LookupError, TypeError, RecursionError):
        return _something_else(body, "a text completion")
    shown = choice.get("logprobs")
    return Continued(
        text if isinstance(text, str) else "", shown if isinstance(shown, dict) else {}, _tokens(whole.get("usage"))
    )


def _listed(body: str) -> list[str] | _Failure:
    try:
        return [str(one["id"]) for one in json.loads(body)["data"]]
    except (ValueError, LookupError, TypeError, RecursionError):
        return _something_else(body, "a list of models")


def _something_else(body: str, wanted: str) -> _Failure:
    shown = " ".join(re.sub(r"[^\x20-\x7e]", " ", body[:1000]).split())[:60]
    what = f"something else ({shown!r})" if shown else "nothing"
    return _Failure(f"answered {what} instead of {wanted}: does base_url end in /v1?", False)


def _tokens(given: Any) -> tuple[int, int] | None:
    """Tokens read and written, as servers count them; None for anything else."""
    try:
        read, written = given["prompt_tokens"], given["completion_tokens"]
    except (LookupError, TypeError):
        return None
    counts = all(isinstance(one, int) and not isinstance(one, bool) and one >= 0 for one in (read, written))
    return (read, written) if counts else None


def _log_probabilities(given: Any) -> tuple[float, ...] | None:
    """Of a choice's tokens, as servers send them when the request asks for ``logprobs``; None for anything else."""
    try:
        found = tuple(float(token["logprob"]) for token in given["content"])
    except (LookupError, TypeError, ValueError):
        return None
    return found if all(map(math.isfinite, found)) else None


def _checked(address: str) -> str:
    """The address without a slash at its end.

    Raises:
        UserError: It isn't an http(s) address, or it carries a name, a password or a query, which could be secrets.
    """
    try:
        parts = urlsplit(address)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        usable = False
    if not usable:
        raise UserError("base_url must be an address such as http://localhost:8000/v1")
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise UserError("base_url must hold no name, password or query: a key belongs in the environment")
    return address.rstrip("/")


def _retry_after(value: str | None) -> float | None:
    """Seconds that a Retry-After header asks for, given as seconds or as a date; None if it asks nothing usable."""
    try:
        seconds = float(value or "")
    except ValueError:
        try:
            seconds = email.utils.parsedate_to_datetime(value or "").timestamp() - time.time()
        except (ValueError, TypeError):
            return None
    return max(seconds, 0.0) if math.isfinite(seconds) else None
