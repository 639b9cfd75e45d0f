from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from inscl.contract import Example
from inscl.tagging.costliest_parts import costliest_parts

COST = {"[...] b": 0.5, "a [...]": 2.0, "[...] d": 1.0, "c [...]": 0.25}


def losses(examples: Sequence[Example]) -> np.ndarray:
    """1 for a whole instruction, and more for what is masked; of the input `late` the last part costs nothing."""
    late = [one.input == "late" and one.instruction == "a [...]" for one in examples]
    return np.array([1.0 + (0 if no else COST.get(one.instruction, 0)) for one, no in zip(examples, late, strict=True)])


def test_of_each_instruction_the_choice_that_costs_most_over_its_examples() -> None:
    examples = [Example("a b", text, ("y",)) for text in ("x", "z")] + [Example("c d", "x", ("y",))]
    choices = [[("a",), ("b",)]] * 2 + [[("c",), ("d",)]]
    found = costliest_parts(examples, choices, losses, "[...]")
    assert {text: (one.parts, one.gains) for text, one in found.items()} == {
        "a b": (("b",), (2.0, 2.0)),
        "c d": (("c",), (1.0,)),
    }


def test_the_mean_over_the_examples_decides() -> None:
    examples = [Example("a b", text, ("y",)) for text in ("x", "late", "late", "late", "late")]
    found = costliest_parts(examples, [[("a",), ("b",)]] * 5, losses, "[...]")
    assert found["a b"].parts == ("a",)  # 0.5 each, against 2.0 once


def test_nobody_is_asked_where_nothing_can_be_masked() -> None:
    def refuse(examples: Sequence[Example]) -> np.ndarray:
        raise AssertionError

    examples = [Example("a b", "x", ("y",)), Example("c d", "x", ("y",))]
    assert costliest_parts(examples, [[("nowhere",)], []], refuse, "[...]") == {}
