from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from inscl.contract import Question
from inscl.learners.demonstrations.kept import Kept, KeptTask
from inscl.learners.demonstrations.recalling import Recalling, in_order_learned
from learners.taught import FIRST, SECOND, Heard


def embed(texts: Sequence[str]) -> NDArray[np.float32]:
    """How often "please" is said, how red and how blue it is, and a constant."""
    counts = [[text.count("please"), 9 * text.count("red"), 5 * text.count("blue"), 100] for text in texts]
    return np.array(counts, dtype=np.float32)


def kept() -> Kept:
    return Kept({task.name: KeptTask(task.train, ()) for task in (FIRST, SECOND)})


def test_examples_stand_in_the_order_in_which_tasks_were_learned_and_once() -> None:
    both = Kept({"first": KeptTask(FIRST.train, ()), "again": KeptTask((SECOND.train[0], FIRST.train[1]), ())})
    expected = [*(FIRST.train[at] for at in (0, 2, 3, 4, 5)), SECOND.train[0], FIRST.train[1]]
    assert in_order_learned(both) == expected


def test_ranks_are_cosines_from_the_mean_over_the_examples_of_all_tasks() -> None:
    recalling = Recalling(kept(), None, embed, True, 3, 512, Heard(), dimensions=9)  # type: ignore[arg-type]
    questions = [Question("Say red", "please please"), Question("Say blue", "please 7")]
    candidates = [*FIRST.train, *SECOND.train]
    vectors = embed([one.prompt for one in candidates])
    for question, found in zip(questions, recalling._ranked(None, questions), strict=True):
        own = embed([question.prompt])[0] - vectors.mean(0)
        centred = vectors - vectors.mean(0)
        cosines = np.round(centred @ own / np.linalg.norm(centred, axis=1) / np.linalg.norm(own), 5)
        assert list(found) == [candidates[at] for at in sorted(range(10), key=lambda k: (-cosines[k], k))[:3]]
    assert len(replace(recalling, k="fit")._ranked(None, questions)[0]) == len(candidates)
    assert [*replace(recalling, k=0)._ranked(None, questions)] == [(), ()]
    assert [*replace(recalling, kept=Kept())._ranked(None, questions)] == [(), ()]
