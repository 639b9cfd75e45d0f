from __future__ import annotations

import pytest

from inscl.contract import Example, Memory
from inscl.contract.budget import count_words
from inscl.errors import ConfigError
from inscl.replay import Budget
from inscl.testing import made_task

MEMORY = Memory((made_task("a", 10), made_task("b", 20), made_task("c", 30)))
NEW = made_task("new", 25)


@pytest.mark.parametrize(
    ("budget", "expected"),
    [
        (Budget(per_task=4), 12),  # the paper: r (i - 1)
        (Budget(total=17), 17),
        (Budget(share=0.5), 13),  # 12.5, halves up
        (Budget(share=0.1), 3),
        (Budget(total=1000), 60),  # never more than there is
        (Budget(per_task=0), 0),
    ],
)
def test_examples_of_each_kind(budget: Budget, expected: int) -> None:
    assert budget.examples(MEMORY, NEW) == expected


@pytest.mark.parametrize("given", [{}, {"total": 1, "share": 0.5}, {"total": -1}, {"share": float("nan")}])
def test_exactly_one_and_not_negative(given: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="budget"):
        Budget(**given)  # type: ignore[arg-type]


def test_says_what_was_configured() -> None:
    assert Budget(share=0.25).to_json() == {"share": 0.25}
    assert Budget(tokens=9).kind == "tokens"


def test_words_and_marks_are_counted() -> None:
    assert count_words(Example("Say hi, now!", "", ("ok",))) == 6
