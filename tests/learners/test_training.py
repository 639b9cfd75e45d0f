from __future__ import annotations

from pathlib import Path

import pytest

from asking import NOTHING, replaying
from inscl.contract import Task
from inscl.errors import ModelError
from inscl.learners.training import BATCHINGS
from learners.taught import ADAPTERS, FIRST, SECOND, Heard, learner, saved


@pytest.mark.parametrize("batching", BATCHINGS)
def test_it_learns_and_says_what_it_took(tiny_model: Path, batching: str) -> None:
    heard = Heard()
    one = learner(tiny_model, batching=batching, epochs=3, progress=heard)
    replay = FIRST.train[:3]
    report = one.learn(SECOND, replaying(replay))
    assert (report.examples, report.replayed, report.steps) == (12, 9, 6)
    assert report.tokens == 3 * sum(one.count_tokens(example) for example in [*SECOND.train, *replay])
    assert report.replay_tokens == 3 * sum(one.count_tokens(example) for example in replay)
    assert report.answer_tokens == 3 * sum(len(example.output) + 1 for example in [*SECOND.train, *replay])
    assert report.truncated == 0
    assert [row["step"] for row in one.log] == list(range(1, 7))
    assert set(one.log[0]) == {"step", "loss", "learning_rate", "tokens", "seconds"}
    assert one.log[-1]["tokens"] == report.tokens
    assert one.log[-1]["loss"] < one.log[0]["loss"]
    assert heard.told[0] == ("train", 6)
    assert heard.told[-1] == (6, "loss", "tokens_per_second")
    assert heard.notes == []


def test_one_example_is_enough(tiny_model: Path) -> None:
    assert learner(tiny_model).learn(Task("one", FIRST.train[:1]), NOTHING).examples == 2


def test_every_stage_trains_in_the_same_precision(tiny_model: Path, tmp_path: Path) -> None:
    """Under bf16 too: what Trainer leaves on a model must not change how the next stage computes."""
    undisturbed = learner(tiny_model, precision="bf16", adapter=ADAPTERS["keep"])
    undisturbed.learn(FIRST, NOTHING)
    (tmp_path / "state").mkdir()
    undisturbed.save(tmp_path / "state")
    undisturbed.learn(SECOND, replaying(FIRST.train[:2]))
    resumed = learner(tiny_model, precision="bf16", adapter=ADAPTERS["keep"])
    resumed.load(tmp_path / "state")
    resumed.learn(SECOND, replaying(FIRST.train[:2]))
    assert saved(undisturbed, tmp_path / "a") == saved(resumed, tmp_path / "b")


def test_training_is_left_as_it_was_found(tiny_model: Path) -> None:
    one = learner(tiny_model, precision="bf16")
    for _ in range(3):
        one.learn(FIRST, NOTHING)
    model = one._weights.model
    assert not {"forward", "_original_forward"} & set(vars(model))
    assert model.config._attn_implementation == "sdpa"
    assert model.config.use_cache


def test_batching_changes_speed_and_not_what_is_learned(tiny_model: Path) -> None:
    found = {}
    for batching in ("pack", "random"):
        one = learner(tiny_model, batching=batching)
        found[batching] = [one.learn(FIRST, NOTHING).loss, *(row["loss"] for row in one.log)]
    assert found["pack"] == pytest.approx(found["random"], rel=1e-3)


def test_training_that_diverges_says_so(tiny_model: Path) -> None:
    with pytest.raises(ModelError, match="lower learning_rate"):
        learner(tiny_model, adapter=None, learning_rate=1e30, epochs=8, hf_args={"max_grad_norm": 0}).learn(
            FIRST, NOTHING
        )


def test_trackers_write_where_they_are_told(tiny_model: Path, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    learner(tiny_model, hf_args={"report_to": "tensorboard"}, log_dir=tmp_path).learn(FIRST, NOTHING)
    assert list((tmp_path / "stage-01").rglob("events.out.tfevents*"))


def test_callbacks_are_transformers_own(tiny_model: Path) -> None:
    from transformers import TrainerCallback

    class Stop(TrainerCallback):
        def on_step_end(self, args, state, control, **_):
            control.should_training_stop = True

    assert learner(tiny_model, callbacks=[Stop()]).learn(FIRST, NOTHING).steps == 1


def test_freed_memory_stays_with_the_process_while_a_stage_trains(tiny_model: Path) -> None:
    from transformers import TrainerCallback

    from inscl.models import kept_memory

    within: list[int] = []

    class Look(TrainerCallback):
        def on_step_end(self, *_, **__):
            within.append(kept_memory._within)

    report = learner(tiny_model, callbacks=[Look()]).learn(FIRST, NOTHING)
    assert within == [1] * report.steps
    assert kept_memory._within == 0
