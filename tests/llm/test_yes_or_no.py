from __future__ import annotations

import pytest

from inscl.llm.yes_or_no import yes_or_no


@pytest.mark.parametrize(
    ("answer", "said"), [("Yes.", True), ("**no**", False), ("The answer is YES", True), ("no, not at all", False)]
)
def test_the_one_word_counts_whatever_stands_around_it(answer: str, said: bool) -> None:
    assert yes_or_no(answer) is said


@pytest.mark.parametrize(
    ("answer", "wrong"), [("perhaps", "neither"), ("", "neither"), ("yes and no", "both"), ("eyes, nose", "neither")]
)
def test_neither_and_both_can_not_be_used(answer: str, wrong: str) -> None:
    with pytest.raises(ValueError, match=wrong):
        yes_or_no(answer)
