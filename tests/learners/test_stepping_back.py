from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from asking import NOTHING, replaying
from inscl.contract import Example, Question, Task
from inscl.contract.objective import TaughtExample
from inscl.errors import ConfigError
from inscl.learners.averaging import trained_weights
from inscl.learners.stepping_back import SteppingBack
from learners.taught import ADAPTERS, FIRST, SECOND, learner, weights

ROWS = [
    TaughtExample(None, replayed=k >= 20, example=Example("do", f"row {k}", ("x",), "new" if k < 20 else "old"))
    for k in range(30)
]


def trained(one) -> dict:
    return {name: weight.detach().clone() for name, weight in trained_weights(one._weights.model).items()}


@pytest.mark.parametrize("adapter", ["keep", "full"])
def test_a_given_step_ends_between_start_and_end(tiny_model: Path, adapter: str) -> None:
    plain, half = (learner(tiny_model, adapter=ADAPTERS[adapter], step_back=more) for more in (None, 0.5))
    for one in (plain, half):
        one.learn(FIRST, NOTHING)
    # From one and the same state on.
    for mine, its in zip(trained_weights(half._weights.model).values(), weights_of(plain), strict=True):
        mine.data.copy_(its)
    start = trained(plain)
    for one in (plain, half):
        one.learn(SECOND, replaying(FIRST.train[:2]))
    for name, ended in trained(half).items():
        middle = (start[name] + trained(plain)[name]) / 2
        assert (ended - middle).abs().max() < 1e-6
    assert half.learn(SECOND, NOTHING).facts["epsilon"] == 0.5


def weights_of(one) -> list:
    return list(trained(one).values())


def test_the_step_with_the_lowest_loss_on_rows_held_back_is_taken(tiny_model: Path) -> None:
    """What is held back isn't trained on, and the loss told of the value chosen is that of the model afterwards."""
    one = learner(tiny_model, step_back={"epsilon": [0.25, 0.5, 1.0], "held_back": 0.25}, epochs=3)
    one.learn(FIRST, NOTHING)
    one.measure_visits = True
    report = one.learn(SECOND, replaying(FIRST.train[:4]))
    seen = set(report.visits)
    taught = {example.id: old for old, rows in ((False, SECOND.train), (True, FIRST.train[:4])) for example in rows}
    held = {key: old for key, old in taught.items() if key not in seen}
    assert sorted(held.values()) == [False, True]
    assert (report.facts["held_back"], report.examples, report.replayed) == (2, 9, 9)
    losses = {float(key): loss for key, loss in report.facts["epsilon_losses"].items()}
    assert set(losses) == {0.25, 0.5, 1.0}
    assert losses[report.facts["epsilon"]] == min(losses.values())
    rows = [example for example in (*SECOND.train, *FIRST.train[:4]) if example.id in held]
    now = one.log_likelihoods([Question.of(row) for row in rows], [row.output for row in rows])
    assert sum(found.loss for found in now) / 2 == pytest.approx(min(losses.values()), rel=1e-4)


def test_no_test_row_is_read(tiny_model: Path) -> None:
    """Other test rows, same step: to the bit."""
    ended = []
    for test in (SECOND.test, FIRST.train):
        one = learner(tiny_model, step_back={})
        one.learn(FIRST, NOTHING)
        one.learn(Task("second", SECOND.train, test), replaying(FIRST.train[:3]))
        ended.append(weights(one))
    assert all((a == b).all() for a, b in zip(*ended, strict=True))


def test_rows_are_held_back_of_new_and_old_alike() -> None:
    trained_on, held = SteppingBack().split(ROWS)
    assert [sum(one.replayed is old for one in held) for old in (False, True)] == [2, 1]
    assert len(trained_on) + len(held) == 30
    shuffled = SteppingBack().split(ROWS[::-1])[1]
    assert {one.example.id for one in held} == {one.example.id for one in shuffled}
    assert SteppingBack().split(ROWS[:1]) == (ROWS[:1], [])
    assert SteppingBack(0.5).split(ROWS) == (ROWS, [])


def test_no_copy_of_what_is_held_back_is_trained_on() -> None:
    """A row that comes twice, and a budget that `repeat` fills with rows of the new task."""
    new = [*ROWS[:20], *ROWS[:20]]
    trained_on, held = SteppingBack(held_back=0.25).split([*new, *(replace(one, replayed=True) for one in ROWS[5:20])])
    sets = [{one.example.id for one in rows} for rows in (trained_on, held)]
    assert sets[0].isdisjoint(sets[1])
    assert len(sets[0] | sets[1]) == 20
    assert 5 <= len(sets[1]) <= 9
    assert {one.replayed for one in held} == {False, True}


def test_old_and_new_rows_count_alike() -> None:
    """Three new rows like the whole way, one old row none of it: half of the way is best."""

    class Line:
        """A model with one weight, at 0 before the stage and at 1 after it."""

        def __init__(self) -> None:
            import torch

            self.weight = torch.nn.Parameter(torch.ones(1))

        def named_parameters(self):
            return [("w", self.weight)]

    network = Line()
    start = {"w": network.weight.detach() * 0}
    held = [*ROWS[:3], ROWS[25]]
    facts = SteppingBack((0.25, 0.5, 0.75, 1.0)).step(
        network, start, held, lambda rows: [(float(network.weight) - (not row.replayed)) ** 2 for row in rows]
    )
    assert facts["epsilon"] == 0.5 == float(network.weight)


def test_values_that_cannot_be_are_refused() -> None:
    for epsilon in (0, 1.5, (), (0.5, 2)):
        with pytest.raises(ConfigError, match="epsilon"):
            SteppingBack(epsilon)
    with pytest.raises(ConfigError, match="held_back"):
        SteppingBack(held_back=1)
