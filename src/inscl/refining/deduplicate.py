"""Removes near-duplicates."""

from __future__ import annotations

import unicodedata
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from inscl.contract import Example
from inscl.contract.encodable import encodable
from inscl.contract.refined import Refined
from inscl.contract.traits import RefinerTraits
from inscl.data.quoting import excerpt
from inscl.errors import ConfigError, Problem

__all__ = ["Deduplicate"]

_SKETCH = 512
"""Dimensions of the vectors by which candidates are found."""
_MARGIN = 0.15
"""A sketch's cosine is off by about (1 - cosine²) / sqrt(512), below 0.045; candidates are taken generously."""
_BLOCK = 512


class Deduplicate:
    """Remove near-duplicates of earlier examples of the same task; the first one stays.

    Two examples are as alike as the parts in which they differ most. Parts are instruction, input (of a conversation,
    everything that was said) and answers; the likeness of two texts is the cosine of their counts of three characters
    in a row, each word by itself, letter case left aside. So a long instruction that all share makes nothing alike.
    Rows about different pictures are never alike, however close the pictures are.
    Likeness is looked for with scikit-learn's feature hashing: sketches find candidates, whole vectors decide.

    It compares wording, not meaning. Rows that are made from a template, that differ in one number or in the order of
    their words, or that ask different things about one long passage count as alike, if their answers are: read
    ``rejected.jsonl`` before learning, and raise the threshold for such data.

    Args:
        threshold: From which likeness on an example is left out, in (0, 1]. 1 leaves out equal texts alone, whatever
            their letter case and the white space around them.
        by: ``all`` compares instruction, input and answers; ``prompt`` leaves the answers aside; ``instruction`` keeps
            one example for each instruction.

    Raises:
        ConfigError: A parameter is out of range.
    """

    traits = RefinerTraits(version="1")

    def __init__(self, threshold: float = 0.95, by: Literal["all", "prompt", "instruction"] = "all") -> None:
        problems = []
        if isinstance(threshold, bool) or not isinstance(threshold, (int, float)) or not 0 < threshold <= 1:
            problems.append(Problem("threshold", f"a number above 0 and up to 1 was expected: {threshold!r}"))
        if by not in ("all", "prompt", "instruction"):
            problems.append(Problem("by", f"all, prompt or instruction was expected: {by!r}"))
        if problems:
            raise ConfigError(problems, "refiner deduplicate")
        self.threshold, self.by = threshold, by

    def refine(self, examples: Sequence[Example]) -> Iterator[Refined]:
        """Keep the first of each group of near-duplicates; see `inscl.contract.seams.Refiner`."""
        for example, (twin, likeness) in zip(examples, self._twins(examples), strict=True):
            if twin is None:
                yield Refined.keep(example)
                continue
            first = examples[twin]
            which = f"{first.source or first.id}, {excerpt(first.input or first.instruction)}"
            reason = f"says nearly the same as {which} (similarity {likeness:.2f})"
            yield Refined.reject(example, reason, duplicate_of=first.id, similarity=round(likeness, 4))

    def _twins(self, examples: Sequence[Example]) -> list[tuple[int | None, float]]:
        """For each example the earliest one that is kept and alike, with its likeness; None where there is none."""
        parts = [_Part.of(texts) for texts in zip(*(self._texts(example) for example in examples), strict=True)]
        pictures = self._pictures(examples)
        found: list[tuple[int | None, float]] = [(None, 1.0)] * len(examples)
        kept = np.zeros(len(examples), dtype=bool)
        for start in range(0, len(examples), _BLOCK):
            block = np.arange(start, min(start + _BLOCK, len(examples)))
            columns = np.concatenate([np.flatnonzero(kept[:start]), block])
            near = np.minimum.reduce([part.sketched(block, columns) for part in parts])
            near = (near >= self.threshold - _MARGIN) & (pictures[block][:, None] == pictures[columns])
            for row, example in enumerate(block):
                others = columns[near[row]]
                others = others[(others < example) & kept[others]]
                kept[example] = True
                if not len(others):
                    continue
                exact = np.minimum.reduce([part.exact(int(example), others) for part in parts])
                alike = np.flatnonzero(exact >= self.threshold)
                if len(alike):
                    found[example] = int(others[alike[0]]), float(exact[alike[0]])
                    kept[example] = False
        return found

    def _texts(self, example: Example) -> tuple[str, ...]:
        said = "\n".join(f"{turn.role}: {turn.content}" for turn in example.turns) or example.input
        parts = (example.instruction, said, "\n".join(sorted(example.outputs)))
        return parts[: {"instruction": 1, "prompt": 2, "all": 3}[self.by]]

    def _pictures(self, examples: Sequence[Example]) -> NDArray[np.int64]:
        """Shape (n,): a number for the pictures that each example asks about, the same where they are the same."""
        numbers: dict[tuple[str, ...], int] = {}
        shown = (tuple(image.digest for image in example.images) for example in examples)
        compared = (() if self.by == "instruction" else digests for digests in shown)
        return np.array([numbers.setdefault(digests, len(numbers)) for digests in compared], dtype=np.int64)


@dataclass(frozen=True)
class _Part:
    """One part of every example: its distinct texts as vectors of length 1, and which example has which.

    Attributes:
        which: Shape (n,): the number of the text that each example has.
        vectors: Sparse, one row a distinct text.
        sketches: Shape (texts, 512), float32: the same, hashed into few dimensions.
    """

    which: NDArray[np.int64]
    vectors: Any
    sketches: NDArray[np.float32]

    @classmethod
    def of(cls, texts: Sequence[str]) -> _Part:
        from sklearn.feature_extraction.text import HashingVectorizer

        numbers: dict[str, int] = {}
        # However accents are encoded, "ß" and "SS" alike.
        alike = (unicodedata.normalize("NFC", text).strip().casefold() for text in texts)
        which = np.array([numbers.setdefault(text, len(numbers)) for text in alike], dtype=np.int64)
        hashing = partial(HashingVectorizer, analyzer="char_wb", ngram_range=(3, 3), lowercase=False, dtype=np.float32)
        distinct = list(map(encodable, numbers))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            vectors = hashing(n_features=2**20, alternate_sign=False).transform(distinct)
            sketches = hashing(n_features=_SKETCH).transform(distinct)
        return cls(which, vectors, sketches.toarray())

    def sketched(self, rows: NDArray[np.int64], columns: NDArray[np.int64]) -> NDArray[np.float32]:
        """About how alike the examples in `rows` and those in `columns` are, shape (rows, columns)."""
        if self.vectors.shape[0] == 1:
            return np.ones((len(rows), len(columns)), dtype=np.float32)
        own, its = np.unique(self.which[rows], return_inverse=True)
        other, theirs = np.unique(self.which[columns], return_inverse=True)
        likeness = self.sketches[own] @ self.sketches[other].T
        likeness[own[:, None] == other[None, :]] = 1  # texts without any letters have no vector
        found: NDArray[np.float32] = likeness[its][:, theirs]
        return found

    def exact(self, example: int, others: NDArray[np.int64]) -> NDArray[np.float32]:
        """How alike an example and some others are, shape (others,)."""
        texts = self.which[others]
        likeness = np.ones(len(others), dtype=np.float32)
        differ = texts != self.which[example]
        if differ.any():
            cosines = (self.vectors[texts[differ]] @ self.vectors[self.which[example]].T).toarray().ravel()
            likeness[differ] = np.minimum(
                cosines, np.nextafter(np.float32(1), np.float32(0))
            )  # not equal, at most near
        return likeness
