from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from asking import NOTHING
from inscl.errors import ConfigError, ModelError
from inscl.learners.spikes import MARK, WINDOW, spikes_of
from inscl.testing import made_task
from learners.taught import Heard, learner, saved

MANY = made_task("many", 48)
CALM = {"batch_size": 1, "epochs": 2, "adapter": None, "learning_rate": 1e-3}
WILD = {"batch_size": 1, "epochs": 2, "adapter": None, "hf_args": {"max_grad_norm": 0, "optim": "sgd"}}


def shaking():
    """A callback that spoils the weights after 40 steps."""
    import torch
    from transformers import TrainerCallback

    class Shaking(TrainerCallback):
        def on_step_end(self, args, state, control, model=None, **_):
            if state.global_step == 40:
                with torch.no_grad():
                    for weight in model.parameters():
                        weight.add_(torch.randn(weight.shape, generator=torch.Generator().manual_seed(0)))

    return Shaking()


def test_a_spike_is_where_the_loss_rises_above_its_beginning() -> None:
    calm = [2.0] * WINDOW
    assert spikes_of(calm * 4) == []
    assert spikes_of([*calm, *[3.4] * 40]) == []
    found = spikes_of([*calm, *calm, *[6.0] * 30, *calm, *calm, *[8.0] * 16])
    # 2 + 4 n / 16 is above 3.5 from seven steps of 6 on; 2 + 6 n / 16 from five steps of 8 on.
    assert [one["step"] for one in found] == [32 + 7, 32 + 30 + 32 + 5]
    assert found[0] == {"step": 39, "loss": 3.75, "first": 2.0}
    assert spikes_of([9.0] * 5) == []


def test_noise_of_single_examples_is_no_spike() -> None:
    rng = np.random.default_rng(0)
    told = [bool(spikes_of(np.abs(rng.normal(2.0, 1.2, 64)).tolist())) for _ in range(500)]
    assert np.mean(told) < 0.01


def test_a_stage_that_spikes_is_kept_and_told(tiny_model: Path) -> None:
    heard = Heard()
    one = learner(tiny_model, progress=heard, callbacks=[shaking()], **CALM)
    report = one.learn(MANY, NOTHING)
    assert report.facts["spikes"] == spikes_of([row["loss"] for row in one.log])
    assert report.facts["spikes"]
    assert report.steps == 96
    assert 40 < report.facts["spikes"][0]["step"] < 60
    assert any("may have diverged" in note for note in heard.notes)
    calm = learner(tiny_model, **CALM).learn(MANY, NOTHING)
    assert calm.facts == {}


def test_a_stage_that_spikes_begins_again_with_half_the_rate(tiny_model: Path, tmp_path: Path) -> None:
    """It ends as a stage that had the lower rate from the start; and what happened is recorded."""
    heard = Heard()
    guarded = learner(tiny_model, learning_rate=4096.0, restarts=20, progress=heard, **WILD)
    facts = guarded.learn(MANY, NOTHING).facts
    count = len(facts["restarts"])
    assert count >= 1
    rate = 4096.0 / 2**count
    assert [one["learning_rate"] for one in facts["restarts"]] == [4096.0 / 2**k for k in range(count)]
    assert facts["learning_rate"] == rate
    assert "spikes" not in facts
    assert sum("begins again" in note for note in heard.notes) == count
    plain = learner(tiny_model, learning_rate=rate, **WILD)
    plain.learn(MANY, NOTHING)
    assert saved(guarded, tmp_path / "a") == saved(plain, tmp_path / "b")


def halving(optimizer, lr_scheduler):
    for group in optimizer.param_groups:
        group["lr"], group["initial_lr"] = group["lr"] / 2, group["initial_lr"] / 2
    inner = getattr(lr_scheduler, "scheduler", lr_scheduler)
    inner.base_lrs = [rate / 2 for rate in inner.base_lrs]


def late_shock(killed_at: int | None = None):
    """Spoils the weights after 82 steps at the full rate; or ends the process, as it were, at a step of a lower one."""
    import torch
    from transformers import TrainerCallback

    class Shock(TrainerCallback):
        def on_step_end(self, args, state, control, model=None, optimizer=None, **_):
            full = optimizer.param_groups[0]["initial_lr"] == CALM["learning_rate"]
            if full and state.global_step == 82:
                with torch.no_grad():
                    for weight in model.parameters():
                        weight.add_(torch.randn(weight.shape, generator=torch.Generator().manual_seed(0)))
            if not full and state.global_step == killed_at:
                raise KeyboardInterrupt

    return Shock()


