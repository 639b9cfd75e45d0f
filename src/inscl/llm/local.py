"""A chat model in this process: everything built on an LLM also runs without server, key or network."""

from __future__ import annotations

import sys
import threading
from functools import cached_property
from typing import Any

from inscl.contract.chat import Completion, Messages
from inscl.contract.example import Turn
from inscl.errors import EndpointError, TooLongError
from inscl.models import names as model_names
from inscl.models.prompts import PromptEncoder

__all__ = ["LocalChatModel"]


class LocalChatModel:
    """A causal language model of this machine, asked by its own chat template and answering greedily.

    Questions from several threads are answered one after the other. A conversation longer than the model's context is
    refused.

    Args:
        model: Alias, folder, GGUF file or hub id.
        max_tokens: Longest answer.

    Raises:
        ModelError: On use: there is no such model, or it can't be loaded.
    """

    def __init__(self, model: str, max_tokens: int = 256) -> None:
        self.model, self.max_tokens = model, max_tokens
        self._one_at_a_time = threading.Lock()
        self._stopped, self._left = threading.Event(), threading.Event()

    @property
    def name(self) -> str:
        """As in configurations."""
        return f"local:{self.model}"

    @cached_property
    def fingerprint(self) -> str:
        """Digest of the model's files, and the length of answers."""
        return f"local {model_names.fingerprint(model_names.resolve(self.model))} {self.max_tokens}"

    def complete(self, messages: Messages) -> Completion:
        """The most likely answer to a conversation.

        Raises:
            TooLongError: The conversation doesn't fit the model's context.
            EndpointError: `give_up` was called before it began, or the block was left before it ended.
        """
        with self._one_at_a_time:
            if self._stopped.is_set():
                raise EndpointError(f"{self.name} was stopped before it answered")
            weights = self._loaded
            tokens = self._tokens(messages)
            room = weights.context
            if room is not None and len(tokens) + self.max_tokens > room:
                raise TooLongError(
                    f"{self.name} reads at most {room} tokens, and a question has {len(tokens)} besides the answer's "
                    f"{self.max_tokens}: shorten the data, or choose a model with a longer context"
                )
            (answer,) = weights.generate(
                [tokens], max_new_tokens=self.max_tokens, batch_size=1, over=lambda answer: self._left.is_set()
            )
            if self._left.is_set():
                raise EndpointError(f"{self.name} was stopped before its answer ended")
        (text,) = self._encoder.decode([answer])
        return Completion(text, tokens=(len(tokens), len(answer)))

    def give_up(self) -> None:
        """Answer nothing that hasn't been begun."""
        self._stopped.set()

    def __enter__(self) -> LocalChatModel:
        """Take questions; the weights are loaded with the first one."""
        self._stopped.clear()
        self._left.clear()
        return self

    def __exit__(self, *error: object) -> None:
        """Take no more, and break off an answer that another thread waits for."""
        self._stopped.set()
        self._left.set()

    def _tokens(self, messages: Messages) -> list[int]:
        """The conversation in the model's own form; text from data can't forge control tokens."""
        return self._encoder.prompt([Turn.from_json(message) for message in messages]).tokens

    @cached_property
    def _encoder(self) -> PromptEncoder:
        # What doesn't fit is refused, never shortened.
        encoder: PromptEncoder = self._loaded.encoder(max_length=sys.maxsize)
        return encoder

    @cached_property
    def _loaded(self) -> Any:
        from inscl.models.language_model import LanguageModel

        return LanguageModel(self.model, "fp32")
