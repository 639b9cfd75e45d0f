from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from asked_rows import marked
from inscl.refining.llm_refiner import RowQuestion, Said
from inscl.refining.pair_judge import JUDGE, quality_gaps

CASES = [({"instruction": f"row {k}"}, "a" * k, "b" * (7 - k)) for k in range(1, 7)]


class Judge:
    """Gives arbitrary scores that depend on the question alone, and favours the first place."""

    def ask(self, question: RowQuestion[Any], rows: Sequence[Mapping[str, str]]) -> list[Said[Any]]:
        assert question is JUDGE
        return [Said(self.scores(row)) for row in rows]

    def scores(self, row: Mapping[str, str]) -> tuple[float, float]:
        digest = hashlib.sha256(repr(sorted(row.items())).encode()).digest()
        return 5 + digest[0] % 6, 1 + digest[1] % 6


def test_the_gap_changes_its_sign_when_the_answers_change_places() -> None:
    forth = [gap.value for gap in quality_gaps(Judge(), CASES)]
    back = [gap.value for gap in quality_gaps(Judge(), [(row, b, a) for row, a, b in CASES])]
    assert forth == [-value for value in back if value is not None]
    assert any(forth)


def test_a_judge_who_sees_the_place_alone_prefers_nobody_and_one_who_sees_the_text_does() -> None:
    class Place(Judge):
        def scores(self, row: Mapping[str, str]) -> tuple[float, float]:
            return 9, 2

    class Length(Judge):
        def scores(self, row: Mapping[str, str]) -> tuple[float, float]:
            return len(row["first"]) + 2, len(row["second"])  # and two points for the first place

    assert [gap.value for gap in quality_gaps(Place(), CASES)] == [0] * 6
    assert [gap.value for gap in quality_gaps(Length(), CASES)] == [len(a) - len(b) for _, a, b in CASES]


def test_equal_answers_are_not_judged_and_what_cannot_be_read_is_told() -> None:
    class Mute(Judge):
        asked = 0

        def ask(self, question: RowQuestion[Any], rows: Sequence[Mapping[str, str]]) -> list[Said[Any]]:
            self.asked += len(rows)
            return [Said(None, "no scores") if row["first"] == "x" else Said((5.0, 6.0)) for row in rows]

    judge = Mute()
    same, bad = quality_gaps(judge, [({"instruction": "i"}, "y", "y"), ({"instruction": "i"}, "y", "x")])
    assert (same.value, bad.value, bad.problem, judge.asked) == (0, None, "judge: no scores", 2)


@pytest.mark.parametrize("text", ["7 and 4", "7", "0 4", "11 4", "7 4 5", "8/10", "seven four", "7 4\nindeed"])
def test_scores_are_two_numbers_from_1_to_10(text: str) -> None:
    with pytest.raises(ValueError, match="two numbers from 1 to 10"):
        JUDGE.parse(marked("1f", scores=text), "1f")
    assert JUDGE.parse(marked("1f", scores="7.5 4"), "1f") == (7.5, 4.0)
    assert JUDGE.parse(marked("1f", scores="10, 1"), "1f") == (10, 1)
