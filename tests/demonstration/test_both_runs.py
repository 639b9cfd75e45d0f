"""What two runs tell at the same time on one display, and the time left for both."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

import pytest
import yaml

from inscl.config.loading import load_config
from inscl.contract.scale import PERCENT
from inscl.demonstration.both_runs import BothRuns


class Told:
    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []

    def __getattr__(self, name: str) -> Any:
        return lambda *arguments, **facts: self.calls.append((name, *arguments, *facts.values()))

    def named(self, name: str) -> list[tuple[Any, ...]]:
        return [tuple(arguments) for method, *arguments in self.calls if method == name]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    moment = [100.0]
    monkeypatch.setattr("inscl.demonstration.both_runs.time.monotonic", lambda: moment[0])
    return moment


def both(told: Told) -> BothRuns:
    settings = yaml.safe_load((files("inscl") / "demo.yaml").read_text(encoding="utf-8"))
    small = ["stream.train_per_task=90", "stream.test_per_task=30"]
    small += ["evaluation.between=15", "replay.budget.per_task=10"]
    runs = [
        load_config(settings, [*small, f"replay.strategy={name}", f"label={label}"])
        for name, label in (("none", "No Replay"), ("inscl", "InsCL"))
    ]
    return BothRuns(told, runs)


def test_the_time_left_is_that_of_the_work_left_at_the_pace_so_far(clock: list[float]) -> None:
    told = Told()
    runs = both(told)
    first, second = runs.of(0), runs.of(1)
    first.stage(1, 2, "one")
    assert told.named("note") == []
    clock[0] += 50  # 90 taught and 30 asked: half a second for each of 100
    first.stage(2, 2, "two")  # left: 90 taught and 60 asked, and as much with ten replayed: 110 + 120
    second.stage(1, 2, "one")  # is copied
    clock[0] += 10
    second.stage(2, 2, "two")  # nothing is done since: 60 seconds for 100
    clock[0] += 100
    runs.show_second()
    notes = [text for (text,) in told.named("note") if text.startswith("about")]
    assert notes == [f"about {left} left of the whole demo" for left in ("1:55", "1:55", "2:18")]


def test_a_demo_that_goes_on_counts_the_work_of_this_time_alone(clock: list[float]) -> None:
    told = Told()
    runs = both(told)
    runs.of(0).stage(2, 3, "two")
    clock[0] += 105  # a second for each of 105
    runs.of(0).stage(3, 3, "three")  # left: 120, and of the second run 115 and 140
    assert told.named("note") == [("about 6:15 left of the whole demo",)]


def test_the_second_run_is_told_in_notes_until_the_first_is_done() -> None:
    told = Told()
    runs = both(told)
    begun: list[int] = []
    first, second = runs.of(0, lambda: begun.append(1)), runs.of(1)
    first.stage(1, 2, "one")
    assert not begun
    first.stage(2, 2, "two")
    assert begun == [1]
    first.phase("train", 10)
    first.advance(1, loss=0.5)
    second.phase("plan", 3)
    second.advance(2)
    second.score("one", "exact_match", 50.0, PERCENT)
    second.note("a remark")
    shown = [call for call in told.calls if call[0] != "stage" and not str(call[1]).startswith("about")]
    assert shown == [
        ("phase", "train", 10),
        ("advance", 1, 0.5),
        ("note", "InsCL: one exact_match 50.0"),
        ("note", "InsCL: a remark"),
    ]
    runs.show_second()
    told.calls.clear()
    second.advance(3)
    second.score("one", "exact_match", 51.0, PERCENT)
    second.note("a remark")
    assert told.calls == [("advance", 3), ("score", "one", "exact_match", 51.0, PERCENT), ("note", "a remark")]
