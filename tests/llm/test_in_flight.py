from __future__ import annotations

import threading
from typing import Any

import pytest

from inscl.contract.chat import Completion
from inscl.errors import EndpointError
from inscl.llm.in_flight import in_flight


class Model:
    name = fingerprint = "a model"

    def __init__(self) -> None:
        self.open, self.gave_up = False, False

    def complete(self, messages: Any) -> Completion:
        raise AssertionError

    def give_up(self) -> None:
        self.gave_up = True

    def __enter__(self) -> Model:
        self.open = True
        return self

    def __exit__(self, *error: object) -> None:
        self.open = False


def nothing(said: str) -> None:
    raise AssertionError(said)


def test_every_key_is_asked_once_while_the_model_is_open() -> None:
    model, asked = Model(), []

    def ask(key: int) -> int:
        assert model.open
        asked.append(key)
        return key * key

    assert dict(in_flight(model, range(20), ask, 4, nothing)) == {key: key * key for key in range(20)}
    assert sorted(asked) == list(range(20))
    assert not model.open
    assert not model.gave_up


def test_as_many_are_asked_at_a_time_as_is_said() -> None:
    together = threading.Barrier(3, timeout=20)  # fewer than three at a time would break it
    assert len(list(in_flight(Model(), range(3), lambda key: together.wait(), 3, nothing))) == 3


def test_a_failure_ends_it_and_what_is_on_its_way_still_comes() -> None:
    model, began, kept, told = Model(), threading.Event(), [], []
    failing = threading.Event()

    def ask(key: int) -> int:
        if key == 0:
            assert began.wait(20)
            raise EndpointError("no answer")
        if key == 1:
            began.set()
            assert failing.wait(20)
        kept.append(key)
        return key

    def tell(said: str) -> None:
        told.append(said)
        failing.set()

    with pytest.raises(EndpointError, match="no answer"):
        list(in_flight(model, range(9), ask, 2, tell))
    assert model.gave_up
    assert kept == [1]
    assert told == ["waiting for 1 answers that are on their way, to keep them; Ctrl-C ends at once"]
