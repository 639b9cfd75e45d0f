"""Dual increments on a tiny model: what is learned, what stays, rows with increments of their own, state, bad input."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import inscl
from asking import NOTHING, losses
from inscl.contract import Example, Question, Task
from inscl.contract.example import Image
from inscl.contract.plan import Pick, ReplayPlan
from inscl.engine import stage as stages
from inscl.errors import ConfigError, DataError, ModelError
from inscl.learners import DualIncrement, FineTune
from inscl.learners.increments.pool import digest_of
from inscl.storage.files.atomic import read_json, read_jsonl
from inscl.testing import check_learner
from learners.taught import FIRST, SECOND, Heard
from streams import toy_config, toy_stream

ASKED = [
    Question("Say red", "please 9", options=("red0", "red1", "r")),
    Question("Say blue", "it, and please do say it soon", options=("blue0", "b")),
    Question("Hum a zoo", "", options=("yes", "no")),
    Question("Say red", "please please 1", options=("red0", "x")),
]


def vectors(texts: Any) -> Any:
    """Unit vectors: red and blue are at right angles."""
    return np.eye(8, dtype=np.float32)[[("red" in t) + 2 * ("blue" in t) + 3 * ("zoo" in t) for t in texts]]


def dual(model: Path, **settings: Any) -> DualIncrement:
    ours = {"keys": 8, "chosen": 2, "rank": 2, "embedder": vectors, "alignment_steps": 20, "learning_rate": 0.02}
    rest = {"precision": "fp32", "batch_size": 4, "epochs": 4, "max_length": 256}
    return DualIncrement(str(model), **{**ours, **rest, **settings})


def state(one: DualIncrement, folder: Path) -> dict[str, bytes]:
    folder.mkdir()
    one.save(folder)
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.fixture(scope="module")
def taught(tiny_model: Path) -> DualIncrement:
    """Three stages, so that the contextual increment isn't zero; not to be taught any more."""
    one = dual(tiny_model)
    for task in (FIRST, SECOND, Task("third", FIRST.train, ())):
        one.learn(task, NOTHING)
    return one


def test_it_keeps_the_contract(tiny_model: Path) -> None:
    check_learner(lambda: dual(tiny_model, epochs=1))


def test_learning_makes_answers_likelier_and_says_what_it_took(tiny_model: Path) -> None:
    heard = Heard()
    one = dual(tiny_model, progress=heard)
    before = losses(one, FIRST.train)
    report = one.learn(FIRST, NOTHING)
    assert np.mean(losses(one, FIRST.train)) < np.mean(before) - 0.1
    assert (report.steps, report.examples, report.replayed, report.truncated) == (8, 6, 0, 0)
    assert report.tokens == one.log[-1]["tokens"] > report.answer_tokens > 0
    assert report.loss == pytest.approx(np.mean([row["loss"] for row in one.log]))
    assert one.pool is not None
    assert sorted(one.pool.used.tolist()) == [0] * 6 + [6, 6]
    assert heard.notes == [
        "task first: 2 of 8 keys were chosen; 6 were never chosen by any task, so their pairs have learned nothing"
    ]


def test_one_batch_of_many_increments_equals_one_by_one(taught: DualIncrement) -> None:
    answers = ["red0", "a longer answer", "yes", ""]
    together = taught.log_likelihoods(ASKED, answers)
    alone = [taught.log_likelihoods([one], [said])[0] for one, said in zip(ASKED, answers, strict=True)]
    assert [one.nats for one in together] == pytest.approx([one.nats for one in alone], rel=1e-5)
    assert [(one.tokens, one.correct) for one in together] == [(one.tokens, one.correct) for one in alone]
    assert [one.text for one in taught.answer(ASKED, 6)] == [taught.answer([one], 6)[0].text for one in ASKED]
    for found, one in zip(taught.choose(ASKED), ASKED, strict=True):
        assert found == pytest.approx(taught.choose([one])[0], rel=1e-5)


def test_a_row_is_read_with_the_weights_of_the_equation(tiny_model: Path, taught: DualIncrement) -> None:
    """The reference adds each question's increment into the weights of a model of transformers."""
    import torch
    from transformers import AutoModelForCausalLM

    pool = taught.pool
    assert pool is not None
    assert any(abs(weight) > 1e-3 for weight in pool.weights.values())
    found = taught.log_likelihoods(ASKED[:3], ["red0"] * 3)
    for asked, one in zip(ASKED, found, strict=False):
        network = AutoModelForCausalLM.from_pretrained(tiny_model, dtype=torch.float32).eval()
        query = torch.from_numpy(vectors([asked.instruction]))[0]
        cosines = torch.nn.functional.cosine_similarity(query[None], pool.keys).clamp(min=1e-6)
        best = cosines.argsort(descending=True)[:2]
        with torch.no_grad():
            for name, module in network.named_modules():
                if name.endswith("o_proj"):
                    for place in best:
                        share = cosines[place] / cosines[best].sum()
                        module.weight += share * pool.up[name][place] @ pool.down[name][place]
                    for task, weight in pool.weights.items():
                        module.weight += weight * pool.averages[task].up[name] @ pool.averages[task].down[name]
            encoded = taught._asking.encoder.answered(asked, "red0")
            logits = network(torch.tensor([encoded.tokens])).logits[0].double().log_softmax(-1)
        places = range(encoded.prompt_length, len(encoded.tokens))
        assert one.nats == pytest.approx(sum(float(logits[p - 1, encoded.tokens[p]]) for p in places), rel=1e-5)


