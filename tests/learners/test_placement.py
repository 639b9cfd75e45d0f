from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from asking import NOTHING, replaying
from inscl.contract.objective import TaughtExample
from inscl.errors import ConfigError
from inscl.learners.placement import PLACEMENTS, Placed
from learners.taught import FIRST, SECOND, learner

NEW = [TaughtExample(None) for _ in range(40)]
OLD = [TaughtExample(None, replayed=True, task="abc"[k % 3] if k < 12 else "a") for k in range(20)]


def passes(placed: Placed, count: int) -> list[list[int]]:
    found = []
    for epoch in range(count):
        placed.set_epoch(epoch)
        found.append(list(placed))
    return found


def whole(placed: Placed, count: int) -> list[int]:
    return [k for epoch in passes(placed, count) for k in epoch]


@pytest.mark.parametrize("placement", PLACEMENTS[1:])
@pytest.mark.parametrize("epochs", [1, 2, 1.5, 0.5, 0.1, 0.01])
def test_every_example_has_all_its_visits(placement: str, epochs: float) -> None:
    placed = Placed([*NEW, *OLD], placement, epochs, 3)
    found = passes(placed, int(np.ceil(epochs)))
    assert [len(one) for one in found] == [60] * len(found)
    counts = Counter(k for one in found for k in one)
    assert set(counts.values()) == {len(found)}
    assert len(counts) == 60


@pytest.mark.parametrize("placement", PLACEMENTS[1:])
def test_the_order_of_new_examples_does_not_depend_on_what_is_replayed(placement: str) -> None:
    orders = []
    for old in (OLD, OLD[:5], []):
        order = whole(Placed([*NEW, *old], placement, 2, 3), 2)
        orders.append([k for k in order if k < 40])
    assert orders[0] == orders[1] == orders[2]
    assert orders[0] != whole(Placed(NEW, placement, 2, 4), 2)


def test_half_of_the_visits_come_in_the_last_third() -> None:
    for epochs in (1, 2):
        late = []
        for seed in range(60):
            order = whole(Placed([*NEW, *OLD], "late", epochs, seed), epochs)
            late.append(np.mean([at >= len(order) * 2 / 3 for at, k in enumerate(order) if k >= 40]))
        # Ten of twenty in any case; of the other ten those whose turn it is at the other ten of the last twenty places.
        assert min(late) >= 1 / 2
        assert np.mean(late) == pytest.approx(1 / 2 + 1 / 2 * 10 / 50, abs=0.04)


@pytest.mark.parametrize("placement", PLACEMENTS[1:])
@pytest.mark.parametrize("epochs", [0.25, 0.5, 1.5])
def test_a_part_of_a_pass_has_its_part_of_the_replay(placement: str, epochs: float) -> None:
    replayed, last = [], []
    for seed in range(200):
        placed = Placed([*NEW, *OLD], placement, epochs, seed)
        trained = whole(placed, int(np.ceil(epochs)))[: round(60 * epochs)]
        replayed.append(sum(k >= 40 for k in trained))
        last.append(np.mean([at >= len(trained) * 2 / 3 for at, k in enumerate(trained) if k >= 40]))
    assert np.mean(replayed) == pytest.approx(20 * epochs, abs=0.5)
    assert (np.mean(last) > 0.5) == (placement == "late")


def test_more_steps_than_epochs_have_are_taken(tiny_model: Path) -> None:
    one = learner(tiny_model, placement="paired", epochs=1, batch_size=len(FIRST.train), hf_args={"max_steps": 3})
    assert one.learn(FIRST, NOTHING).steps == 3


def test_tasks_take_turns_at_equal_distances() -> None:
    order = passes(Placed([*NEW, *OLD], "turns", 1, 3), 1)[0]
    at = [place for place, k in enumerate(order) if k >= 40]
    assert max(np.diff(at)) <= 4
    tasks = [OLD[k - 40].task for k in order if k >= 40]
    assert all(len(set(tasks[n : n + 3])) == 3 for n in range(0, 12, 3))


@pytest.mark.parametrize("placement", PLACEMENTS)
def test_training_follows_it(tiny_model: Path, placement: str) -> None:
    seen: list[tuple[bool, str]] = []
    one = learner(tiny_model, placement=placement, epochs=2, batch_size=1)
    loss = one._training.objective

    class Watching:
        def __call__(self, batch):
            seen.extend((example.replayed, example.example.id) for example in batch.examples)
            return loss(batch)

    object.__setattr__(one._training, "objective", Watching())
    one.learn(SECOND, replaying(FIRST.train[:3]))
    assert Counter(seen) == {
        (old, row.id): 2 for old, rows in ((False, SECOND.train), (True, FIRST.train[:3])) for row in rows
    }
    if placement == "turns":
        # Seven a pass: four new ones at 1/8, 3/8, 5/8, 7/8 and three replayed ones at 1/6, 3/6, 5/6.
        assert [old for old, _ in seen[:7]] == [False, True, False, True, False, True, False]


def test_an_unknown_placement_is_refused() -> None:
    with pytest.raises(ConfigError, match="no placement 'lat'"):
        learner(Path("smollm2-135m"), placement="lat")
