"""In-context learning on a tiny model: what stands in the prompt, what is told, kept and refused."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from asking import NOTHING
from inscl.config.components import Chosen, params_in_full
from inscl.config.identity import deciding_settings
from inscl.config.settings import RunConfig
from inscl.contract import Answer, Example, Question, Task
from inscl.contract.chat import Completion
from inscl.contract.example import Image
from inscl.contract.plan import Pick, ReplayPlan
from inscl.errors import ConfigError, DataError, ModelError
from inscl.learners import ICL
from inscl.learners.asking import Asking
from inscl.learners.demonstrations.choosing import SELECTIONS
from inscl.llm import settings as llm_settings
from inscl.models.language_model import LanguageModel
from inscl.models.prompts import FORMS
from inscl.testing import check_learner
from inscl.testing.made import fake_embedder
from learners.taught import FIRST, SECOND, Heard

ASKED = Question("Say red", "please 9", options=("red0", "red1", "r"))


def icl(model: Path, **settings: Any) -> ICL:
    return ICL(str(model), **{"precision": "fp32", "embedder": fake_embedder, "selection": "fixed", "k": 2, **settings})


def replay(*tasks: Task) -> ReplayPlan:
    return ReplayPlan("new", "made", tuple(Pick(one, task.name, 9) for task in tasks for one in task.train))


def expected(learner: ICL, demonstrations: Sequence[Example], question: Question) -> list[int]:
    """The prompt by transformers' own template."""
    rows = [{"role": "user", "content": question.prompt}]
    for one in reversed(demonstrations):
        rows[:0] = [{"role": "user", "content": one.prompt}, {"role": "assistant", "content": one.output}]
    found = learner.model.tokenizer.apply_chat_template(rows, add_generation_prompt=True, return_dict=False)
    return list(found)


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[list[int]]:
    """Every prompt that a model generates after, as token ids."""
    seen: list[list[int]] = []
    generate = LanguageModel.generate

    def spy(self: LanguageModel, prompts: Sequence[Sequence[int]], **settings: Any) -> list[list[int]]:
        seen.extend(map(list, prompts))
        return generate(self, prompts, **settings)

    monkeypatch.setattr(LanguageModel, "generate", spy)
    return seen


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    "settings",
    [
        *({"selection": name} for name in SELECTIONS),
        {"selection": "top_n", "score": "rouge_l", "k": 1},
        {"selection": "nearest", "k": "fit", "order": "best_last"},
        {"answers": "none", "urial": True, "max_length": 2048},
        {"k": 0},
    ],
    ids=str,
)
def test_every_kind_keeps_the_contract(tiny_model: Path, form: str, settings: dict[str, Any]) -> None:
    check_learner(lambda: icl(tiny_model, prompt=form, **settings))


def test_demonstrations_of_its_task_stand_before_each_question(tiny_model: Path, read: list[list[int]]) -> None:
    learner = icl(tiny_model)
    learner.learn(FIRST, NOTHING)
    report = learner.learn(SECOND, NOTHING)
    assert (report.steps, report.tokens, report.answer_tokens, report.replay_tokens) == (0, 0, 0, 0)
    assert (report.examples, report.replayed) == (4, 0)
    questions = [ASKED, Question("Say blue", "please 9", task="first")]
    answers = learner.answer(questions, 4)
    assert read == [
        expected(learner, FIRST.train[:2], questions[0]),
        expected(learner, SECOND.train[:2], questions[1]),
    ]
    assert [answer.prompt_tokens for answer in answers] == [len(tokens) for tokens in read]


def test_nothing_learned_is_the_model_as_it_came(tiny_model: Path, read: list[list[int]]) -> None:
    learner = icl(tiny_model)
    learner.answer([ASKED], 4)
    assert read == [expected(learner, (), ASKED)]


def test_an_instruction_never_seen_gets_the_demonstrations_of_the_nearest(
    tiny_model: Path, read: list[list[int]]
) -> None:
    learner = icl(tiny_model)
    learner.learn(FIRST, NOTHING)
    learner.learn(SECOND, NOTHING)
    question = Question("Say blu", "x")
    learner.answer([question], 4)
    assert read == [expected(learner, SECOND.train[:2], question)]


