from __future__ import annotations

import math
from collections.abc import Sequence

from inscl.contract import Example
from inscl.refining.compared import compared


def test_rows_are_counted_and_near_duplicates_within_a_task() -> None:
    job = [Example("Summarise the text.", f"it is {word}", ("a b c",)) for word in ("red", "blue", "red ")]
    found = compared({"job": job, "other": job[:1]})
    assert (found.rows, found.instructions, found.near_duplicates) == (4, 1, 1)
    assert (found.prompt_words, found.answer_words) == (6, 3)
    assert found.tags >= 1
    assert compared({"a": job[:1], "b": [Example("Translate into French.", "", ("x",))]}).tags > found.tags


def test_no_rows_have_no_length() -> None:
    found = compared({"job": []})
    assert (found.rows, found.prompt_words, found.near_duplicates) == (0, 0, 0)


def test_ifd_is_a_mean_over_an_even_sample() -> None:
    asked: list[tuple[str, str]] = []

    def ifd(pairs: Sequence[tuple[str, str]]) -> list[float]:
        asked.extend(pairs)
        return [float(answer) for _, answer in pairs]

    rows = [Example("Count.", f"to {k}", (str(k),)) for k in range(500)]
    assert compared({"job": rows}, ifd).ifd == 249  # 0, 3, ..., 498
    assert asked[1] == ("Count.\n\nto 3", "3")
    assert compared({"job": []}, ifd).ifd is None
    assert compared({"job": rows[:1]}).ifd is None
    # What has no room isn't measured.
    assert compared({"job": rows[:2]}, lambda pairs: [math.nan, 0.5]).ifd == 0.5
    assert compared({"job": rows[:2]}, lambda pairs: [math.nan, math.nan]).ifd is None
