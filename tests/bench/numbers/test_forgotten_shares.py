"""What was forgotten, counted by task and added up."""

from __future__ import annotations

from inscl.bench.numbers.forgotten_shares import Forgotten, added, by_task, forgotten_of


def test_a_record_of_an_older_version_has_no_resemblance_and_a_single_task_nothing() -> None:
    found = forgotten_of({"a": {"compared": 5, "forgotten": 3, "related": 1, "unrelated": 2}})
    assert found == {"a": Forgotten(5, 3, 2)}
    assert found["a"].related == 1
    assert forgotten_of({}) is forgotten_of(None) is None


def test_counts_add_up_whatever_the_order() -> None:
    first = {"a": Forgotten(5, 3, 2, (("b", 2),)), "b": Forgotten(4)}
    second = {"a": Forgotten(5, 1, 1, (("c", 1),))}
    assert by_task([first, None, second]) == by_task([second, first])
    found = by_task([first, None, second])
    assert found is not None
    assert found["a"] == Forgotten(10, 4, 3, (("b", 2), ("c", 1)))
    assert added(found.values()).share_unrelated == 75
    assert by_task([None, {}]) is None


def test_nothing_compared_or_lost_has_no_share() -> None:
    assert (Forgotten().share_lost, Forgotten(4).share_unrelated, Forgotten(4).share_lost) == (None, None, 0)
