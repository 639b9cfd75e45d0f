from __future__ import annotations

import pytest

from inscl.contract.traits import LearnerTraits, MeasureTraits, StrategyTraits, traits_of


class Declares:
    traits = StrategyTraits(waits=True)


def test_what_is_declared_is_found_on_class_and_object() -> None:
    assert traits_of(Declares, StrategyTraits).waits
    assert traits_of(Declares(), StrategyTraits).waits


def test_without_a_declaration_the_defaults_hold() -> None:
    assert traits_of(object(), LearnerTraits) == LearnerTraits()


def test_traits_of_another_kind_are_refused() -> None:
    with pytest.raises(TypeError, match="must be a LearnerTraits, not StrategyTraits"):
        traits_of(Declares, LearnerTraits)


def test_a_measure_with_a_word_that_inscl_does_not_know_is_refused() -> None:
    with pytest.raises(ValueError, match="needs is 'options'; it must be one of text, choice, likelihood"):
        MeasureTraits(needs="options")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="unit is 'euros'"):
        MeasureTraits(needs="choice", unit="euros")  # type: ignore[arg-type]
