"""Which test examples are asked, and rows of predictions there and back."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise

from inscl.contract import Answer, Example, LogLikelihood, Question, Task
from inscl.contract.example import Image
from inscl.contract.measured import Asked
from inscl.evaluation.rows import asked_of, has, positions, row_of


def task(count: int) -> Task:
    options = [("yes", "no") if k % 3 else () for k in range(count)]
    rows = (Example("Is it?", str(k), ("yes",), options=given) for k, given in enumerate(options))
    return Task("mixed", (), tuple(rows))


def test_a_smaller_sample_is_part_of_every_larger_one() -> None:
    whole = task(60)
    samples = [set(positions(whole, most, "text")) for most in (1, 7, 20, 59, None)]
    assert [len(found) for found in samples] == [1, 7, 20, 59, 60]
    assert all(small < large for small, large in pairwise(samples))
    assert positions(whole, 7, "likelihood") == sorted(samples[1])
    # By content: an example added in front moves nobody out but the one whose place it takes.
    content = {whole.test[k].id for k in samples[2]}
    other = Task("mixed", (), (Example("New", "", ("yes",)), *whole.test))
    assert len({other.test[k].id for k in positions(other, 20, "text")} - content) <= 1


def test_a_choice_takes_the_questions_that_have_options() -> None:
    whole = task(30)
    asked = set(positions(whole, 20, "likelihood"))
    assert set(positions(whole, 20, "choice")) == {k for k in asked if k % 3}
    assert positions(Task("open", (), (Example("Say", "", ("a",)),)), None, "choice") == []


def test_a_row_gives_back_what_was_asked() -> None:
    question = Question("Is it?", "x", options=("yes", "no"))
    asked = Asked(question, ("yes", "Yes"), Answer("maybe", (-0.1, -2.5)), LogLikelihood(-1.5, 3, 2))
    row = row_of("id", asked, generated=True)
    assert asked_of(row) == asked
    assert [has(row, needs) for needs in ("text", "choice", "likelihood")] == [True] * 3
    seen = replace(asked, question=replace(question, images=(Image("a.png", "0" * 64, lambda: b"bytes"),)))
    row = row_of("id", seen, generated=True)
    assert json.loads(json.dumps(row)) == row
    assert asked_of(row) == seen
    bare = row_of("id", Asked(question, ("yes",), Answer("")), generated=False)
    assert bare["prediction"] is None
    assert [has(bare, needs) for needs in ("text", "choice", "likelihood")] == [False] * 3
    # An empty answer was asked for; none wasn't.
    assert has(row_of("id", Asked(question, ("yes",), Answer("")), generated=True), "text")
