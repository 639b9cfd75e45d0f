"""Embeds texts by the language model's own last hidden states, averaged."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from inscl.contract.encodable import encodable
from inscl.models import names as model_names

if TYPE_CHECKING:
    from inscl.models.language_model import LanguageModel

__all__ = ["ModelEmbedder"]


class ModelEmbedder:
    r"""The model's own last hidden states, mean-pooled, as the paper embeds instructions.

    .. math:: e(x) = \frac{1}{|x|} \sum_{t \in x} h_t

    over the tokens of the text, padding left out; :math:`h` are the hidden states after the final norm (InsCL, Wang et
    al., NAACL 2024 long 37, section 3.2, with LLaMA-7B). Texts of similar length share a batch. Arithmetic is in
    float32, so that a text's vector depends on its batch by rounding errors only. The model is loaded at the first
    call, unless a learner of this process has its weights in memory: then those are read, as the model came. A learner
    that changes them (full fine-tuning, OSF, adapters that are merged) makes the next call load a second copy.

    Args:
        model: Alias, hub id, folder or GGUF file of a causal language model.
        batch_size: Texts embedded at once.
        max_length: Tokens of a text that are read; the rest is left out.

    Raises:
        ModelError: On use: there is no such model, or it can't be loaded.
        MissingExtraError: On use: torch or transformers isn't installed.
    """

    def __init__(self, model: str = model_names.DEFAULT_MODEL, batch_size: int = 16, max_length: int = 512) -> None:
        self.model, self.batch_size, self.max_length = model, batch_size, max_length

    @cached_property
    def fingerprint(self) -> str:
        """Digest of the model's files, and what else decides the vectors."""
        return f"mean-pooled:{self.max_length}:{model_names.fingerprint(model_names.resolve(self.model))}"

    def __call__(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embed n texts; returns shape (n, hidden size), float32, in the same order; (0, 0) for no texts."""
        if not texts:
            return np.zeros((0, 0), dtype=np.float32)
        tokenizer = self._network.tokenizer
        encoded = tokenizer(list(map(encodable, texts)), truncation=True, max_length=self.max_length)["input_ids"]
        # The empty text may have no token at all; it is then what every text of this model begins or ends with.
        nothing = [next((t for t in (tokenizer.bos_token_id, tokenizer.eos_token_id) if t is not None), 0)]
        return self._network.hidden_states([ids or nothing for ids in encoded], batch_size=self.batch_size)

    @cached_property
    def _network(self) -> LanguageModel:
        from inscl.models.language_model import LanguageModel

        return LanguageModel(self.model, "fp32", compact=True)
