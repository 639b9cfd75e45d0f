"""Which class of answers a text looks like: character n-grams and length, learned from reference answers."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

__all__ = ["AnswerFormats"]

Label = TypeVar("Label", bound=Hashable)

_BUCKETS = 2**14  # of hashed features
_LONGEST_READ = 300  # characters; a longer answer shows its format before that
_SMOOTHING = 0.1  # counts added to every feature of every class
_FALSE_ALARMS = 0.05  # share of a class's own references that the cut may call foreign
_FEWEST = 20  # references for a cut of the class's own


class AnswerFormats(Generic[Label]):
    """A multinomial naive Bayes classifier over classes of answers, with a cut for each class.

    Features of an answer are its distinct character n-grams (n = 1..3, lower case) and its length in words on a log
    scale; distinct, so that an answer that repeats itself without end isn't judged by its repetitions. All classes
    count as equally likely beforehand.

    The *margin* of an answer a and a class c is by how much c explains a better than the best other class does::

        margin(a, c) = (log p(a | c) - max over d != c of log p(a | d)) / number of features of a

    The cut of c is the margin that all but 5% of c's own references reach when the classifier is trained without
    them (two folds), or 0 if that is above 0. Classes of fewer than 20 references share one cut, taken over all
    references. The rule is a design of this package; the papers give none.

    Args:
        texts: Reference answers.
        labels: The class of each, same length; at least two distinct ones.

    Attributes:
        labels: The distinct classes, in order of first appearance.
    """

    def __init__(self, texts: Sequence[str], labels: Sequence[Label]) -> None:
        self.labels: list[Label] = list(dict.fromkeys(labels))
        self._place = {label: place for place, label in enumerate(self.labels)}
        features = _features(texts)
        own = np.array([self._place[label] for label in labels])
        self._weights = _fitted(features, own, len(self.labels))
        self._cuts = self._cut(features, own)

    def __contains__(self, label: object) -> bool:
        return label in self._place

    def fits(self, text: str, label: Label) -> tuple[bool, Label]:
        """Whether `text` may be an answer of class `label`, and the class other than it that explains it best."""
        scores = (_features([text]) @ self._weights)[0]
        place = self._place[label]
        others = np.delete(np.arange(len(scores)), place)
        best = int(others[np.argmax(scores[others])])
        return bool(scores[place] - scores[best] >= self._cuts[place]), self.labels[best]

    def _cut(self, features: Any, own: NDArray[np.int_]) -> NDArray[np.float64]:
        # Each class's references take turns between the folds, so that both folds know every class of two or more;
        # classes begin in different folds, so that neither is empty.
        turn = np.zeros(len(own), dtype=int)
        for place in range(len(self.labels)):
            where = np.flatnonzero(own == place)
            turn[where] = (np.arange(len(where)) + place) % 2
        margins = np.empty(len(own))
        for fold in (0, 1):
            held = np.flatnonzero(turn == fold)
            weights = _fitted(features[turn != fold], own[turn != fold], len(self.labels))
            margins[held] = _margins(features[held] @ weights, own[held])
        shared = float(np.quantile(margins, _FALSE_ALARMS))
        cuts = np.full(len(self.labels), min(shared, 0.0))
        for place in range(len(self.labels)):
            mine = margins[own == place]
            if len(mine) >= _FEWEST:
                cuts[place] = min(float(np.quantile(mine, _FALSE_ALARMS)), 0.0)
        return cuts


def _margins(scores: NDArray[np.float64], own: NDArray[np.int_]) -> NDArray[np.float64]:
    rows = np.arange(len(own))
    mine = scores[rows, own].copy()
    scores[rows, own] = -np.inf
    margins: NDArray[np.float64] = mine - scores.max(axis=1)
    return margins


def _fitted(features: Any, own: NDArray[np.int_], classes: int) -> NDArray[np.float64]:
    """Log probabilities of features by class, shape (features, classes)."""
    from sklearn.naive_bayes import MultinomialNB

    model = MultinomialNB(alpha=_SMOOTHING, fit_prior=False)
    # Told all classes, it gives one that this fold lacks the smoothed counts alone.
    model.partial_fit(features, own, classes=np.arange(classes))
    weights: NDArray[np.float64] = model.feature_log_prob_.T
    return weights


def _features(texts: Sequence[str]) -> Any:
    """Rows that sum to 1, one a text; sparse, shape (texts, buckets)."""
    from sklearn.feature_extraction.text import HashingVectorizer

    hashing = HashingVectorizer(
        analyzer=_parts, n_features=_BUCKETS, alternate_sign=False, norm="l1", binary=True, dtype=np.float64
    )
    return hashing.transform(texts)


def _parts(text: str) -> set[str]:
    words = len(text.split())
    padded = f" {' '.join(text.lower().split())[:_LONGEST_READ]} "
    grams = {padded[start : start + n] for n in (1, 2, 3) for start in range(len(padded) - n + 1)}
    level = round(2 * math.log2(words + 1))
    # The length counts as a few n-grams do; a single one would be lost among them.
    return grams | {f"length {level} {part}" for part in range(max(2, len(grams) // 8))}
