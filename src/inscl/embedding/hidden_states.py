"""The language model's own view of a text: its last hidden states, averaged."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inscl.contract.encodable import encodable
from inscl.errors import MissingExtraError, ModelError
from inscl.models import names as model_names

__all__ = ["ModelEmbedder"]


class ModelEmbedder:
    r"""The model's own last hidden states, mean-pooled, as the paper embeds instructions.

    .. math:: e(x) = \frac{1}{|x|} \sum_{t \in x} h_t

    over the tokens of the text, padding left out; :math:`h` are the hidden states after the final norm (InsCL, Wang et
    al., NAACL 2024 long 37, section 3.2, with LLaMA-7B). Texts of similar length share a batch. Weights are taken to
    float32, so that a text's vector depends on its batch by rounding errors only. It is loaded at the first call.

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
        tokenizer, _ = self._loaded
        encoded = tokenizer(encodable(texts), truncation=True, max_length=self.max_length)["input_ids"]
        # The empty text may have no token at all; it is then what every text of this model begins or ends with.
        nothing = [next((t for t in (tokenizer.bos_token_id, tokenizer.eos_token_id) if t is not None), 0)]
        tokens = [ids or nothing for ids in encoded]
        by_length = sorted(range(len(tokens)), key=lambda k: len(tokens[k]))
        rows: dict[int, NDArray[np.float32]] = {}
        for start in range(0, len(by_length), self.batch_size):
            batch = by_length[start : start + self.batch_size]
            rows.update(zip(batch, self._embed([tokens[k] for k in batch]), strict=True))
        return np.stack([rows[k] for k in range(len(tokens))])

    def _embed(self, tokens: Sequence[Sequence[int]]) -> NDArray[np.float32]:
        """One batch. Padding stands on the right, where a causal model can't see it, and is left out of the mean."""
        import torch

        _, network = self._loaded
        longest = max(map(len, tokens))
        ids = torch.zeros((len(tokens), longest), dtype=torch.long)
        mask = torch.zeros_like(ids)
        for row, own in enumerate(tokens):
            ids[row, : len(own)] = torch.tensor(own)
            mask[row, : len(own)] = 1
        with torch.inference_mode():
            hidden = network(
                input_ids=ids.to(network.device), attention_mask=mask.to(network.device), use_cache=False
            ).last_hidden_state
            kept = mask.to(network.device).unsqueeze(-1)
            means: NDArray[np.float32] = ((hidden * kept).sum(dim=1) / kept.sum(dim=1)).cpu().numpy()
        return means

    @cached_property
    def _loaded(self) -> tuple[Any, Any]:
        """Tokenizer and network, without the output layer."""
        try:
            import torch
            from transformers import AutoModel, AutoTokenizer
        except ImportError as error:
            raise MissingExtraError(f"embedding by the model {self.model!r}", "train", error.name) from error
        folder = model_names.resolve(self.model)
        try:
            with model_names.quiet():
                trusted = model_names.allowed(folder)
                tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=trusted)
                network = AutoModel.from_pretrained(
                    folder, dtype=torch.float32, use_safetensors=None if trusted else True, trust_remote_code=trusted
                )
        except Exception as error:
            reason = str(error).strip().split("\n")[0] or type(error).__name__
            raise ModelError(f"can't load the model {self.model!r} from {folder} to embed with it: {reason}") from error
        return tokenizer, network.eval().to("cuda" if torch.cuda.is_available() else "cpu")
