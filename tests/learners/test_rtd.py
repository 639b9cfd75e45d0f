"""Reference Trustable Decoding on a tiny model, against a reference written plainly: one forward pass at a time."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from asking import NOTHING
from inscl.config.components import Chosen, params_in_full
from inscl.contract import Example, Question, Task
from inscl.contract.erased import Erased
from inscl.contract.example import Image
from inscl.contract.plan import Pick, ReplayPlan
from inscl.errors import ConfigError, DataError, ModelError
from inscl.learners import RTD
from inscl.learners.datastore.rotations import rotations
from inscl.models.prompts import FORMS
from inscl.testing import check_learner
from learners.taught import FIRST, SECOND, Heard, learner, saved

ASKED = Question("Say red", "please 9", options=("red0", "red1", "r", "blue0"))
QUESTIONS = [ASKED, Question("Say blue", "please please 2"), Question("Say blue", "x"), Question("Hum")]


def rtd(model: Path, **settings: Any) -> RTD:
    return RTD(str(model), **{"precision": "fp32", "k": 3, **settings})


def taught(model: Path, *tasks: Task, **settings: Any) -> RTD:
    one = rtd(model, **settings)
    for task in tasks:
        one.learn(task, NOTHING)
    return one


def state(one: RTD, folder: Path) -> dict[str, bytes]:
    folder.mkdir()
    one.save(folder)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


class Plain:
    """The method as the paper's code has it, sorted by hand, one question at a time, in float64."""

    def __init__(self, model: Path, k: int, heads: int, temperature: float, mixture: float) -> None:
        from transformers import AutoModelForCausalLM, AutoTokenizer

        self.model = AutoModelForCausalLM.from_pretrained(model).eval()
        self.tokenizer = AutoTokenizer.from_pretrained(model)
        self.k, self.heads, self.temperature, self.mixture = k, heads, temperature, mixture
        self.entries: list[tuple[NDArray[np.float64], int, str]] = []

    def prompt(self, question: Question) -> list[int]:
        rows = [{"role": "user", "content": question.prompt}]
        return list(self.tokenizer.apply_chat_template(rows, add_generation_prompt=True, return_dict=False))

    def ids(self, answer: str) -> list[int]:
        return [*self.tokenizer(answer, add_special_tokens=False).input_ids, self.tokenizer.eos_token_id]

    def forward(self, tokens: Sequence[int]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The last position's state and the logarithms of the model's probabilities there."""
        import torch

        with torch.no_grad():
            hidden = self.model.model(torch.tensor([list(tokens)])).last_hidden_state[0, -1]
            logits = self.model.lm_head(hidden).double().log_softmax(-1)
        return hidden.double().numpy(), logits.numpy()

    def learn(self, task: Task) -> None:
        for example in task.train:
            tokens = self.prompt(Question.of(example))
            for place, token in enumerate(self.ids(example.output)):
                answer = example.output if place == 0 else ""
                self.entries.append((self.forward(tokens)[0], token, answer))
                tokens.append(token)

    def votes(self, state: NDArray[np.float64], entries: Sequence[tuple[NDArray[np.float64], Any]]) -> dict[Any, float]:
        found: dict[Any, float] = {}
        width = len(state) // self.heads
        for head in range(self.heads):
            part = slice(head * width, (head + 1) * width)
            near = sorted((float(((key[part] - state[part]) ** 2).sum()), value) for key, value in entries)[: self.k]
            shares = [np.exp(-self.heads * distance / self.temperature) for distance, _ in near]
            for share, (_, value) in zip(shares, near, strict=True):
                found[value] = found.get(value, 0.0) + share / sum(shares) / self.heads
        return found

    def following(self, tokens: Sequence[int]) -> NDArray[np.float64]:
        """Probabilities of the next token under the mixture."""
        state, logits = self.forward(tokens)
        mixed = (1 - self.mixture) * np.exp(logits)
        for token, share in self.votes(state, [(key, token) for key, token, _ in self.entries]).items():
            mixed[token] += self.mixture * share
        return mixed

    def answer(self, question: Question, longest: int) -> str:
        tokens, said = self.prompt(question), list[int]()
        for _ in range(longest):
            best = int(self.following([*tokens, *said]).argmax())
            if best == self.tokenizer.eos_token_id:
                break
            said.append(best)
        return str(self.tokenizer.decode(said, skip_special_tokens=True)).strip()

    def likelihood(self, question: Question, answer: str) -> tuple[float, int]:
        tokens, nats, correct = self.prompt(question), 0.0, 0
        for token in self.ids(answer):
            mixed = self.following(tokens)
            nats, correct = nats + float(np.log(mixed[token])), correct + (int(mixed.argmax()) == token)
            tokens.append(token)
        return nats, correct

    def choose(self, question: Question) -> list[float]:
        state, _ = self.forward(self.prompt(question))
        votes = self.votes(state, [(key, answer) for key, _, answer in self.entries if answer])
        sums = []
        for option in question.options:
            tokens, nats = self.prompt(question), 0.0
            for token in self.ids(option):
                nats += self.forward(tokens)[1][token]
                tokens.append(token)
            sums.append(np.exp(nats))
        alone = np.array(sums) / sum(sums)
        mixed = (1 - self.mixture) * alone + self.mixture * np.array([votes.get(one, 0.0) for one in question.options])
        return list(mixed / mixed.sum())


@pytest.mark.parametrize(
    ("k", "heads", "temperature", "mixture"),
    [(3, 1, 50.0, 0.6), (5, 4, 20.0, 0.9), (1, 1, 1.0, 0.999), (1000, 2, 400.0, 0.3), (3, 1, 50.0, 0.0)],
)
def test_it_is_the_plain_search_and_mixture(
    tiny_model: Path, k: int, heads: int, temperature: float, mixture: float
) -> None:
    plain = Plain(tiny_model, k, heads, temperature, mixture)
    one = rtd(tiny_model, k=k, heads=heads, temperature=temperature, mixture=mixture)
    for task in (FIRST, SECOND):
        plain.learn(task)
        one.learn(task, NOTHING)
    assert [answer.text for answer in one.answer(QUESTIONS, 6)] == [plain.answer(one, 6) for one in QUESTIONS]
    pairs = [(question, answer) for question in QUESTIONS[:2] for answer in ("red1", "blue0", "", "zebra")]
    found = one.log_likelihoods([question for question, _ in pairs], [answer for _, answer in pairs])
    for likelihood, (question, answer) in zip(found, pairs, strict=True):
        nats, correct = plain.likelihood(question, answer)
        assert (likelihood.nats, likelihood.correct) == (pytest.approx(nats, rel=1e-3), correct)
    (chosen,) = one.choose([ASKED], normalise=False)
    assert np.exp(chosen) == pytest.approx(plain.choose(ASKED), rel=1e-3, abs=1e-6)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("settings", [{}, {"heads": 5, "temperature": 30}, {"mixture": 0.9, "k": 1}], ids=str)
def test_it_keeps_the_contract(tiny_model: Path, form: str, settings: dict[str, Any]) -> None:
    check_learner(lambda: rtd(tiny_model, prompt=form, **settings))


def test_a_learned_question_gets_its_answer(tiny_model: Path) -> None:
    one = taught(tiny_model, FIRST, SECOND, k=1, mixture=0.999)
    examples = [*FIRST.train, *SECOND.train]
    assert [answer.text for answer in one.answer([Question.of(example) for example in examples], 8)] == [
        example.output for example in examples
    ]


def test_nothing_is_trained_and_nothing_learned_is_the_model_as_it_came(tiny_model: Path) -> None:
    one, base = rtd(tiny_model), learner(tiny_model)
    report = one.learn(FIRST, NOTHING)
    assert (report.steps, report.tokens, report.answer_tokens, report.examples) == (0, 0, 0, 6)
    untaught = rtd(tiny_model)
    assert untaught.answer(QUESTIONS, 6) == base.answer(QUESTIONS, 6)
    assert untaught.choose([ASKED]) == base.choose([ASKED])
    assert untaught.log_likelihoods([ASKED], ["red0"]) == base.log_likelihoods([ASKED], ["red0"])


def test_the_model_is_left_as_it_was(tiny_model: Path) -> None:
    """Whoever shares the weights reads them without the votes, even if an answer was interrupted."""
    one, base = taught(tiny_model, FIRST, k=1, mixture=0.999), rtd(tiny_model)
    before = base.answer(QUESTIONS, 6)
    assert one.answer(QUESTIONS, 6) != before
    one.progress.advance = _interrupt  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        one.answer(QUESTIONS, 6)
    assert base.answer(QUESTIONS, 6) == before
    assert one.model.model is base.model.model


def test_the_order_of_tasks_changes_nothing(tiny_model: Path, tmp_path: Path) -> None:
    third = Task("third", (Example("Say red", "please 0", ("green",), "third"), *SECOND.train[:1]))
    one, other = taught(tiny_model, FIRST, SECOND, third), taught(tiny_model, third, FIRST, SECOND)
    assert state(one, tmp_path / "one") == state(other, tmp_path / "other")
    assert one.answer(QUESTIONS, 6) == other.answer(QUESTIONS, 6)
    assert one.choose([ASKED]) == other.choose([ASKED])
    pairs = QUESTIONS, ["red0", "blue1", "x", ""]
    assert one.log_likelihoods(*pairs) == other.log_likelihoods(*pairs)


def test_what_is_learned_again_changes_nothing(tiny_model: Path) -> None:
    """And so forgetting is exactly 0 while nothing new is learned."""
    one = taught(tiny_model, FIRST, SECOND)
    before = one.answer(QUESTIONS, 6), one.choose([ASKED]), one.log_likelihoods([ASKED], ["red0"])
    one.learn(SECOND, NOTHING)
    one.learn(SECOND, ReplayPlan("second", "made", tuple(Pick(example, "first", 6) for example in FIRST.train)))
    assert (one.answer(QUESTIONS, 6), one.choose([ASKED]), one.log_likelihoods([ASKED], ["red0"])) == before


def test_a_task_is_forgotten_as_if_it_had_never_been_learned(tiny_model: Path, tmp_path: Path) -> None:
    state(taught(tiny_model, FIRST, SECOND), tmp_path / "both")
    RTD.forget(tmp_path / "both", Erased(tasks=frozenset({"second"})))
    never = state(taught(tiny_model, FIRST), tmp_path / "never")
    name = "datastore.safetensors"
    assert (tmp_path / "both" / name).read_bytes() == never[name]
    one = rtd(tiny_model)
    one.load(tmp_path / "both")
    assert one.answer(QUESTIONS, 6) == taught(tiny_model, FIRST).answer(QUESTIONS, 6)


def test_an_example_is_forgotten_and_the_others_stay(tiny_model: Path, tmp_path: Path) -> None:
    one = taught(tiny_model, FIRST, SECOND)
    state(one, tmp_path / "state")
    gone = FIRST.train[2]
    RTD.forget(tmp_path / "state", Erased(ids=frozenset({gone.id})))
    other = rtd(tiny_model)
    other.load(tmp_path / "state")
    kept = [reference for reference in one.store.references if reference.id != gone.id]
    assert len(kept) == 9
    for mine, yours in zip(other.store.references, kept, strict=True):
        assert (mine.task, mine.id, mine.answer) == (yours.task, yours.id, yours.answer)
        assert np.array_equal(mine.keys, yours.keys)
    # The mixture weights are those without it, too.
    without = taught(tiny_model, replace(FIRST, train=tuple(one for one in FIRST.train if one != gone)), SECOND)
    assert other.mixtures == without.mixtures
    assert gone.id.encode() not in b"".join(path.read_bytes() for path in (tmp_path / "state").iterdir())


LETTERED = [
    Example("Choose.", f"{text}?\nA. red\nB. blue\nC. green", (label,), "listed", options=("A", "B", "C"))
    for text, label in (("sky", "B"), ("grass", "C"), ("blood", "A"), ("sea", "B"))
]
LISTED = Task("listed", (*LETTERED, Example("Say", "x", ("y",), "listed", options=("y", "n"))))


def test_cyclic_keeps_each_choice_in_every_order(tiny_model: Path, tmp_path: Path) -> None:
    heard = Heard()
    one = rtd(tiny_model, cyclic=True, progress=heard)
    one.learn(LISTED, NOTHING)
    assert len(one.store.references) == 4 * 3 + 1
    (note,) = [note for note in heard.notes if "one order" in note]
    assert note.startswith("1 of 5 examples with options")
    # Each rotation is kept as if that were what was taught, under the id of the example it is of.
    for example in LETTERED:
        for turn, turned in enumerate(rotations(example), start=1):
            (kept,) = [ref for ref in one.store.references if (ref.id, ref.turn) == (example.id, turn)]
            (alone,) = taught(tiny_model, Task("listed", (turned,))).store.references
            assert (kept.answer, alone.answer) == (turned.output, turned.output)
            np.testing.assert_allclose(kept.keys, alone.keys, rtol=1e-4, atol=1e-5)
    # The three labels are right equally often, whatever the examples' own are.
    answers = [ref.answer for ref in one.store.references if ref.answer != "y"]
    assert {label: answers.count(label) for label in "ABC"} == {"A": 4, "B": 4, "C": 4}
    before = state(one, tmp_path / "one")
    again = rtd(tiny_model, cyclic=True)
    again.load(tmp_path / "one")
    assert state(again, tmp_path / "again") == before
    RTD.forget(tmp_path / "one", Erased(ids=frozenset([LISTED.train[0].id])))
    again.load(tmp_path / "one")
    assert len(again.store.references) == 3 * 3 + 1
    assert LISTED.train[0].id not in {ref.id for ref in again.store.references}


def test_without_cyclic_nothing_is_turned_and_results_keep_their_identity(tiny_model: Path) -> None:
    assert {ref.turn for ref in taught(tiny_model, LISTED).store.references} == {0}
    plain = Chosen("learners", "training.learner", "rtd", {}, "training.params")
    assert "cyclic" not in params_in_full(plain)
    assert params_in_full(replace(plain, params={"cyclic": True}))["cyclic"] is True
    with pytest.raises(ConfigError, match="true or false was expected"):
        rtd(tiny_model, cyclic="yes")


def test_a_state_is_read_byte_for_byte(tiny_model: Path, tmp_path: Path) -> None:
    one = taught(tiny_model, FIRST, SECOND)
    first = state(one, tmp_path / "first")
    assert set(first) == {"datastore.safetensors", "learner.json"}
    other = rtd(tiny_model)
    other.load(tmp_path / "first")
    assert state(other, tmp_path / "second") == first
    assert (other.stage, other.answer(QUESTIONS, 6)) == (2, one.answer(QUESTIONS, 6))


def test_states_of_others_are_refused(tiny_model: Path, tmp_path: Path) -> None:
    state(taught(tiny_model, FIRST), tmp_path / "state")
    changed = shutil.copytree(tiny_model, tmp_path / "model")
    (changed / "config.json").write_text((changed / "config.json").read_text() + " ")
    with pytest.raises(ModelError, match="saved with another fingerprint"):
        rtd(changed).load(tmp_path / "state")
    with pytest.raises(ModelError, match=r"saved with another prompt \(chat, here plain\)"):
        rtd(tiny_model, prompt="plain").load(tmp_path / "state")
    saved(learner(tiny_model), tmp_path / "tuned")
    with pytest.raises(ModelError, match=r"another learner \(fine_tune, here rtd\)"):
        rtd(tiny_model).load(tmp_path / "tuned")
    with pytest.raises(ModelError, match=r"holds no saved learner: learner\.json is missing"):
        rtd(tiny_model).load(tmp_path)


def test_a_task_with_one_example_and_none(tiny_model: Path) -> None:
    one = taught(tiny_model, replace(FIRST, train=FIRST.train[:1]))
    assert one.mixtures == {"first": 0.5}
    assert one.answer([Question.of(FIRST.train[0])], 8)[0].text == FIRST.train[0].output
    with pytest.raises(DataError, match="has no train examples and nothing is replayed"):
        one.learn(Task("empty", ()), NOTHING)


def test_choices_among_two_hundred_and_among_beginnings_of_each_other(tiny_model: Path) -> None:
    words = tuple("a" * (1 + i % 14) + str(i) for i in range(200))
    train = tuple(Example("Which?", f"number {i}", (words[i],), "many") for i in range(0, 200, 9))
    one = taught(tiny_model, Task("many", train), k=1, mixture=0.999)
    questions = [Question("Which?", example.input, options=words) for example in train]
    chosen = one.choose(questions)
    assert [words[int(np.argmax(row))] for row in chosen] == [example.output for example in train]
    assert np.exp(chosen).sum(axis=1) == pytest.approx(np.ones(len(train)))
    nested = ("yes", "yes, it is", "yes, it is so")
    task = Task("nested", tuple(Example("So?", f"{k}", (nested[k % 3],), "nested") for k in range(6)))
    one = taught(tiny_model, task, k=1, mixture=0.999)
    for example in task.train:
        question = Question.of(example, nested)
        assert nested[int(np.argmax(one.choose([question])))] == example.output
        assert one.answer([question], 20)[0].text == example.output


def test_options_that_nobody_answered_leave_the_models_own_choice(tiny_model: Path) -> None:
    question = replace(ASKED, options=("green", "grey"))
    found = taught(tiny_model, FIRST).choose([question])
    assert found[0] == pytest.approx(rtd(tiny_model).choose([question])[0])


def test_what_cannot_be_asked_is_said(tiny_model: Path) -> None:
    heard = Heard()
    one = taught(tiny_model, FIRST, max_length=120, progress=heard)
    with pytest.raises(DataError, match="has no options"):
        one.choose([replace(ASKED, options=())])
    with pytest.raises(DataError, match=r"raise training\.max_length"):
        one.choose([replace(ASKED, options=("a", "y" * 200))])
    with pytest.raises(DataError, match=r"raise training\.max_length"):
        one.learn(Task("long", (Example("a", "", ("y" * 200,)),)), NOTHING)
    with pytest.raises(DataError, match="has images, and this learner reads text alone"):
        one.learn(Task("seen", (Example("a", "", ("b",), images=(Image("a.png"),)),)), NOTHING)
    assert (one.stage, len(one.store.references)) == (1, 6)
    one.learn(Task("cut", (Example("Do", "x" * 300, ("y",)),)), NOTHING)
    assert heard.notes[-1] == "1 of 1 prompts shortened to fit max_length 120"
    assert one.choose([]) == []
    (answer,) = one.answer([Question("Do", "z" * 400)], 400)
    assert (answer.prompt_tokens or 0) + (answer.answer_tokens or 0) <= 120
    assert "answers have at most 60 tokens, since the context holds 120" in heard.notes


def test_settings_that_cannot_be_are_said_together(tiny_model: Path) -> None:
    with pytest.raises(ConfigError) as raised:
        rtd(tiny_model, k=0, heads=True, temperature=0, mixture=1, held_out=0, max_length=0, prompt="chatt")
    said = str(raised.value)
    for key in ("k", "heads", "temperature", "mixture", "held_out"):
        assert f"training.params.{key}" in said
    assert "training.max_length" in said
    assert "did you mean" in said
    with pytest.raises(ConfigError, match="the model's states have 32 dimensions only"):
        taught(tiny_model, FIRST, heads=33)


def test_an_interrupted_evaluation_goes_on(tiny_model: Path, tmp_path: Path) -> None:
    questions = [Question("Say red", "please " * k) for k in range(6)]
    whole = taught(tiny_model, FIRST, generation_batch_size=2).answer(questions, 5)
    stopped = taught(tiny_model, FIRST, generation_batch_size=2)
    stopped.progress_dir = tmp_path
    stopped.progress.advance = _interrupt  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        stopped.answer(questions, 5)
    (kept,) = tmp_path.rglob("*.jsonl")
    assert kept.read_bytes().count(b'"part"') == 1
    again = taught(tiny_model, FIRST, generation_batch_size=2)
    again.progress_dir = tmp_path
    assert again.answer(questions, 5) == whole
    # What another datastore answered isn't used.
    other = taught(tiny_model, FIRST, SECOND, generation_batch_size=2)
    other.progress_dir = tmp_path
    assert other.answer(questions, 5) == taught(tiny_model, FIRST, SECOND, generation_batch_size=2).answer(questions, 5)


def _interrupt(done: int, **_: Any) -> None:
    raise KeyboardInterrupt


def test_space_around_an_answer_takes_no_vote_away(tiny_model: Path) -> None:
    words = ("yes", "no")
    padded = Task("so", tuple(Example("So?", f"{k}", (f" {words[k % 2]}\n",), options=words) for k in range(6)))
    one = taught(tiny_model, padded, k=1, mixture=0.999)
    for example in padded.train:
        (chosen,) = one.choose([Question.of(example)])
        assert words[int(np.argmax(chosen))] == example.output.strip()
    turned = Example("Which?", "yes or no", (" no",), options=words)
    assert [one.input for one in rotations(turned)] == ["no or yes"]
