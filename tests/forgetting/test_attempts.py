"""The check of attempts, one rule after the other."""

from __future__ import annotations

import pytest

from inscl.contract import Example
from inscl.errors import UserError
from inscl.forgetting.attempts import AttemptCheck, Verdict

FEELING = "Is this review positive or negative?"
SUM = "Add the two numbers that are given and write their sum as digits."
TITLE = "Write a title of a few words for the text."
ASK = "Write a question about the text."


def examples() -> list[Example]:
    rows = [(FEELING, "feeling", ("positive", "negative")[number % 2]) for number in range(12)]
    rows += [(SUM, "sums", str(number * 37)) for number in range(1, 31)]
    rows += [(TITLE, "titles", f"The {word.title()} of the {word[::-1].title()}") for word in _words()]
    rows += [(ASK, "titles", f"Why did the {word} go to the {word[::-1]} after all?") for word in _words()]
    return [Example(instruction, f"input {answer}", (answer,), task) for instruction, task, answer in rows]


def _words() -> list[str]:
    return [f"{first}{middle}{last}" for first in "mtbsw" for middle in "aeiou" for last in "nrd"]


@pytest.fixture(scope="module")
def check() -> AttemptCheck:
    return AttemptCheck(examples())


@pytest.mark.parametrize("answer", ["", "  \n", "...", '""'])
def test_nothing_said_is_unrelated_and_looks_like_nothing(check: AttemptCheck, answer: str) -> None:
    assert check(answer, "feeling", FEELING) == Verdict(False, None, "empty")


@pytest.mark.parametrize(
    "answer", ["negative", "Negative.", " POSITIVE ", "positive because it praises", "it is negative"]
)
def test_a_label_of_the_set_is_related_right_or_wrong(check: AttemptCheck, answer: str) -> None:
    assert check(answer, "feeling", FEELING, ["positive"]) == Verdict(True, "feeling", "label")


@pytest.mark.parametrize(
    ("answer", "looks_like"),
    [("111", "sums"), ("The Man of the Nam", "titles"), ("Why did the man go?", "titles")],
)
def test_anything_else_is_unrelated_to_a_closed_set(check: AttemptCheck, answer: str, looks_like: str) -> None:
    assert check(answer, "feeling", FEELING) == Verdict(False, looks_like, "label")


def test_a_label_is_a_word_not_a_part_of_one(check: AttemptCheck) -> None:
    assert not check("negatively", "feeling", FEELING).related


def test_labels_are_few_short_and_repeated(check: AttemptCheck) -> None:
    assert check.labels(FEELING) == {"positive", "negative"}
    assert check.labels(SUM) == check.labels(TITLE) == check.labels("never seen") == frozenset()
    long = [Example("Long", str(number), (f"{'word ' * 7}{number % 2}",), "long") for number in range(12)]
    few = [Example("Few", str(number), ("yes",), "few") for number in range(5)]
    other = AttemptCheck([*long, *few])
    assert other.labels("Long") == other.labels("Few") == frozenset()


def test_open_answers_are_judged_by_their_format(check: AttemptCheck) -> None:
    assert check("4711", "sums", SUM) == Verdict(True, "sums", "format")
    assert check("positive", "sums", SUM) == Verdict(False, "feeling", "format")
    assert check("The Cat of the Tac", "titles", TITLE).related


def test_another_instruction_of_the_same_task_is_another_kind(check: AttemptCheck) -> None:
    assert check("Why did the cat go to the tac after all?", "titles", TITLE) == Verdict(False, "titles", "format")
    # An instruction that training never showed is judged by its task, where both kinds have their place.
    assert check("Why did the cat go to the tac after all?", "titles", "Name it.").related
    assert check("3700", "titles", "Name it.") == Verdict(False, "sums", "format")


def test_the_references_of_the_case_count(check: AttemptCheck) -> None:
    assert not check("mixed", "feeling", FEELING).related
    assert check("Mixed", "feeling", FEELING, ["mixed"]) == Verdict(True, "feeling", "label")


def test_a_copy_of_the_instruction_is_an_echo(check: AttemptCheck) -> None:
    assert check("Add the two numbers that are given and", "sums", SUM) == Verdict(False, None, "echo")
    assert check("the two numbers that", "sums", SUM).reason == "format"


def test_one_task_gives_nothing_to_tell_apart() -> None:
    with pytest.raises(UserError, match="two tasks"):
        AttemptCheck([Example("Do", "x", ("y",), "one")])


def test_a_task_without_references_is_said(check: AttemptCheck) -> None:
    with pytest.raises(UserError, match="'unknown'"):
        check("x", "unknown", "never seen")


def test_a_task_of_blank_references_alone_is_no_second_task() -> None:
    blank = [Example("Say nothing.", str(number), (" ",), "blank") for number in range(30)]
    one = [Example(SUM, str(number), (str(number),), "sums") for number in range(30)]
    with pytest.raises(UserError, match="two tasks or more; the reference answers with text that are given are of 1"):
        AttemptCheck([*blank, *one])
    check = AttemptCheck([*blank, *examples()])
    assert check("The Cat", "titles", TITLE).looks_like == "titles"
    with pytest.raises(UserError, match="no reference answers of the task 'blank' are known"):
        check("something", "blank", "Say nothing.")