def test_a_late_spike_goes_back_to_the_last_mark_alone(tiny_model: Path, tmp_path: Path) -> None:
    """It ends as a stage that had half the rate from the mark on, without a spike; killed afterwards, too."""
    from transformers import TrainerCallback

    class Halving(TrainerCallback):
        def on_step_begin(self, args, state, control, optimizer=None, lr_scheduler=None, **_):
            if state.global_step == MARK:
                halving(optimizer, lr_scheduler)

    heard = Heard()
    settings = {**CALM, "average": "ema", "seed": 3}
    guarded = learner(tiny_model, restarts=2, progress=heard, callbacks=[late_shock()], **settings)
    report = guarded.learn(MANY, NOTHING)
    (spike,) = report.facts["restarts"]
    assert spike["back_to"] == MARK == 64
    assert 82 < spike["step"] <= 96
    assert any(f"goes back to step {MARK} with half of its rate" in note for note in heard.notes)
    assert report.steps == 96 == len(guarded.log)
    reference = learner(tiny_model, callbacks=[Halving()], **settings)
    told = reference.learn(MANY, NOTHING)
    assert saved(guarded, tmp_path / "guarded") == saved(reference, tmp_path / "reference")
    assert [row["loss"] for row in guarded.log] == [row["loss"] for row in reference.log]
    assert (report.tokens, report.answer_tokens, report.loss) == (told.tokens, told.answer_tokens, told.loss)

    killed = learner(tiny_model, restarts=2, callbacks=[late_shock(killed_at=90)], save_every=0, **settings)
    resumed = learner(tiny_model, restarts=2, callbacks=[late_shock()], save_every=0, **settings)
    killed.progress_dir = resumed.progress_dir = tmp_path / "progress"
    with pytest.raises(KeyboardInterrupt):
        killed.learn(MANY, NOTHING)
    assert resumed.learn(MANY, NOTHING).facts["restarts"] == [spike]
    assert saved(resumed, tmp_path / "resumed") == saved(reference, tmp_path / "again")


def test_a_loss_that_is_no_number_is_said_to_be_none(tiny_model: Path) -> None:
    import torch
    from transformers import TrainerCallback

    class Breaking(TrainerCallback):
        def on_step_end(self, args, state, control, model=None, **_):
            if state.global_step == 3:
                with torch.no_grad():
                    next(weight for weight in model.parameters() if weight.requires_grad).fill_(float("nan"))

    heard = Heard()
    guarded = learner(tiny_model, restarts=1, progress=heard, callbacks=[Breaking()], **CALM)
    with pytest.raises(ModelError, match="diverged: loss nan at step 4"):
        guarded.learn(MANY, NOTHING)
    assert any("is no longer a finite number at step 4" in note for note in heard.notes)


def test_what_is_seen_is_what_the_whole_list_says() -> None:
    rng = np.random.default_rng(1)
    losses = np.concatenate([rng.normal(2, 1, 200), rng.normal(7, 2, 100), rng.normal(2, 1, 100), rng.normal(9, 1, 50)])
    windows = {step: losses[step - WINDOW : step].mean() for step in range(2 * WINDOW, len(losses) + 1)}
    high = [step for step, mean in windows.items() if mean > 1.5 * losses[:WINDOW].mean() + 0.5]
    assert [one["step"] for one in spikes_of(losses.tolist())] == [step for step in high if step - 1 not in high]


def test_after_the_last_restart_the_stage_is_kept(tiny_model: Path) -> None:
    facts = learner(tiny_model, restarts=1, callbacks=[shaking()], **CALM).learn(MANY, NOTHING).facts
    assert len(facts["restarts"]) == 1
    assert facts["spikes"]


def test_a_number_of_restarts_that_cannot_be_is_refused() -> None:
    with pytest.raises(ConfigError, match="restarts"):
        learner(Path("smollm2-135m"), restarts=-1)