def test_nearest_are_chosen_for_each_question(tiny_model: Path, read: list[list[int]]) -> None:
    learner = icl(tiny_model, selection="nearest")
    learner.learn(FIRST, NOTHING)
    assert learner.demonstrations["first"] == FIRST.train
    vectors = np.array(fake_embedder([one.prompt for one in FIRST.train]))
    question = Question("Say red", "please please please 2")
    own = np.array(fake_embedder([question.prompt]))[0]
    cosines = np.round(vectors @ own / np.linalg.norm(vectors, axis=1) / np.linalg.norm(own), 6)
    best = sorted(range(len(cosines)), key=lambda k: (-cosines[k], k))[:2]
    learner.answer([question], 4)
    assert read == [expected(learner, [FIRST.train[k] for k in best], question)]


def test_likelihoods_and_choices_are_those_of_a_plain_forward_pass_after_the_demonstrations(tiny_model: Path) -> None:
    import torch

    learner = icl(tiny_model)
    learner.learn(FIRST, NOTHING)
    questions = [ASKED] * 3
    found = learner.log_likelihoods(questions, ASKED.options)
    (chosen,) = learner.choose([ASKED], normalise=False)
    prompt, tokenizer = expected(learner, FIRST.train[:2], ASKED), learner.model.tokenizer
    sums = []
    for option, one in zip(ASKED.options, found, strict=True):
        answer = [*tokenizer(option, add_special_tokens=False).input_ids, tokenizer.eos_token_id]
        with torch.no_grad(), learner.model.reading():  # whoever taught an adapter on the same weights
            logits = learner.model.model(torch.tensor([prompt + answer])).logits[0].log_softmax(-1)
        nats = sum(float(logits[len(prompt) - 1 + k, token]) for k, token in enumerate(answer))
        assert (one.nats, one.tokens) == (pytest.approx(nats, rel=1e-4), len(answer))
        sums.append(nats)
    assert np.exp(chosen) == pytest.approx(np.exp(sums) / np.exp(sums).sum(), rel=1e-3)


@pytest.mark.parametrize("k", [1, 3, "fit"])
@pytest.mark.parametrize("form", FORMS)
def test_the_context_is_never_overrun(tiny_model: Path, read: list[list[int]], k: int | str, form: str) -> None:
    """Whatever the lengths of questions and answers; and `fit` leaves no room for another."""
    rng, longest, context = np.random.default_rng(0), 20, 300
    train = [
        Example("Do", "x" * int(rng.integers(1, 90)) + str(i), ("y" * int(rng.integers(1, 40)),)) for i in range(9)
    ]
    heard = Heard()
    learner = icl(tiny_model, k=k, prompt=form, max_length=context, progress=heard)
    learner.learn(Task("t", tuple(train)), NOTHING)
    questions = [Question("Do", "z" * int(size)) for size in rng.integers(1, 400, size=25)]
    learner.answer(questions, longest)
    assert max(map(len, read)) <= context - longest
    assert len(read) == len(questions)
    assert any("demonstrations" in note for note in heard.notes)
    assert any("prompts shortened to 280 tokens" in note for note in heard.notes)
    if k == "fit":
        assert context - min(map(len, read)) < longest + 140
    most = learner.log_likelihoods([Question("Do", "z" * 500)], ["y" * 200])[0]
    assert most.tokens == 201


def test_the_models_own_limit_counts_and_answers_keep_within_it(tiny_model: Path, read: list[list[int]]) -> None:
    heard = Heard()
    learner = icl(tiny_model, max_length=100_000, progress=heard, k="fit")
    assert learner.context == 512  # of the tiny model
    learner.learn(Task("t", tuple(Example("Do", "x" * 50 + str(i), ("y" * 30,)) for i in range(30))), NOTHING)
    assert heard.notes == ["task t: 4 of 30 examples are demonstrations; no more fit 492 tokens"]
    (answer,) = learner.answer([Question("Do", "z" * 400)], 400)
    assert len(read[0]) <= 256
    assert (answer.answer_tokens or 0) <= 256
    assert "answers have at most 256 tokens, since the context holds 512" in heard.notes


def test_replayed_examples_are_what_an_earlier_task_has(tiny_model: Path) -> None:
    learner = icl(tiny_model)
    learner.learn(FIRST, NOTHING)
    plan = replay(replace(FIRST, train=FIRST.train[1:5]))
    report = learner.learn(SECOND, plan)
    assert report.replayed == 4
    assert learner.demonstrations == {"first": (FIRST.train[1], FIRST.train[2]), "second": SECOND.train[:2]}
    # Joint training: a task that was never learned by itself.
    fresh = icl(tiny_model)
    fresh.learn(SECOND, replay(FIRST))
    assert fresh.demonstrations == {"first": FIRST.train[:2], "second": SECOND.train[:2]}


