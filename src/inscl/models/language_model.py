"""A language model in memory: weights, tokenizer, template, generation, likelihoods and hidden states."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from inscl.contract import LogLikelihood
from inscl.contract.objective import SoftTargets
from inscl.models import names as model_names
from inscl.models.batches import understood
from inscl.models.changed_logits import changed_logits
from inscl.models.decoding import generate_greedily
from inscl.models.kept_prompts import KeptPrompts
from inscl.models.likelihoods import AnswerStates, answer_states, log_likelihoods
from inscl.models.option_likelihoods import option_likelihoods
from inscl.models.picture_prompts import PicturePromptEncoder
from inscl.models.picture_tokens import PictureTokens, sees_pictures
from inscl.models.precision import fastest_device, use_bf16
from inscl.models.prompts import Encoded, PromptEncoder
from inscl.models.shared_weights import Weights, borrow, load, take
from inscl.models.soft_targets import soft_targets
from inscl.models.soft_tokens import first_soft_token, soft_tokens

if TYPE_CHECKING:
    from transformers import LogitsProcessor

__all__ = ["LanguageModel"]

_ALL_LAYERS = MappingProxyType({"output_hidden_states": True})


class LanguageModel:
    """A causal language model with its original weights and its tokenizer; loaded on first use, once per process.

    An image-text model is one, too, whose prompts may hold pictures: see `inscl.models.picture_tokens`.

    Whoever needs the same model reads the same weights: see `inscl.models.shared_weights`. Where somebody teaches an
    adapter on them, it is switched off while they are read here. Once they are changed themselves (full fine-tuning,
    adapters that are added into them), a second copy is loaded at the next use. Weights that are held in bf16 are read
    in float32 without a second copy if they are stored in bf16; otherwise there is one, since rounding would change
    the results.

    Args:
        name: What `inscl.models.names.resolve` takes.
        precision: ``auto``, ``bf16`` or ``fp32``.
        device: ``cpu``, ``cuda``, ...; the fastest there is if None.
        compact: Hold weights that are stored in bf16 in bf16, whatever the precision. The results are the same, in half
            the memory; since every pass widens the weights anew, it suits few passes over many tokens.

    Raises:
        ModelError: On use: there is no such model, or it can't be loaded.
        MissingExtraError: On use: torch or transformers isn't installed.
    """

    def __init__(self, name: str, precision: str = "fp32", device: str | None = None, compact: bool = False) -> None:
        self.name, self.precision, self.compact = name, precision, compact
        self._device = device
        self._weights: Weights | None = None
        self._kept: KeptPrompts | None = None
        self._tokenizer: Any = None
        self._path: Path | None = None

    @property
    def path(self) -> Path:
        """The folder the model came from."""
        if self._path is None:
            self._path = model_names.resolve(self.name)
        return self._path

    @property
    def tokenizer(self) -> Any:
        """The model's tokenizer."""
        if self._tokenizer is None:
            self._tokenizer = load("AutoTokenizer", self.path)
        return self._tokenizer

    @property
    def model(self) -> Any:
        """The network, a causal language model of transformers or PEFT's around one; to be called inside `reading`."""
        if self._weights is None or not self._weights.serve(self.bf16):
            self._weights = borrow(self.path, self.device, self.bf16, self.compact)
        return self._weights.network if self._weights.adapted is None else self._weights.adapted

    @property
    def device(self) -> str:
        """Where it computes."""
        return self._device or fastest_device()

    @property
    def bf16(self) -> bool:
        """Whether arithmetic is in bf16."""
        return use_bf16(self.precision)

    @property
    def context(self) -> int | None:
        """Most tokens that it was made to read at once; None where its configuration doesn't say."""
        settings = load("AutoConfig", self.path)
        found = getattr(settings.get_text_config(), "max_position_embeddings", None)
        return found if isinstance(found, int) and found > 0 else None

    def within_context(self, most: int) -> int:
        """`most` tokens, or the model's own limit where that is smaller."""
        own = self.context
        return most if own is None else min(most, own)

    @property
    def end_tokens(self) -> frozenset[int]:
        """Tokens that end an answer."""
        settings = getattr(self.model, "generation_config", None)
        ends = getattr(settings, "eos_token_id", None)
        listed = ends if isinstance(ends, list) else [] if ends is None else [ends]
        return frozenset([*listed, self.tokenizer.eos_token_id])

    @property
    def pad_token(self) -> int:
        """What fills up a batch; always masked."""
        pad = self.tokenizer.pad_token_id
        return int(self.tokenizer.eos_token_id if pad is None else pad)

    def encoder(self, form: str = "chat", max_length: int = 1024) -> PromptEncoder:
        """How its prompts and answers become tokens, in its own template or plainly; with pictures, if it sees them."""
        if sees_pictures(self.path):
            return PicturePromptEncoder(self.tokenizer, form, max_length, PictureTokens(self.path))
        return PromptEncoder(self.tokenizer, form, max_length)

    @contextmanager
    def reading(self) -> Iterator[None]:
        """The context in which forward passes run: in the precision wanted, and nobody's adapter on."""
        import torch

        model = self.model
        autocast = torch.autocast(model.device.type, dtype=torch.bfloat16) if self.bf16 else nullcontext()
        base = nullcontext() if self._weights is None else self._weights.base(self.bf16)
        with base, autocast:
            yield

    @contextmanager
    def changing(self, change: Callable[[Any, Any], Any]) -> Iterator[None]:
        """The context in which everything reads ``change(hidden, logits)`` as logits; see `changed_logits`."""
        with changed_logits(self.model, change):
            yield

    @property
    def first_soft_token(self) -> int:
        """The first token id beyond its vocabulary; see `softened`."""
        return first_soft_token(self.model)

    @contextmanager
    def softened(self, tokens: Sequence[int], delta: Any) -> Iterator[None]:
        """The context in which ids from `first_soft_token` on stand for `tokens` moved by `delta`; see `soft_tokens`.

        Args:
            tokens: n known tokens.
            delta: A tensor of shape (n, hidden size).
        """
        with soft_tokens(self.model, tokens, delta):
            yield

    @contextmanager
    def keeping_prompts(self) -> Iterator[None]:
        """The context in which prompts that are answered are kept, so that likelihoods after them needn't read them.

        Nobody may change the weights within it, nor what `softened` tokens stand for. It takes up to
        `inscl.models.kept_prompts.MOST_BYTES`, which are free again at its end.
        """
        before, self._kept = self._kept, KeptPrompts()
        try:
            yield
        finally:
            self._kept = before

    def hold(self) -> None:
        """Hold the weights in the precision wanted, so that gradients can pass through them; nobody changes them."""
        self._weights = take(self.path, self.device, self.bf16, self)

    def generate(
        self,
        prompts: Sequence[Sequence[int]],
        *,
        max_new_tokens: int,
        batch_size: int = 32,
        processors: Sequence[LogitsProcessor] = (),
        advance: Callable[[int], None] = lambda done: None,
        known: Mapping[str, list[list[int]]] = MappingProxyType({}),
        keep: Callable[[str, list[list[int]]], None] = lambda batch, found: None,
        over: Callable[[list[int]], bool] = lambda answer: False,
    ) -> list[list[int]]:
        """Greedy continuations of n prompts, token ids; see `inscl.models.decoding.generate_greedily`."""
        model = self.model.eval()
        with model_names.quiet(), self.reading():
            return generate_greedily(
                model,
                prompts,
                max_new_tokens=max_new_tokens,
                batch_size=batch_size,
                end_tokens=self.end_tokens,
                pad_token=self.pad_token,
                processors=processors,
                advance=advance,
                known=known,
                keep=keep,
                over=over,
                kept=self._kept,
            )

    def log_likelihoods(self, examples: Sequence[Encoded], *, batch_size: int = 32) -> list[LogLikelihood]:
        """How likely the answer of each of n examples is; see `inscl.models.likelihoods.log_likelihoods`."""
        model = self.model.eval()
        with model_names.quiet(), self.reading():
            return log_likelihoods(model, examples, batch_size=batch_size, pad_token=self.pad_token, kept=self._kept)

    def answer_states(self, examples: Sequence[Encoded], *, batch_size: int = 32) -> list[AnswerStates]:
        """What predicts the answer of each of n examples; see `inscl.models.likelihoods.answer_states`."""
        model = self.model.eval()
        with model_names.quiet(), self.reading():
            return answer_states(model, examples, batch_size=batch_size, pad_token=self.pad_token)

    def soft_targets(self, examples: Sequence[Encoded], count: int, *, batch_size: int = 32) -> list[SoftTargets]:
        """The likeliest tokens at each position of n answers; see `inscl.models.soft_targets.soft_targets`."""
        model = self.model.eval()
        with model_names.quiet(), self.reading():
            return soft_targets(model, examples, count, batch_size=batch_size, pad_token=self.pad_token)

    def option_likelihoods(
        self, prompts: Sequence[Sequence[int]], options: Sequence[Sequence[Sequence[int]]], *, batch_size: int = 32
    ) -> list[list[LogLikelihood]]:
        """How likely each option after each of n prompts is, each read once; see `inscl.models.option_likelihoods`."""
        model = self.model.eval()
        with model_names.quiet(), self.reading():
            return option_likelihoods(
                model, prompts, options, batch_size=batch_size, pad_token=self.pad_token, kept=self._kept
            )

    def next_token_distributions(
        self, prompts: Sequence[Sequence[int]], *, batch_size: int = 16
    ) -> NDArray[np.float32]:
        """What may come after each prompt.

        Args:
            prompts: Token ids of n prompts, none empty.
            batch_size: Prompts at a time.

        Returns:
            Natural logarithms of probabilities, shape (n, vocabulary), float32.
        """
        model = self.model.eval()

        def last(ids: Any, mask: Any) -> Any:
            ends = mask.sum(1) - 1
            batch = {"input_ids": ids, "attention_mask": mask, "use_cache": False, "logits_to_keep": ends.unique()}
            given = understood(model, batch)
            logits = model(**given).logits
            at = (ends[:, None] == given["logits_to_keep"]).int().argmax(1) if "logits_to_keep" in given else ends
            return logits[range(len(ends)), at].float().log_softmax(-1)

        return self._rows(prompts, batch_size, last)

    def hidden_states(
        self,
        texts: Sequence[Sequence[int]],
        *,
        layer: int = -1,
        at: Literal["mean"] | int = "mean",
        batch_size: int = 16,
    ) -> NDArray[np.float32]:
        r"""What the network holds inside while it reads each text.

        With ``mean``, :math:`e(x) = \frac{1}{|x|} \sum_{t \in x} h_t`, padding left out.

        Args:
            texts: Token ids of n texts, none empty.
            layer: -1 is after the last layer and the final norm; 0 the embeddings, k after the k-th layer.
            at: Mean over all tokens, or the state at one position; negative ones count from a text's end.
            batch_size: Texts at a time.

        Returns:
            Shape (n, hidden size), float32, in the same order.
        """
        model = self.model.eval()
        network = (model.get_base_model() if hasattr(model, "peft_config") else model).base_model

        def pooled(ids: Any, mask: Any) -> Any:
            outputs = network(
                input_ids=ids, attention_mask=mask, use_cache=False, **({} if layer == -1 else _ALL_LAYERS)
            )
            hidden = outputs.last_hidden_state if layer == -1 else outputs.hidden_states[layer]
            if at == "mean":
                kept = mask.unsqueeze(-1)
                return ((hidden * kept).sum(dim=1) / kept.sum(dim=1)).float()
            places = at if at >= 0 else mask.sum(1) + at
            return hidden[range(len(ids)), places].float()

        return self._rows(texts, batch_size, pooled)

    def _rows(
        self, texts: Sequence[Sequence[int]], batch_size: int, forward: Callable[[Any, Any], Any]
    ) -> NDArray[np.float32]:
        """One row a text: `forward` of batches of similar length, padded on the right, where nothing sees it."""
        import torch

        order = sorted(range(len(texts)), key=lambda k: len(texts[k]))
        rows: dict[int, NDArray[np.float32]] = {}
        with torch.inference_mode(), model_names.quiet(), self.reading():
            for start in range(0, len(order), batch_size):
                places = order[start : start + batch_size]
                longest = len(texts[places[-1]])
                ids = torch.zeros((len(places), longest), dtype=torch.long)
                mask = torch.zeros_like(ids)
                for row, k in enumerate(places):
                    ids[row, : len(texts[k])] = torch.tensor(list(texts[k]))
                    mask[row, : len(texts[k])] = 1
                found = forward(ids.to(self.device), mask.to(self.device)).cpu().numpy()
                rows.update(zip(places, found, strict=True))
        return np.stack([rows[k] for k in range(len(texts))]) if rows else np.zeros((0, 0), dtype=np.float32)
