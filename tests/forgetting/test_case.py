"""Which answers count as forgotten, and how they are counted."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from inscl.contract.scale import PERCENT, Scale
from inscl.forgetting.attempts import Verdict
from inscl.forgetting.case import ForgottenRule, forgotten_cases, right_or_wrong, share_by_task


def answer(name: str, prediction: str, score: float | None) -> Any:
    scores = {} if score is None else {"rouge_l": score}
    return SimpleNamespace(
        id=name, instruction=f"do {name}", input="x", references=["r"], answer=prediction, scores=scores
    )


def attempts(said: str, task: str, instruction: str, references: object = ()) -> Verdict:
    return Verdict(said == "tried", task if said == "tried" else said or None, "format")


@pytest.mark.parametrize(
    ("before", "end", "forgotten"),
    [(0.9, 0.49, True), (1, 0, True), (0.89, 0, False), (1, 0.5, False), (0, 1, False)],
)
def test_right_before_and_wrong_at_the_end(before: float, end: float, forgotten: bool) -> None:
    assert ForgottenRule(0.9, 0.5)(before, end) is forgotten


@pytest.mark.parametrize(("before", "end", "forgotten"), [(0.5, 0.25, True), (0.5, 0.375, False), (0.25, 0.5, False)])
def test_or_a_fall_by_more_than_the_drop(before: float, end: float, forgotten: bool) -> None:
    assert ForgottenRule(0.9, 0.5, drop=0.125)(before, end) is forgotten


def test_cases_are_judged_by_the_answer_at_the_end() -> None:
    before = {key: answer(key, "fine", 1.0) for key in "abcd"} | {"e": answer("e", "fine", None)}
    end = {"a": answer("a", "tried", 0.0), "b": answer("b", "other", 0.2), "c": answer("c", "fine", 1.0)}
    end["e"] = answer("e", "other", 0.0)
    cases, compared = forgotten_cases("T", before, end, "rouge_l", ForgottenRule(0.9, 0.5), attempts)
    assert compared == 3
    assert [(case.id, case.before, case.end, case.score_before, case.score_end) for case in cases] == [
        ("a", "fine", "tried", 1.0, 0.0),
        ("b", "fine", "other", 1.0, 0.2),
    ]
    assert [(case.related, case.looks_like, case.reason) for case in cases] == [
        (True, "T", "format"),
        (False, "other", "format"),
    ]
    assert cases[0].to_json()["references"] == ["r"]


def test_shares_count_what_unrelated_answers_look_like() -> None:
    said = ["tried", "U", "V", "V", "", "tried"]
    before = {number: answer(str(number), "fine", 1.0) for number in range(6)}
    end = {number: answer(str(number), text, 0.0) for number, text in enumerate(said)}
    cases, compared = forgotten_cases("T", before, end, "rouge_l", ForgottenRule(0.9, 0.5), attempts)
    shares = share_by_task({"T": compared, "kept": 4}, cases)
    assert shares == {
        "T": {"compared": 6, "forgotten": 6, "related": 2, "unrelated": 4, "looks_like": {"V": 2, "U": 1}},
        "kept": {"compared": 4, "forgotten": 0, "related": 0, "unrelated": 0, "looks_like": {}},
    }
    assert list(shares["T"]["looks_like"]) == ["V", "U"]


def test_a_loss_is_forgotten_where_it_rises_by_more_than_the_drop() -> None:
    rule = ForgottenRule(drop=0.5, scale=Scale("nats", "lower"))
    assert [rule(0.25, end) for end in (0.1, 0.7, 0.8)] == [False, False, True]
    assert right_or_wrong({"answer_loss": rule.scale, "rouge_l": PERCENT}) == "rouge_l"
    assert right_or_wrong({"answer_loss": rule.scale}) is None


def test_what_was_asked_for_no_answer_is_not_compared() -> None:
    silent = {"a": answer("a", None, 1.0), "b": answer("b", "fine", 1.0)}
    cases, compared = forgotten_cases(
        "t", silent, {key: answer(key, "tried", 0.0) for key in "ab"}, "rouge_l", ForgottenRule(), attempts
    )
    assert ([case.id for case in cases], compared) == (["b"], 1)