@pytest.mark.parametrize("selection", SELECTIONS)
def test_nothing_is_forgotten_while_demonstrations_do_not_change(tiny_model: Path, selection: str) -> None:
    learner = icl(tiny_model, selection=selection)
    learner.learn(FIRST, NOTHING)
    questions = [Question.of(example) for example in FIRST.train]
    answers = [example.output for example in FIRST.train]
    before = learner.answer(questions, 6), learner.log_likelihoods(questions, answers)
    learner.learn(SECOND, NOTHING)
    learner.learn(Task("third", SECOND.train[:1]), replay(FIRST))
    assert (learner.answer(questions, 6), learner.log_likelihoods(questions, answers)) == before


def test_the_order_of_tasks_changes_nothing(tiny_model: Path, tmp_path: Path) -> None:
    def taught(*tasks: Task) -> dict[str, tuple[Example, ...]]:
        learner = icl(tiny_model, selection="random")
        for task in tasks:
            learner.learn(task, NOTHING)
        return learner.demonstrations

    assert taught(FIRST, SECOND) == taught(SECOND, FIRST)


def test_a_state_is_read_byte_for_byte_and_another_models_is_refused(tiny_model: Path, tmp_path: Path) -> None:
    learner = icl(tiny_model, selection="random")
    learner.learn(FIRST, NOTHING)
    learner.learn(SECOND, replay(FIRST))
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    learner.save(first)
    other = icl(tiny_model)
    other.load(first)
    second.mkdir()
    other.save(second)
    assert {path.name for path in first.iterdir()} == {"demonstrations.jsonl", "instructions.jsonl", "learner.json"}
    assert {path.name: path.read_bytes() for path in first.iterdir()} == {
        path.name: path.read_bytes() for path in second.iterdir()
    }
    assert (other.demonstrations, other.stage) == (learner.demonstrations, 2)
    changed = shutil.copytree(tiny_model, tmp_path / "model")
    (changed / "config.json").write_text((changed / "config.json").read_text() + " ")
    with pytest.raises(ModelError, match="saved with another fingerprint"):
        icl(changed).load(first)
    with pytest.raises(ModelError, match=r"holds no saved learner: learner\.json is missing"):
        icl(tiny_model).load(tmp_path)


def test_a_state_of_another_learner_is_refused(tiny_model: Path, tmp_path: Path) -> None:
    from learners.taught import learner, saved

    tuned = learner(tiny_model, epochs=1)
    saved(tuned, tmp_path / "state")
    with pytest.raises(ModelError, match=r"another learner \(fine_tune, here icl\)"):
        icl(tiny_model).load(tmp_path / "state")


def test_a_task_with_one_example_and_none(tiny_model: Path, read: list[list[int]]) -> None:
    heard = Heard()
    learner = icl(tiny_model, progress=heard, selection="greedy")
    learner.learn(replace(FIRST, train=FIRST.train[:1]), NOTHING)
    learner.answer([ASKED], 4)
    assert read == [expected(learner, FIRST.train[:1], ASKED)]
    assert heard.notes[-1] == "task first: 1 of the 2 demonstrations that are wanted"
    with pytest.raises(DataError, match="has no train examples and nothing is replayed"):
        learner.learn(Task("empty", ()), NOTHING)


def test_answers_longer_than_the_context(tiny_model: Path, read: list[list[int]]) -> None:
    heard = Heard()
    learner = icl(tiny_model, max_length=120, progress=heard)
    learner.learn(Task("first", (Example("Say red", "x", ("y" * 200,)),)), NOTHING)
    assert "1 of 1 examples are longer than the context" in heard.notes[0]
    learner.answer([ASKED], 4)
    assert read == [expected(learner, (), ASKED)]
    with pytest.raises(DataError, match=r"raise training\.max_length"):
        learner.log_likelihoods([ASKED], ["y" * 200])
    with pytest.raises(DataError, match=r"raise training\.max_length"):
        learner.choose([replace(ASKED, options=("a", "y" * 200))])
    with pytest.raises(DataError, match="has no options"):
        learner.choose([replace(ASKED, options=())])


def test_images_are_refused(tiny_model: Path) -> None:
    learner = icl(tiny_model)
    with pytest.raises(DataError, match="has images, and this learner reads text alone"):
        learner.learn(Task("t", (Example("a", "", ("b",), images=(Image("a.png"),)),)), NOTHING)
    with pytest.raises(DataError, match="has images"):
        learner.answer([Question("a", images=(Image("a.png"),))])