def test_what_an_earlier_task_left_is_the_same_bits_after_a_later_one(tiny_model: Path, tmp_path: Path) -> None:
    import torch
    from safetensors.torch import load_file

    one = dual(tiny_model)
    one.learn(FIRST, NOTHING)
    first, before = one.pool, state(one, tmp_path / "first")
    one.learn(SECOND, NOTHING)
    second, after = one.pool, state(one, tmp_path / "second")
    assert first is not None
    assert second is not None
    file = f"average-{digest_of('first')}.safetensors"
    assert before[file] == after[file]
    assert b"first" not in b"".join(after.values())
    # These keys and pairs weren't chosen by the second task; some of them were by the first.
    same = (second.used == first.used).nonzero()[:, 0]
    assert (first.used[same] > 0).any()
    assert torch.equal(first.keys[same], second.keys[same])
    assert not torch.equal(first.keys, second.keys)
    for name in first.up:
        assert torch.equal(first.up[name][same], second.up[name][same])
        assert torch.equal(first.down[name][same], second.down[name][same])
        assert not torch.equal(first.up[name], second.up[name])
    # The average is the mean increment of the task's rows, all of which choose alike here.
    chosen = first.choose(torch.from_numpy(vectors(["Say red"])), 2)
    for name, average in first.averages[digest_of("first")].up.items():
        parts = zip(chosen.shares[0], chosen.places[0], strict=True)
        expected = sum(share * first.up[name][place] @ first.down[name][place] for share, place in parts)
        assert torch.allclose(average @ first.averages[digest_of("first")].down[name], expected, atol=1e-6)
    weights = one.model.model.state_dict()
    stored = load_file(tiny_model / "model.safetensors")
    assert all(torch.equal(weights[name], tensor) for name, tensor in stored.items())


def test_alignment_turns_the_chosen_keys_towards_the_query(tiny_model: Path) -> None:
    import torch

    query = torch.from_numpy(vectors(["Say red"]))
    near = []
    for steps in (0, 50):
        one = dual(tiny_model, alignment_steps=steps, epochs=1)
        one.learn(FIRST, NOTHING)
        assert one.pool is not None
        near.append(float(one.pool.cosines(query).topk(2).values.min()))
    assert near[1] > max(near[0], 0.8)


def test_a_task_learned_again_takes_the_place_of_what_it_had(tiny_model: Path) -> None:
    one = dual(tiny_model, epochs=1)
    for task in (FIRST, SECOND, FIRST):
        one.learn(task, NOTHING)
    assert one.pool is not None
    assert sorted(one.pool.averages) == sorted(map(digest_of, ("first", "second")))
    assert list(one.pool.weights) == [digest_of("second")]


def test_what_is_replayed_is_learned_as_much_as_it_counts(tiny_model: Path) -> None:
    plan = ReplayPlan("second", "made", tuple(Pick(example, "first", 2, weight=0.5) for example in FIRST.train[:2]))
    one = dual(tiny_model, epochs=1)
    report = one.learn(SECOND, plan)
    assert (report.replayed, report.examples) == (2, 4)
    assert report.replay_tokens == sum(map(one.count_tokens, FIRST.train[:2]))
    none = replace(plan, picks=tuple(replace(pick, weight=0.0) for pick in plan.picks))
    other = dual(tiny_model, epochs=1)
    assert other.learn(SECOND, none).loss != report.loss


def test_an_adapter_that_another_learner_has_on_the_same_weights_changes_nothing(
    tiny_model: Path, taught: DualIncrement, tmp_path: Path
) -> None:
    state(taught, tmp_path / "one")
    alone = taught.choose(ASKED)
    tuned = FineTune(str(tiny_model), precision="fp32", epochs=4, batch_size=4, learning_rate=0.1)
    tuned.learn(FIRST, NOTHING)
    shares = dual(tiny_model)
    shares.load(tmp_path / "one")
    shares.model._weights = tuned._weights._weights  # which weights are borrowed depends on the memory's order
    assert hasattr(shares.model.model, "peft_config")
    assert shares.choose(ASKED) == alone
    beside = shares.answer(ASKED, 2)
    assert beside == taught.answer(ASKED, 2)
    assert tuned.choose(ASKED) != FineTune(str(tiny_model), precision="fp32").choose(ASKED)


