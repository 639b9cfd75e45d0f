from __future__ import annotations

from inscl.contract import Example
from inscl.contract.refined import Made, Refined, parents_of

EXAMPLE = Example("Say it.", "a", ("b",))


def test_outcomes_say_what_became_of_an_example() -> None:
    made = Made(EXAMPLE, "repeated")
    outcomes = [
        Refined.keep(EXAMPLE),
        Refined.replace(EXAMPLE, made),
        Refined.add(EXAMPLE, made),
        Refined.reject(EXAMPLE, "too short", words=1),
    ]
    assert [one.outcome for one in outcomes] == ["kept", "replaced", "added", "rejected"]
    assert [one.made for one in outcomes] == [(), (made,), (made,), ()]
    assert (outcomes[3].reason, outcomes[3].facts) == ("too short", {"words": 1})


def test_parents_are_one_several_or_none_with_theirs() -> None:
    assert parents_of({}) == ()
    assert parents_of({"parent": "a"}) == ("a",)
    assert parents_of({"parent": ["a", "b"], "ancestors": ["b", "c"]}) == ("a", "b", "c")
