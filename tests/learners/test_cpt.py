"""Context-aware prompt tuning on a tiny model: what it learns, how questions find it, its state, and bad input."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from asking import NOTHING, losses
from inscl.contract import Example, Question, Task
from inscl.contract.erased import Erased
from inscl.contract.example import Image
from inscl.contract.plan import Pick, ReplayPlan
from inscl.errors import ConfigError, DataError, ModelError
from inscl.learners import CPT
from inscl.learners.context_tuning.contexts import Contexts
from inscl.testing import check_learner
from inscl.testing.made import fake_embedder
from learners.taught import FIRST, SECOND, Heard, learner, saved

ASKED = Question("Say red", "please 9", options=("red0", "red1", "r"))


def cpt(model: Path, **settings: Any) -> CPT:
    ours = {"precision": "fp32", "embedder": fake_embedder, "k": 2, "batch_size": 4, "epochs": 1, "max_length": 512}
    return CPT(str(model), **{**ours, **settings})


def state(one: CPT, folder: Path) -> dict[str, bytes]:
    folder.mkdir()
    one.save(folder)
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.fixture(scope="module")
def taught(tiny_model: Path) -> CPT:
    """Two tasks, one after the other; not to be taught any more."""
    one = cpt(tiny_model, epochs=4)
    for task in (FIRST, SECOND):
        one.learn(task, NOTHING)
    return one


def test_it_keeps_the_contract(tiny_model: Path) -> None:
    check_learner(lambda: cpt(tiny_model, replayed=1))


def test_learning_makes_answers_likelier_and_says_what_it_took(tiny_model: Path, taught: CPT, tmp_path: Path) -> None:
    one = cpt(tiny_model, epochs=4)
    report = one.learn(FIRST, NOTHING)
    assert (report.steps, report.examples, report.replayed, report.truncated) == (4, 6, 0, 0)
    assert report.tokens == one.log[-1]["tokens"] > report.answer_tokens > 0
    assert report.loss == pytest.approx(np.mean([row["loss"] for row in one.log]))
    context = one.contexts["first"]
    shown = {name for _, name in context.demonstrations}
    assert len(shown) == 2
    assert {name for _, name in context.taught} == {example.id for example in FIRST.train}
    before = losses(one, FIRST.train)
    one._contexts.numbered[1] = replace(context, delta=context.delta * 0)
    assert np.mean(before) < np.mean(losses(one, FIRST.train))
    # The second task left the first one's file as it was, and the state of both is a file for each.
    files = state(taught, tmp_path / "two")
    one._contexts.numbered[1] = context
    assert files["context-0001.safetensors"] == state(one, tmp_path / "one")["context-0001.safetensors"]
    assert sorted(files) == ["context-0001.safetensors", "context-0002.safetensors", "learner.json"]


def test_a_task_learned_again_takes_the_place_of_what_it_had(tiny_model: Path, taught: CPT) -> None:
    contexts = Contexts(dict(taught._contexts.numbered))
    contexts.learned(taught.contexts["first"])
    assert list(contexts.numbered) == [2, 3]
    assert list(contexts.by_task) == ["second", "first"]


def test_its_likelihoods_and_choices_are_those_of_moved_embeddings(tiny_model: Path, taught: CPT) -> None:
    """The reference reads every prompt by itself, as vectors."""
    import torch
    from transformers import AutoModelForCausalLM

    network = AutoModelForCausalLM.from_pretrained(tiny_model).eval()
    context, encoder = taught.contexts["first"], taught._encoder()
    before = encoder.beginning

    def nats(answer: str) -> float:
        asked = encoder.answered(ASKED, answer)
        table = network.get_input_embeddings()
        parts = [torch.tensor(one) for one in (before, context.tokens.tolist(), asked.tokens[len(before) :])]
        with torch.no_grad():
            vectors = [table(part) for part in parts]
            vectors[1] = vectors[1] + torch.from_numpy(context.delta)
            scores = network(inputs_embeds=torch.cat(vectors)[None]).logits[0].double().log_softmax(-1)
        said = torch.cat(parts)
        answered = range(len(said) - len(encoder.answer(answer)), len(said))
        return sum(float(scores[place - 1, said[place]]) for place in answered)

    (found,) = taught.log_likelihoods([ASKED], ["red0"])
    assert (found.nats, found.tokens) == (pytest.approx(nats("red0"), rel=1e-4), 5)
    sums = np.array([nats(option) for option in ASKED.options])
    (chosen,) = taught.choose([ASKED], normalise=False)
    assert np.allclose(chosen, sums - np.logaddexp.reduce(sums), atol=1e-3)


def test_a_question_finds_its_context_by_its_instruction_or_by_the_name_that_is_given(
    tiny_model: Path, taught: CPT
) -> None:
    questions = [
        Question("Say blue", "x", task="first"),
        Question("Say bluish", "x"),
        Question("Say red\n\nplease 1"),
        Question("Hum", task="no such"),
    ]
    assert taught._behind.tasks_of(questions) == ["second", "second", "first", "second"]
    given = replace(taught._behind, find="task")
    assert given.tasks_of(questions) == ["first", "second", "first", "second"]
    assert cpt(tiny_model)._behind.tasks_of(questions) == [None] * 4
    mixed = [one.nats for one in taught.log_likelihoods(questions, ["a"] * 4)]
    assert mixed == pytest.approx([taught.log_likelihoods([one], ["a"])[0].nats for one in questions], rel=1e-5)


def test_saved_and_loaded_it_answers_as_before_and_others_states_are_refused(
    tiny_model: Path, taught: CPT, tmp_path: Path
) -> None:
    files = state(taught, tmp_path / "one")
    other = cpt(tiny_model)
    other.load(tmp_path / "one")
    assert state(other, tmp_path / "again") == files
    assert other.choose([ASKED]) == taught.choose([ASKED])
    with pytest.raises(ModelError, match="another prompt"):
        cpt(tiny_model, prompt="plain").load(tmp_path / "one")
    saved(learner(tiny_model), tmp_path / "tuned")
    with pytest.raises(ModelError, match="another learner"):
        other.load(tmp_path / "tuned")
    record = (tmp_path / "again" / "learner.json").read_text()
    fingerprint = other._identity["fingerprint"]
    (tmp_path / "again" / "learner.json").write_text(record.replace(fingerprint, "another"))
    with pytest.raises(ModelError, match="another fingerprint"):
        other.load(tmp_path / "again")


def test_an_interrupted_answer_goes_on_and_another_state_doesnt_take_it(
    tiny_model: Path, taught: CPT, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    questions = [Question.of(example) for example in (*FIRST.train, *SECOND.train)]
    one = cpt(tiny_model, generation_batch_size=2)
    one._contexts = taught._contexts
    expected = one.answer(questions, 3)
    one.progress_dir = tmp_path
    assert one.answer(questions, 3) == expected
    asked: list[int] = []

    def counted(prompts: Any, *rest: Any) -> Any:
        asked.append(len(prompts))
        return decode(prompts, *rest)

    from inscl.models import decoding

    decode = decoding._decode
    monkeypatch.setattr(decoding, "_decode", counted)
    assert one.answer(questions, 3) == expected
    assert asked == []
    one._contexts = Contexts({n: replace(c, delta=c.delta * 0.5) for n, c in taught._contexts.numbered.items()})
    one.answer(questions, 3)
    assert sum(asked) == len(questions)


def test_what_is_replayed_is_learned_and_shown_where_that_is_wanted(tiny_model: Path) -> None:
    plan = ReplayPlan("second", "made", tuple(Pick(example, "first", 2, weight=0.5) for example in FIRST.train[:2]))
    one = cpt(tiny_model, replayed=1, k=3)
    report = one.learn(SECOND, plan)
    assert report.replayed == 2
    assert report.replay_tokens > 0
    context = one.contexts["second"]
    assert [name for name, _ in context.demonstrations] == ["first", "second", "second"]
    assert {name for name, _ in context.taught} == {"first", "second"}
    assert context.instructions == ("Say blue",)
    assert list(one.contexts) == ["second"]


def test_erased_examples_leave_the_state_with_all_that_they_changed(taught: CPT, tmp_path: Path) -> None:
    before = state(taught, tmp_path / "state")
    gone = taught.contexts["first"].demonstrations[0][1]
    CPT.forget(tmp_path / "state", Erased(ids={gone}))
    found = Contexts.read(tmp_path / "state").by_task
    assert [name for _, name in found["first"].demonstrations] == [taught.contexts["first"].demonstrations[1][1]]
    assert (found["first"].delta == 0).all()
    assert gone.encode() not in (tmp_path / "state" / "context-0001.safetensors").read_bytes()
    assert (tmp_path / "state" / "context-0002.safetensors").read_bytes() == before["context-0002.safetensors"]
    CPT.forget(tmp_path / "state", Erased(tasks={"first"}, instructions={"Say red"}))
    assert list(Contexts.read(tmp_path / "state").by_task) == ["second"]
    assert b"Say red" not in (tmp_path / "state" / "context-0001.safetensors").read_bytes()


def test_the_context_of_the_model_is_never_overrun_and_what_is_left_out_is_told(tiny_model: Path) -> None:
    heard = Heard()
    one = cpt(tiny_model, k=5, max_length=150, progress=heard)
    one.learn(FIRST, NOTHING)
    context = one.contexts["first"]
    assert 0 < len(context.tokens) <= 75
    assert heard.notes == [
        "task first: 1 of the 5 demonstrations that are wanted fit the context, which has 75 of 150 tokens"
    ]
    longest: list[int] = []

    def measured(_: Any, __: Any, given: dict[str, Any]) -> None:
        longest.append(int(given["position_ids"].max()) + 1 if "position_ids" in given else 0)

    hook = one.model.model.register_forward_pre_hook(measured, with_kwargs=True)
    try:
        asked = Question("Say red", "please " * 60, options=("red0", "red1"))
        one.answer([asked], 200)
        one.log_likelihoods([asked], ["red0"])
        one.choose([asked])
    finally:
        hook.remove()
    assert 75 < max(longest) <= 150
    assert any(note.startswith("answers have at most ") for note in heard.notes)


def test_a_task_of_one_example_and_one_that_no_context_holds_are_learned(tiny_model: Path) -> None:
    heard = Heard()
    one = cpt(tiny_model, progress=heard)
    assert one.learn(Task("single", FIRST.train[:1], ()), NOTHING).steps == 1
    assert [name for _, name in one.contexts["single"].demonstrations] == [FIRST.train[0].id]
    long = tuple(Example("Read", "word " * 90 + str(k), ("x",), "long") for k in range(3))
    report = one.learn(Task("long", long, ()), NOTHING)
    assert (report.steps, report.loss) == (0, 0.0)
    assert heard.notes[-1] == "task long: no demonstration fits, so its questions are asked without any"
    bare = cpt(tiny_model).log_likelihoods([Question("Read", "it")], ["x"])
    assert one.log_likelihoods([Question("Read", "it")], ["x"])[0].nats == pytest.approx(bare[0].nats, rel=1e-5)


def test_bad_input_is_one_message(tiny_model: Path, taught: CPT) -> None:
    with pytest.raises(ConfigError) as told:
        cpt(tiny_model, k=0, replayed=-1, epsilon_input=0, epsilon_format=float("inf"), decay=1.5, find="nme")
    keys = ["find", "k", "replayed", "epsilon_input", "epsilon_format", "decay"]
    assert [one.key for one in told.value.problems] == [f"training.params.{key}" for key in keys]
    fresh = cpt(tiny_model, max_length=60)
    with pytest.raises(DataError, match="has no train examples"):
        fresh.learn(Task("none", (), ()), NOTHING)
    too_long = Example("Say", "it", ("y" * 70,), "t")
    with pytest.raises(DataError, match=r"has 71 tokens, too many for max_length 60; raise training\.max_length"):
        fresh.learn(Task("t", (too_long,), ()), NOTHING)
    pictured = replace(FIRST.train[0], images=(Image("a.png"),))
    with pytest.raises(DataError, match="has images"):
        fresh.learn(Task("t", (pictured,), ()), NOTHING)
    assert (fresh.stage, fresh.contexts) == (0, {})
    with pytest.raises(DataError, match="has no options"):
        taught.choose([replace(ASKED, options=())])
    with pytest.raises(DataError, match="of those tokens are the context of its task"):
        taught.log_likelihoods([ASKED], ["z" * 450])


def test_a_context_that_a_smaller_length_does_not_hold_is_told(tiny_model: Path, taught: CPT, tmp_path: Path) -> None:
    taught.save(tmp_path)
    taken = len(next(iter(taught.contexts.values())).tokens)
    small = CPT(str(tiny_model), precision="fp32", embedder=fake_embedder, max_length=taken)
    small.load(tmp_path)
    with pytest.raises(ConfigError, match=rf"beside {taken} tokens of demonstrations and a template of \d+ tokens"):
        small.answer([Question.of(FIRST.test[0])])