def test_saved_and_loaded_it_answers_as_before_and_others_states_are_refused(
    tiny_model: Path, taught: DualIncrement, tmp_path: Path
) -> None:
    files = state(taught, tmp_path / "one")
    other = dual(tiny_model)
    other.load(tmp_path / "one")
    assert state(other, tmp_path / "again") == files
    assert other.choose(ASKED) == taught.choose(ASKED)
    with pytest.raises(ModelError, match="another rank"):
        dual(tiny_model, rank=3).load(tmp_path / "one")
    other._embed = lambda texts: np.ones((len(texts), 3))
    with pytest.raises(ModelError, match="use the embedder that the pool was learned with"):
        other.answer(ASKED, 2)
    (tmp_path / "one" / f"average-{digest_of('first')}.safetensors").unlink()
    with pytest.raises(ModelError, match="is damaged: it lacks"):
        dual(tiny_model).load(tmp_path / "one")
    (tmp_path / "again" / "pool.safetensors").write_bytes(b"nothing")
    with pytest.raises(ModelError, match="can't read the increments"):
        dual(tiny_model).load(tmp_path / "again")


def test_an_interrupted_answer_goes_on_and_another_state_doesnt_take_it(
    tiny_model: Path, taught: DualIncrement, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = dual(tiny_model, generation_batch_size=2)
    one.pool = taught.pool
    expected = one.answer(ASKED, 3)
    one.progress_dir = tmp_path
    assert one.answer(ASKED, 3) == expected
    asked: list[Any] = []
    generate = type(one.model.model).generate
    monkeypatch.setattr(type(one.model.model), "generate", lambda *a, **k: asked.append(1) or generate(*a, **k))
    assert one.answer(ASKED, 3) == expected
    assert asked == []
    assert taught.pool is not None
    one.pool = replace(taught.pool, weights={})
    one.answer(ASKED, 3)
    assert len(asked) == 2


def test_bad_input_is_one_message(tiny_model: Path) -> None:
    with pytest.raises(ConfigError) as told:
        dual(tiny_model, keys=1, chosen=2, rank=0, alignment_steps=-1, alignment_rate=0)
    keys = ["keys", "rank", "alignment_steps", "alignment_rate"]
    assert [one.key for one in told.value.problems] == [f"training.params.{key}" for key in keys]
    fresh = dual(tiny_model, max_length=60)
    with pytest.raises(DataError, match="has no train examples"):
        fresh.learn(Task("none", (), ()), NOTHING)
    too_long = Example("Say", "it", ("y" * 70,), "t")
    with pytest.raises(DataError, match="too many for max_length 60"):
        fresh.learn(Task("t", (too_long,), ()), NOTHING)
    with pytest.raises(DataError, match="has images"):
        fresh.learn(Task("t", (replace(FIRST.train[0], images=(Image("a.png"),)),), ()), NOTHING)
    assert (fresh.stage, fresh.pool) == (0, None)


def config(folder: Path, model: Path, name: str) -> dict[str, Any]:
    made = toy_config(folder / "stream", model, folder / name, strategy="none")
    made["model"] |= {"precision": "fp32", "keep": "all"}
    params = {"keys": 6, "chosen": 2, "rank": 2, "alignment_steps": 5, "embedder": "ngrams"}
    made["training"] = {"learner": "dual_increment", "params": params, "epochs": 1, "max_length": 512}
    made["evaluation"] |= {"metrics": ["rouge_l", "answer_loss"], "max_new_tokens": 3}
    return made


def kept(run: Path) -> dict[str, bytes]:
    """What must be the same bytes whatever happened on the way."""
    names = ("scores.json", "metrics.json", "predictions/*.jsonl", "model/*", "plan.json")
    return {str(file.relative_to(run)): file.read_bytes() for name in names for file in run.rglob(name)}


def test_a_run_is_recorded_and_one_that_is_killed_ends_with_the_same_bytes(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INSCL_CACHE", str(tmp_path / "cache"))
    toy_stream(tmp_path / "stream")
    whole = inscl.run(config(tmp_path, tiny_model, "whole"))
    folder = whole.path / "stages"
    report = read_json(folder / "02-backwards" / "learn.json")
    assert report["steps"] == len(read_jsonl(folder / "02-backwards" / "train_log.jsonl")) > 0
    calls = []

    def killed(*arguments: Any, **keywords: Any) -> Any:
        calls.append(arguments)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return evaluate(*arguments, **keywords)

    evaluate = stages.evaluate_together
    with monkeypatch.context() as patch:
        patch.setattr(stages, "evaluate_together", killed)
        with pytest.raises(KeyboardInterrupt):
            inscl.run(config(tmp_path, tiny_model, "killed"))
    again = inscl.run(config(tmp_path, tiny_model, "killed"))
    assert kept(again.path) == kept(whole.path)
