from __future__ import annotations

import pytest

from inscl.contract.traits import LearnerTraits, StrategyTraits, traits_of


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
