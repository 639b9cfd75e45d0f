"""An embedder with a cache on disk: no text is embedded twice."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inscl.config import kinds
from inscl.config.wrapping import name_and_params
from inscl.contract.seams import Embedder
from inscl.errors import ModelError, WorkspaceError
from inscl.storage.files.cache import Cache, cache_dir

__all__ = ["CachedEmbedder", "embedder_of"]

# Texts embedded between two writes: what an interruption may lose.
_CHUNK = 256

Vector = NDArray[np.float32]


class CachedEmbedder:
    """Asks an embedder only for the distinct texts whose vectors aren't on disk yet.

    An embedder without a `fingerprint` is asked every time, since nothing says whose vectors are in the cache. Where
    everything is cached the embedder is never called, so that one which loads its model on its first call (all of ours)
    never loads it.

    Args:
        embedder: Any embedder.
        path: The cache file; made when needed.

    Attributes:
        computed: How many texts the embedder was asked for so far.
    """

    def __init__(self, embedder: Embedder, path: Path) -> None:
        self.embedder, self.path, self.computed = embedder, path, 0

    @property
    def fingerprint(self) -> str | None:
        """The embedder's own; None if it has none."""
        found = getattr(self.embedder, "fingerprint", None)
        return found if isinstance(found, str) and found else None

    def __call__(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embed n texts.

        Returns:
            Shape (n, d), float32, one row a text in the same order; (0, 0) for no texts.

        Raises:
            ModelError: The embedder gave something else than n finite vectors of one length.
            WorkspaceError: The cache can't be read or written.
        """
        distinct = list(dict.fromkeys(texts))
        if not distinct:
            return np.zeros((0, 0), dtype=np.float32)
        fingerprint = self.fingerprint
        if fingerprint is None:
            vectors = self._compute(distinct)
        else:
            vectors = self.known(distinct)
            if len(vectors) < len(distinct):
                # Where another process is at the same texts, its vectors are taken over.
                with Cache(self.path, fingerprint).alone():
                    vectors = self._complete(self.known(distinct), distinct, Cache(self.path, fingerprint))
        lengths = {len(vector) for vector in vectors.values()}
        if len(lengths) > 1:
            raise ModelError(
                f"{self._name} gives vectors of different lengths ({sorted(lengths)}), some of them from the cache "
                f"{self.path}: an embedder that changes must change its fingerprint too"
            )
        return np.stack([vectors[text] for text in texts])

    def keep(self, texts: Sequence[str], vectors: Any) -> None:
        """Put vectors that were made elsewhere, by an embedder of the same fingerprint, into the cache.

        Args:
            texts: n texts.
            vectors: Shape (n, d).

        Raises:
            ModelError: They aren't n finite vectors of one length.
            WorkspaceError: The cache can't be written, or the embedder has no fingerprint.
        """
        if self.fingerprint is None:
            raise WorkspaceError(f"{self._name} has no fingerprint: its vectors can't be kept")
        checked = self.checked(texts, vectors)
        Cache(self.path, self.fingerprint).put({text: _encode(vector) for text, vector in checked.items()})

    def _complete(self, vectors: dict[str, Vector], texts: Sequence[str], cache: Cache) -> dict[str, Vector]:
        missing = [text for text in texts if text not in vectors]
        for start in range(0, len(missing), _CHUNK):
            fresh = self._compute(missing[start : start + _CHUNK])
            cache.put({text: _encode(vector) for text, vector in fresh.items()})
            vectors |= fresh
        return vectors

    def known(self, texts: Sequence[str]) -> dict[str, Vector]:
        """The vectors that are on disk, by text; computes nothing."""
        if self.fingerprint is None:
            return {}
        stored = Cache(self.path, self.fingerprint).get(dict.fromkeys(texts))
        decoded = {text: _decode(value) for text, value in stored.items()}
        return {text: vector for text, vector in decoded.items() if vector is not None}

    @property
    def _name(self) -> str:
        return f"the embedder {type(self.embedder).__name__}"

    def _compute(self, texts: Sequence[str]) -> dict[str, Vector]:
        made = self.embedder(texts)
        self.computed += len(texts)
        return self.checked(texts, made)

    def checked(self, texts: Sequence[str], vectors: Any) -> dict[str, Vector]:
        """Vectors by text, if there is a finite one of the same length for each.

        Raises:
            ModelError: There isn't.
        """
        result = np.asarray(vectors, dtype=np.float32)
        if result.ndim != 2 or len(result) != len(texts) or not result.shape[1]:
            raise ModelError(
                f"{self._name} gave shape {result.shape} for {len(texts)} texts; expected ({len(texts)}, d)"
            )
        bad = np.flatnonzero(~np.isfinite(result).all(axis=1))
        if bad.size:
            raise ModelError(f"{self._name} gave NaN or an infinity for the text {texts[bad[0]][:80]!r}")
        return dict(zip(texts, result, strict=True))


def embedder_of(
    chosen: str | Mapping[str, Any] | Embedder, model: str | None = None, key: str = "embedder"
) -> Embedder:
    """The embedder that was named, with its results cached on disk, or the function that was given.

    Args:
        chosen: Name, ``{"name": ..., "params": {...}}``, or a function from texts to vectors.
        model: The model whose hidden states the embedder ``model`` takes; None for the default model.
        key: Where it is named, for messages.

    Raises:
        UnknownComponentError: No embedder of that name.
        ConfigError: It is named in another form, or it refuses its parameters.
    """
    if callable(chosen):
        return chosen
    name, params = name_and_params(chosen, key)
    given = {"model": model, **params} if name == "model" and model is not None else params
    return CachedEmbedder(kinds.create("embedders", name, given), cache_dir() / "embeddings.sqlite")


def _encode(vector: Vector) -> bytes:
    """A checksum, then the numbers, little-endian float32."""
    numbers = vector.astype("<f4").tobytes()
    return zlib.crc32(numbers).to_bytes(4, "little") + numbers


def _decode(value: bytes) -> Vector | None:
    """The inverse of `_encode`; None for a damaged value, which is then computed again."""
    checksum, numbers = value[:4], value[4:]
    if not numbers or len(numbers) % 4 or zlib.crc32(numbers).to_bytes(4, "little") != checksum:
        return None
    return np.frombuffer(numbers, dtype="<f4").astype(np.float32)
