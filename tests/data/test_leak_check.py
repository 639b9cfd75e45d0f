from __future__ import annotations

import pytest

from inscl.contract import Example
from inscl.data.leak_check import LeakCheck

PASSAGE = "The harbour master keeps a ledger of every ship\nthat entered the bay since 1902."
TESTED = LeakCheck(
    [
        Example("Summarise.", PASSAGE, ("A ledger of ships.",), "job"),
        Example("Is it so?", "yes or no", ("yes",), "job"),
    ]
)
ORIGINAL = Example("Say it.", "a ship", ("ship",), "job")


@pytest.mark.parametrize(
    ("made", "leak"),
    [
        (Example("Summarise.", f" {PASSAGE}", ("A ledger of ships.",)), "says the same"),
        (Example(f"Explain this: {PASSAGE}", "", ("It is a ledger.",)), "holds the input"),
        (Example("Write of a ship.", "", (f"Here: {PASSAGE.upper()}  So it is.",)), "holds the input"),
        (Example("Is it so, yes or no?", "", ("no",)), ""),
        (Example("Summarise.", PASSAGE[:-8], ("A ledger of ships.",)), ""),
    ],
)
def test_what_gives_a_test_example_away_is_found(made: Example, leak: str) -> None:
    found = TESTED.reason(made, ORIGINAL)
    assert leak in found if leak else not found


def test_a_text_that_the_original_held_already_is_no_new_leak() -> None:
    original = Example("Who keeps it?", PASSAGE, ("The harbour master.",))
    assert not TESTED.reason(Example("Who keeps the ledger?", PASSAGE, ("The harbour master does.",)), original)
