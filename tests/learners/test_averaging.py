from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from asking import NOTHING, replaying
from inscl.errors import ConfigError
from inscl.learners.averaging import Averaging, trained_weights
from learners.taught import ADAPTERS, FIRST, SECOND, learner, saved, weights


class Recorder:
    """The trained weights before a stage and after each of its steps."""

    def __init__(self, network) -> None:
        from transformers import TrainerCallback

        self.steps = [self.copy(network)]
        recorder = self

        class Recording(TrainerCallback):
            def on_step_end(self, args, state, control, model=None, **_):
                recorder.steps.append(recorder.copy(model))

        self.callback = Recording()

    @staticmethod
    def copy(network) -> dict[str, np.ndarray]:
        return {name: weight.detach().numpy().copy() for name, weight in trained_weights(network).items()}


@pytest.mark.parametrize("kind", ["ema", "bema"])
@pytest.mark.parametrize("adapter", ["keep", "full"])
def test_a_stage_ends_on_the_average_of_its_steps(tiny_model: Path, kind: str, adapter: str) -> None:
    one = learner(tiny_model, adapter=ADAPTERS[adapter], average={"kind": kind, "lag": 2, "bias_power": 0.7}, epochs=3)
    one.learn(FIRST, NOTHING)
    recorder = Recorder(one._weights.model)
    one._training.callbacks.append(recorder.callback)
    one.learn(SECOND, replaying(FIRST.train[:2]))
    start, *steps = recorder.steps
    assert len(steps) == 6
    for name, ended in Recorder.copy(one._weights.model).items():
        mean = start[name]
        for t, step in enumerate(steps, start=1):
            beta = (2 + t) ** -0.5
            mean = (1 - beta) * mean + beta * step[name]
        extra = (2 + 6) ** -0.7 * (steps[-1][name] - start[name]) if kind == "bema" else 0
        assert ended == pytest.approx(mean + extra, abs=1e-6)
        assert not np.allclose(ended, steps[-1][name], atol=1e-5) or not np.any(steps[-1][name] - start[name])


def test_an_average_goes_on_from_a_checkpoint(tiny_model: Path, tmp_path: Path) -> None:
    from transformers import TrainerCallback

    class Killed(TrainerCallback):
        def on_step_begin(self, args, state, control, **_):
            if state.global_step == 4:
                raise KeyboardInterrupt

    settings = {"average": "ema", "epochs": 4, "save_every": 0}
    whole, killed, resumed = (learner(tiny_model, **settings) for _ in range(3))
    whole.learn(FIRST, NOTHING)
    killed.progress_dir = resumed.progress_dir = tmp_path / "progress"
    killed._training.callbacks.append(Killed())
    with pytest.raises(KeyboardInterrupt):
        killed.learn(FIRST, NOTHING)
    resumed.learn(FIRST, NOTHING)
    assert saved(resumed, tmp_path / "a") == saved(whole, tmp_path / "b")


def test_without_one_training_is_as_it_was(tiny_model: Path) -> None:
    plain, off, averaged = (learner(tiny_model, **more) for more in ({}, {"average": None}, {"average": "ema"}))
    for one in (plain, off, averaged):
        one.learn(FIRST, NOTHING)
    assert all((a == b).all() for a, b in zip(weights(plain), weights(off), strict=True))
    assert not all((a == b).all() for a, b in zip(weights(plain), weights(averaged), strict=True))


def test_values_that_cannot_be_are_refused() -> None:
    with pytest.raises(ConfigError) as told:
        Averaging("emma", ema_power=0, bias_power=0, lag=0)
    assert len(told.value.problems) == 4
    with pytest.raises(ConfigError, match="no such parameter"):
        learner(Path("smollm2-135m"), average={"kind": "ema", "decay": 0.9})
