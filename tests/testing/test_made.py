from __future__ import annotations

import numpy as np

from inscl.testing import fake_embedder, fake_tagger, made_task
from inscl.testing.made import tiny_model


def test_a_made_task_has_what_was_asked_for() -> None:
    task = made_task("job", 10, instructions=3, test=2)
    assert (len(task.train), len(task.test), len(task.instructions)) == (10, 2, 3)
    counts = [sum(example.instruction == text for example in task.train) for text in task.instructions]
    assert len(set(counts)) > 1, "instructions differ in how often they occur"
    assert made_task("job", 10, instructions=3, test=2) == task


def test_near_texts_get_near_vectors() -> None:
    vectors = fake_embedder(["abc", "cab!", "xyz"])
    assert (vectors.shape, vectors.dtype) == ((3, 26), np.float32)
    assert np.array_equal(vectors[0], vectors[1])
    assert not np.array_equal(vectors[0], vectors[2])
    assert fake_embedder([]).shape == (0, 26)


def test_words_are_tags() -> None:
    assert fake_tagger(["Sort these", ""]) == [["sort", "these"], []]


def test_the_tiny_model_is_the_same_each_time() -> None:
    one, two = tiny_model().state_dict(), tiny_model().state_dict()
    assert all((one[name] == two[name]).all() for name in one)
