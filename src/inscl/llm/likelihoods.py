r"""How likely a model behind a server finds a given answer, where the server can tell.

The OpenAI protocol has no such request, so servers differ. Two ways are known here; both send token ids, so that the
server reads exactly the tokens that are scored:

- ``echo`` (vLLM and others with OpenAI's former completions): the prompt, answer included, is sent back with the
  log-probability of each of its tokens.
- ``forced`` (llama.cpp): one request a token of the answer, whose token gets a bias under which no other is chosen. The
  server tells the log-probability that the model gave it before the bias, and keeps what it has read of the prompt. Of
  a token that is part of a letter (a byte of an emoji) it tells nothing; that one is looked up among the likeliest.

In both the sum is :math:`\sum_t \ln p(y_t \mid x, y_{<t})` over the answer and its end of sequence.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from inscl.contract import LogLikelihood
from inscl.errors import EndpointError, RefusedError
from inscl.llm.endpoint import ChatEndpoint

__all__ = ["AUTO", "WAYS", "ServedLikelihoods"]

AUTO = "auto"

_CERTAIN = 1e6  # added to a logit: nothing else is chosen
_LOOKED_THROUGH = 10_000  # tokens: about 1 MB of an answer


class ServedLikelihoods:
    """Asks for likelihoods in the way that a server understands.

    Args:
        way: Key of `WAYS`; `AUTO` takes the first one that the server answers.
    """

    def __init__(self, way: str = AUTO) -> None:
        self._way = None if way == AUTO else way

    @property
    def known(self) -> bool:
        """Whether it is settled which way is asked, so that questions can be asked side by side."""
        return self._way is not None

    def ask(self, server: ChatEndpoint, prompt: Sequence[int], answer: Sequence[int]) -> LogLikelihood:
        """How likely an answer is after a prompt.

        Args:
            server: An open endpoint.
            prompt: Token ids.
            answer: Token ids, the end of sequence last.

        Raises:
            RefusedError: The server can't tell in any of the ways, or not in the one that was chosen.
            EndpointError: No answer came.
        """
        said = []
        for way in WAYS if self._way is None else (self._way,):
            try:
                found = WAYS[way](server, prompt, answer)
            except RefusedError as error:
                said.append(f"{way}: {error}")
                continue
            self._way = way
            return found
        raise RefusedError(
            f"{server.name!r} gives no likelihoods of given answers ({'; '.join(said)}). Leave out metrics of "
            "likelihoods and choices, or serve the model with vLLM or llama.cpp's server"
        )


def _by_echo(server: ChatEndpoint, prompt: Sequence[int], answer: Sequence[int]) -> LogLikelihood:
    """The log-probabilities of a prompt that is echoed; one more token is written, since some servers demand it."""
    whole = [*prompt, *answer]
    fields = {"echo": True, "logprobs": 1, "max_tokens": 1, "temperature": 0}
    shown = server.continue_text(whole, fields).log_probabilities
    each = shown.get("token_logprobs")
    if not isinstance(each, list) or len(each) < len(whole):
        raise RefusedError(f"the model server at {server.address} echoes no log-probabilities of the prompt")
    nats = [_finite(server, value) for value in each[len(prompt) : len(whole)]]
    best = shown.get("top_logprobs")
    correct = None
    if isinstance(best, list) and len(best) >= len(whole) and all(best[len(prompt) : len(whole)]):
        tops = [max(map(float, one.values())) for one in best[len(prompt) : len(whole)]]
        correct = sum(own >= top for own, top in zip(nats, tops, strict=True))
    return LogLikelihood(min(math.fsum(nats), 0.0), len(nats), correct)


def _by_force(server: ChatEndpoint, prompt: Sequence[int], answer: Sequence[int]) -> LogLikelihood:
    """The log-probability of each token, which is made the next one by a bias of its logit."""
    nats, correct = [], []
    for place, token in enumerate(answer):
        before = [*prompt, *answer[:place]]
        own = _next(server, before, token, 1)
        if not own and place < len(answer) - 1:
            own = _looked_up(server, before, token, answer[-1])
        if own.get("id") != token:
            raise RefusedError(f"the model server at {server.address} doesn't tell how likely a token with a bias was")
        nats.append(_finite(server, own.get("logprob")))
        best = own.get("top_logprobs")
        correct.append(best[0].get("id") == token if isinstance(best, list) and best else None)
    known = None if None in correct else sum(map(bool, correct))
    return LogLikelihood(min(math.fsum(nats), 0.0), len(nats), known)


def _next(server: ChatEndpoint, before: Sequence[int], token: int, shown: int) -> dict[str, Any]:
    """What a server says of a token that it is made to write next, with the `shown` likeliest; empty for nothing."""
    fields = {"logit_bias": {str(token): _CERTAIN}, "logprobs": shown, "max_tokens": 1, "temperature": 0}
    content = server.continue_text(before, fields).log_probabilities.get("content")
    return content[0] if isinstance(content, list) and content and isinstance(content[0], dict) else {}


def _looked_up(server: ChatEndpoint, before: Sequence[int], token: int, end: int) -> dict[str, Any]:
    """What a server says of a token that it doesn't write by itself: from the likeliest where the end is written.

    Raises:
        EndpointError: The token isn't among them.
    """
    best = _next(server, before, end, _LOOKED_THROUGH).get("top_logprobs")
    if not isinstance(best, list) or not best:
        return {}
    found = next((one for one in best if one.get("id") == token), None)
    if found is None:
        raise EndpointError(
            f"the model server at {server.address} doesn't tell how likely token {token} is, which is part of a letter "
            f"and not among the {_LOOKED_THROUGH} likeliest: leave out rows with such letters, or serve with vLLM"
        )
    return {**found, "top_logprobs": best[:1]}


def _finite(server: ChatEndpoint, value: Any) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        return float(value)
    raise EndpointError(f"the model server at {server.address} gave {value!r} as a log-probability")


WAYS: Mapping[str, Callable[[ChatEndpoint, Sequence[int], Sequence[int]], LogLikelihood]] = MappingProxyType(
    {"echo": _by_echo, "forced": _by_force}
)
"""How a server is asked, by name."""