def test_an_interrupted_evaluation_goes_on(tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    questions = [Question("Say red", "please " * k) for k in range(6)]
    learner = icl(tiny_model, generation_batch_size=2)
    learner.learn(FIRST, NOTHING)
    whole = learner.answer(questions, 5)
    learner.progress_dir = tmp_path
    learner.progress.advance = stop = _Stop()  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        learner.answer(questions, 5)
    assert stop.done > 0
    again = icl(tiny_model, generation_batch_size=2)
    again.learn(FIRST, NOTHING)
    again.progress_dir = tmp_path
    kept = sum(path.read_bytes().count(b'"part"') for path in tmp_path.rglob("*.jsonl"))
    assert kept > 0
    assert again.answer(questions, 5) == whole


class _Stop:
    """Interrupts after the first batch."""

    done = 0

    def __call__(self, done: int, **_: Any) -> None:
        self.done = done
        raise KeyboardInterrupt


def test_it_stops_writing_where_the_next_block_begins(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from inscl.learners.demonstrations.layout import Layout

    one = icl(tiny_model, prompt="plain")
    one.learn(FIRST, NOTHING)
    assert one.answer([ASKED], 9)[0].answer_tokens == 9
    monkeypatch.setattr(Layout, "over", lambda self, answer: len(answer) == 2)
    assert one.answer([ASKED], 9)[0].answer_tokens == 2


class Graders:
    """Stands for a chat model that likes answers after the demonstration with the word best."""

    def __init__(self, model: str, base_url: str | None, **options: Any) -> None:
        self.name = self.fingerprint = model

    def complete(self, messages: Any) -> Completion:
        answer = messages[0]["content"].rpartition("<answer>\n")[2].partition("\n</answer>")[0]
        return Completion("9" if answer == "shown best" else "2")

    def __enter__(self) -> Graders:
        return self

    def __exit__(self, *error: object) -> None: ...

    def give_up(self) -> None: ...


@pytest.mark.parametrize("selection", ["top_n", "greedy"])
def test_a_judge_chooses_demonstrations(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, selection: str
) -> None:
    monkeypatch.setattr(llm_settings, "chat_model", Graders)
    monkeypatch.setenv("INSCL_CACHE", str(tmp_path))

    def answer(self: Any, questions: Sequence[Question], *given: Any, **more: Any) -> list[Answer]:
        shown = ["best" in " ".join(turn.content for turn in question.turns[:-1]) for question in questions]
        return [Answer("shown best" if one else "x", None, 1, 1) for one in shown]

    monkeypatch.setattr(Asking, "answer", answer)
    rows = [Example("Say", f"{'best' if k > 5 else 'word'} {k}", (f"y{k}",)) for k in range(8)]
    for seed in range(3):
        # At most one of the two best ones is held out, so that one is always there to be chosen.
        one = icl(tiny_model, k=1, selection=selection, score="judge", judge="m", held_out=1, seed=seed)
        one.learn(Task("t", tuple(rows)), NOTHING)
        assert ["best" in chosen.input for chosen in one.demonstrations["t"]] == [True]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"score": "judge"}, "training.params.judge: is missing"),
        ({"judge": "m"}, "set that too"),
        ({"score": "judge", "judge": {"model": "m", "timeout": -1}}, r"training\.params\.judge\.timeout"),
    ],
)
def test_a_judge_that_can_not_be(tiny_model: Path, given: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        ICL(str(tiny_model), **given)


def test_results_without_a_judge_keep_their_identity_and_its_address_decides_none() -> None:
    plain = Chosen("learners", "training.learner", "icl", {}, "training.params")
    assert "judge" not in params_in_full(plain)

    def identity(judge: dict[str, Any]) -> Any:
        params = {"score": "judge", "selection": "top_n", "judge": judge}
        training = {"learner": "icl", "params": params}
        return deciding_settings(RunConfig.model_validate({"training": training}))["training"]["params"]["judge"]

    assert identity({"model": "m", "base_url": "http://x/v1"}) == {"model": "m"}


@pytest.mark.parametrize(("k", "rows", "told"), [(1, 4, True), (4, 1, True), (2, 4, False)])
def test_a_single_demonstration_keeps_its_answer_and_that_is_told(
    tiny_model: Path, k: int, rows: int, told: bool
) -> None:
    heard = Heard()
    icl(tiny_model, k=k, answers="shuffled", progress=heard).learn(Task("t", FIRST.train[:rows]), NOTHING)
    assert told == any("can't be shuffled where one demonstration is shown" in note for note in heard.notes)
