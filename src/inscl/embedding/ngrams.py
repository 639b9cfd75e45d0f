"""Embeds texts by their spelling: hashed character n-grams, without a model."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from inscl.contract.encodable import encodable
from inscl.errors import ConfigError, Problem

__all__ = ["NgramEmbedder"]


class NgramEmbedder:
    """Hashed counts of character n-grams within words; similar spellings get similar vectors. Needs no model.

    For a first look at a plan, and for merging tags that differ in spelling only; it knows nothing of meaning. Its
    siblings (`ModelEmbedder`, `SentenceEmbedder`) do.

    Args:
        dim: Numbers a vector. Two n-grams may share one; the fewer numbers, the more do.
        shortest: Characters of the shortest n-gram.
        longest: Characters of the longest n-gram.

    Raises:
        ConfigError: A value is out of range.
    """

    def __init__(self, dim: int = 1024, shortest: int = 2, longest: int = 4) -> None:
        problems = [Problem("dim", f"must be at least 1, got {dim}")] if dim < 1 else []
        if not 1 <= shortest <= longest:
            problems.append(Problem("shortest", f"must be from 1 to longest ({longest}), got {shortest}"))
        if problems:
            raise ConfigError(problems, "embedder ngrams")
        self.dim, self.shortest, self.longest = dim, shortest, longest

    @property
    def fingerprint(self) -> str:
        """The settings; nothing else decides the vectors."""
        return f"ngrams:1:{self.dim}:{self.shortest}-{self.longest}"

    def __call__(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embed n texts.

        Returns:
            Shape (n, dim), float32, rows of length 1, not negative: cosines lie between 0 and 1. A text without a
            letter or sign (the empty one) is the uniform vector, since the zero vector has no direction.
        """
        if not texts:
            return np.zeros((0, self.dim), dtype=np.float32)
        from sklearn.feature_extraction.text import HashingVectorizer

        vectorizer = HashingVectorizer(
            analyzer="char_wb",
            ngram_range=(self.shortest, self.longest),
            n_features=self.dim,
            alternate_sign=False,
            norm="l2",
            dtype=np.float32,
        )
        vectors = vectorizer.transform(map(encodable, texts)).toarray()
        vectors[~vectors.any(axis=1)] = 1 / np.sqrt(self.dim)
        return np.asarray(vectors, dtype=np.float32)
