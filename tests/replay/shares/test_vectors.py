from __future__ import annotations

import math

import numpy as np
import pytest

from inscl.contract import Memory
from inscl.errors import ConfigError
from inscl.replay.shares.vectors import cosines, vectors_of
from inscl.testing import fake_embedder


def test_asks_only_for_what_is_missing_and_once() -> None:
    asked: list[str] = []

    def embedder(texts: list[str]) -> np.ndarray:
        asked.extend(texts)
        return fake_embedder(texts)

    known = np.arange(26, dtype=np.float32)
    found = vectors_of(["b", "a", "c", "b"], Memory(vectors={"a": known}), embedder)
    assert asked == ["b", "c"]
    assert found.dtype == np.float64
    assert found[1].tolist() == known.tolist()
    assert found[0].tolist() == found[3].tolist() == fake_embedder(["b"])[0].tolist()
    assert found[2].tolist() == fake_embedder(["c"])[0].tolist()


def test_nothing_asks_nothing() -> None:
    def never(texts: list[str]) -> np.ndarray:
        raise AssertionError(texts)

    assert len(vectors_of([], Memory(), never)) == 0


def test_says_what_is_wrong_with_the_embedder() -> None:
    with pytest.raises(ConfigError, match=r"2 rows .* got 1"):
        vectors_of(["a", "b"], Memory(), lambda texts: fake_embedder(["a"]))
    with pytest.raises(ConfigError, match="differ in shape"):
        vectors_of(["a", "b"], Memory(vectors={"a": np.ones(3, np.float32)}), fake_embedder)


def test_cosines_by_hand() -> None:
    x = np.array([[3.0, 4.0], [0.0, 0.0], [-1.0, 0.0]])
    y = np.array([[4.0, 3.0], [2.0, 0.0]])
    expected = [[24 / 25, 3 / 5], [0, 0], [-4 / 5, -1]]
    assert cosines(x, y).tolist() == pytest.approx(np.array(expected))
    assert not math.isnan(cosines(x, x).sum())
