from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import inscl
from asking import NOTHING, replaying
from inscl import Workspace
from inscl.bench.grid.grid import cells_of, load_grid
from inscl.contract import Answer, Question
from inscl.contract.traits import LearnerTraits, traits_of
from inscl.errors import ConfigError
from inscl.learners import FineTune, OverPrompt
from inscl.learners.cpt import CPT
from inscl.learners.icl import ICL
from inscl.learners.rella import ReLLa
from inscl.learners.rtd import RTD
from inscl.models.language_model import LanguageModel
from inscl.storage.files.atomic import read_jsonl
from inscl.testing import check_learner
from learners.taught import FIRST, SECOND, Heard, learner, saved
from plugin_package.inscl_plugin_example.parrot import Parrot
from streams import toy_config, toy_stream


class Clerk(Parrot):
    """Answers one input with its capitals; several as asked, or as `reply` says. A token is a word."""

    traits = LearnerTraits(counts_tokens=True)

    def __init__(self, reply: Callable[[list[str]], str]) -> None:
        super().__init__()
        self.reply, self.asked = reply, []

    def answer(self, questions: Sequence[Question], max_new_tokens: int = 64) -> list[Answer]:
        self.asked += [(question, max_new_tokens) for question in questions]
        return [self._answer(question) for question in questions]

    def _answer(self, question: Question) -> Answer:
        inputs = re.findall(r"^Input \d+: (.*)$", question.input, re.MULTILINE)
        text = self.reply([one.upper() for one in inputs]) if inputs else question.input.upper()
        return Answer(text, None, len(question.prompt.split()), len(text.split()))

    def count_tokens(self, example) -> int:
        return len(example.prompt.split())


def as_json(answers: list[str]) -> str:
    return json.dumps({str(k): text for k, text in enumerate(answers, start=1)})


def as_lines(answers: list[str]) -> str:
    return "\n".join(f"{k}. {text}" for k, text in enumerate(answers, start=1))


QUESTIONS = [Question("Shout", f"word{k}") for k in range(13)]


@pytest.mark.parametrize(("answer_format", "reply"), [("json", as_json), ("plain", as_lines)])
@pytest.mark.parametrize("groups", ["same", "mixed"])
def test_answers_from_shared_prompts_come_back_in_order(answer_format: str, reply: Any, groups: str) -> None:
    clerk, heard = Clerk(reply), Heard()
    wrapped = OverPrompt(clerk, n=4, answer_format=answer_format, groups=groups, progress=heard)
    answers = wrapped.answer(QUESTIONS, 3)
    assert [answer.text for answer in answers] == [f"WORD{k}" for k in range(13)]
    assert len(clerk.asked) == 4  # three prompts of four questions, and the last question alone
    assert heard.notes == []
    assert wrapped.answer([], 3) == []


def test_the_shares_of_the_answers_are_what_was_read_and_written() -> None:
    clerk = Clerk(as_json)
    answers = OverPrompt(clerk, n=4).answer(QUESTIONS)
    assert sum(answer.prompt_tokens for answer in answers) == sum(len(one.prompt.split()) for one, _ in clerk.asked)
    written = sum(len(clerk._answer(one).text.split()) for one, _ in clerk.asked)
    assert sum(answer.answer_tokens for answer in answers) == written


@pytest.mark.parametrize("answer_format", ["json", "plain"])
@pytest.mark.parametrize("reply", [lambda answers: "", lambda answers: "I can't", lambda answers: '{"1": {'])
def test_a_learner_that_replies_badly_is_asked_everything_singly_once(answer_format: str, reply: Any) -> None:
    clerk, heard, alone = Clerk(reply), Heard(), Clerk(reply)
    answers = OverPrompt(clerk, n=4, answer_format=answer_format, progress=heard).answer(QUESTIONS, 3)
    expected = alone.answer(QUESTIONS, 3)
    assert [answer.text for answer in answers] == [answer.text for answer in expected]
    singly = [(question, longest) for question, longest in clerk.asked if "Input 1:" not in question.input]
    assert singly == [(question, 3) for question in QUESTIONS]
    assert heard.notes == ["12 of 12 answers from shared prompts were missing or malformed and were asked again singly"]
    # The prompts that were in vain are counted too.
    assert sum(answer.prompt_tokens for answer in answers) == sum(len(one.prompt.split()) for one, _ in clerk.asked)


def test_only_what_is_missing_is_asked_again() -> None:
    clerk, heard = Clerk(lambda answers: as_json(answers[:-1])), Heard()
    answers = OverPrompt(clerk, n=4, progress=heard).answer(QUESTIONS, 3)
    assert [answer.text for answer in answers] == [f"WORD{k}" for k in range(13)]
    assert len(clerk.asked) == 3 + 3 + 1
    assert heard.notes[0].startswith("3 of 12 answers")


class Wordy(Clerk):
    """Writes as many words as it may."""

    most = 10**6

    def answer(self, questions: Sequence[Question], max_new_tokens: int = 64) -> list[Answer]:
        longest = min(max_new_tokens, self.most)
        found = super().answer(questions, max_new_tokens)
        texts = [" ".join(one.text.split(" ")[:longest]) for one in found]
        return [
            replace(one, text=text, answer_tokens=len(text.split())) for one, text in zip(found, texts, strict=True)
        ]


@pytest.mark.parametrize("most", [10**6, 200])
def test_an_answer_that_the_end_of_a_plain_reply_may_have_cut_is_asked_again(
    monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr(Wordy, "most", most)
    clerk, heard = Wordy(lambda answers: as_lines([*answers[:-1], "AH " * 1000])), Heard()
    wrapped = OverPrompt(clerk, n=4, answer_format="plain", max_length=400, progress=heard)
    assert [answer.text for answer in wrapped.answer(QUESTIONS[:4], 64)] == [f"WORD{k}" for k in range(4)]
    assert heard.notes[0].startswith("1 of 4 answers")


class Uncounted(Clerk):
    traits = LearnerTraits()

    def _answer(self, question: Question) -> Answer:
        return Answer(super()._answer(question).text)


def test_a_learner_that_counts_no_tokens_leaves_them_uncounted_and_groups_whole() -> None:
    clerk = Uncounted(lambda answers: as_json(answers[1:]))
    answers = OverPrompt(clerk, n=4, max_length=1).answer(QUESTIONS)
    assert {(answer.prompt_tokens, answer.answer_tokens) for answer in answers} == {(None, None)}
    assert len([one for one, _ in clerk.asked if "Input 4:" in one.input]) == 3


@pytest.mark.parametrize("max_length", [40, 60, 90, 130, 400])
def test_no_shared_prompt_overruns_the_context(max_length: int) -> None:
    clerk = Clerk(as_json)
    answers = OverPrompt(clerk, n=8, max_length=max_length).answer(QUESTIONS, 3)
    assert [answer.text for answer in answers] == [f"WORD{k}" for k in range(13)]
    for question, longest in clerk.asked:
        assert longest == 3 or len(question.prompt.split()) + longest <= max_length
    assert (len(clerk.asked) < 13) == (max_length >= 90)


class Roomy(Clerk):
    """Knows what its context holds, which is less than `max_length`."""

    traits = LearnerTraits(counts_tokens=True, measures_room=True)
    context = 130

    def room_for(self, question: Question) -> int:
        return self.context - len(question.prompt.split())


@pytest.mark.parametrize(("context", "shared"), [(130, True), (90, True), (40, False)])
def test_no_shared_prompt_overruns_what_the_other_learner_measures(
    monkeypatch: pytest.MonkeyPatch, context: int, shared: bool
) -> None:
    monkeypatch.setattr(Roomy, "context", context)
    clerk, heard = Roomy(as_json), Heard()
    answers = OverPrompt(clerk, n=8, max_length=10**6, progress=heard).answer(QUESTIONS, 3)
    assert [answer.text for answer in answers] == [f"WORD{k}" for k in range(13)]
    for question, longest in clerk.asked:
        assert longest == 3 or len(question.prompt.split()) + longest <= context
    assert (len(clerk.asked) < 13) is shared
    said = "13 of 13 questions were asked singly, since no shared prompt had room for them and their answers"
    assert heard.notes == ([] if shared else [said])


class Brief(Roomy):
    """Writes no longer than half of its context, as learners do that keep the other half for the prompt."""

    def _answer(self, question: Question) -> Answer:
        said = super()._answer(question)
        words = re.split(r"(?<=\s)", said.text)[: self.context // 2]
        return replace(said, text="".join(words), answer_tokens=len(words))


def test_a_reply_that_a_context_shorter_than_max_length_cut_is_asked_again() -> None:
    clerk, heard = Brief(lambda answers: as_lines([*answers[:-1], "AH " * 1000])), Heard()
    wrapped = OverPrompt(clerk, n=4, answer_format="plain", max_length=10**6, progress=heard)
    assert [answer.text for answer in wrapped.answer(QUESTIONS[:4], 10)] == [f"WORD{k}" for k in range(4)]
    assert heard.notes[0].startswith("1 of 4 answers")


def of_kind(kind: str, model: Path, max_length: int, heard: Heard) -> Any:
    """A learner that shows something before a question, or nothing."""
    given: dict[str, Any] = {"max_length": max_length, "prompt": "plain", "precision": "fp32", "progress": heard}
    if kind == "fine_tune":
        return FineTune(str(model), **given, epochs=1)
    if kind == "cpt":
        return CPT(str(model), **given, k=2, embedder="ngrams", epochs=1)
    if kind == "rtd":
        return RTD(str(model), **given)
    return {"icl": ICL, "rella": ReLLa}[kind](str(model), **given, k=8, embedder="ngrams")


@pytest.mark.parametrize("kind", ["fine_tune", "icl", "rella", "rtd", "cpt"])
@pytest.mark.parametrize("max_length", [160, 500])
def test_the_context_of_a_real_learner_is_measured(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch, kind: str, max_length: int
) -> None:
    heard = Heard()
    other = of_kind(kind, tiny_model, max_length, heard)
    other.learn(FIRST, NOTHING)
    seen: list[tuple[list[int], int]] = []
    generate = LanguageModel.generate

    def watched(self: Any, prompts: Any, *, max_new_tokens: int, **more: Any) -> Any:
        seen.append((list(map(len, prompts)), max_new_tokens))
        return generate(self, prompts, max_new_tokens=max_new_tokens, **more)

    monkeypatch.setattr(LanguageModel, "generate", watched)
    heard.notes.clear()
    questions = [Question("Say red", f"{k} {'more ' * (k % 3)}", task="first") for k in range(9)]
    assert len(OverPrompt(other, n=4, max_length=10**6, progress=heard).answer(questions, 3)) == 9
    assert seen
    assert all(size + longest <= max_length for sizes, longest in seen for size in sizes)
    assert not any("shortened" in note or "at most" in note for note in heard.notes)
    # With room enough prompts are shared.
    assert any(longest > 3 for _, longest in seen) or max_length < 500


def test_n_1_is_the_other_learner_exactly(tiny_model: Path, tmp_path: Path) -> None:
    alone, wrapped = learner(tiny_model), OverPrompt(learner(tiny_model), n=1)
    assert wrapped.traits == LearnerTraits(**{**vars(traits_of(alone, LearnerTraits)), "wraps": True})
    for task, plan in ((FIRST, NOTHING), (SECOND, replaying(FIRST.train[:2]))):
        assert wrapped.learn(task, plan).loss == alone.learn(task, plan).loss
    questions = [Question.of(example) for example in (*FIRST.train, *SECOND.train)]
    assert wrapped.answer(questions, 8) == alone.answer(questions, 8)
    likely = [one.log_likelihoods(questions[:2], ["red0", "red1"]) for one in (wrapped, alone)]
    assert likely[0] == likely[1]
    assert [row["loss"] for row in wrapped.log] == [row["loss"] for row in alone.log] != []
    assert saved(wrapped, tmp_path / "wrapped") == saved(alone, tmp_path / "alone")


@pytest.mark.parametrize("settings", [{}, {"n": 2, "answer_format": "plain", "groups": "mixed"}])
def test_it_keeps_the_contract_of_learners(tiny_model: Path, settings: Mapping[str, Any]) -> None:
    check_learner(lambda: OverPrompt(learner(tiny_model, epochs=1), **settings))


def test_an_interrupted_answer_goes_on_to_the_same_answers(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    questions = [Question.of(example) for example in FIRST.train] + [Question("Say red")]
    one = OverPrompt(learner(tiny_model), n=4, max_length=4000)
    expected = one.answer(questions, 4)
    answer, calls = one.learner.answer, []

    def cut(asked: Sequence[Question], longest: int) -> list[Answer]:
        calls.append(len(asked))
        if len(calls) == 2:
            raise KeyboardInterrupt
        return answer(asked, longest)

    one.progress_dir = tmp_path
    monkeypatch.setattr(one.learner, "answer", cut)
    with pytest.raises(KeyboardInterrupt):
        one.answer(questions, 4)
    kept = {path: path.read_bytes() for path in (tmp_path / "answers").iterdir()}
    assert len(kept) == 1
    monkeypatch.undo()
    assert one.answer(questions, 4) == expected
    assert {path: path.read_bytes() for path in kept} == kept  # not asked again


def test_all_mistakes_are_told_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        OverPrompt(n=0, answer_format="jsn", groups="alike")
    assert [problem.key for problem in caught.value.problems] == ["answer_format", "groups", "n"]
    assert "did you mean 'json'" in str(caught.value)
    with pytest.raises(ConfigError, match="n: a whole number of 1 or more was expected, got True"):
        OverPrompt(n=True)
    with pytest.raises(ConfigError, match="expected a name or"):
        OverPrompt({"nme": "fine_tune"})


@pytest.fixture
def config(tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setenv("INSCL_CACHE", str(tmp_path / "cache"))
    return toy_config(toy_stream(tmp_path / "stream"), tiny_model, tmp_path / "run", strategy="random")


def states(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.glob("stages/*/model/*")}


def test_a_run_learns_what_the_other_learner_learns_and_asks_in_shared_prompts(
    config: dict[str, Any], tmp_path: Path
) -> None:
    heard: list[str] = []

    class Noting(inscl.contract.seams.NullProgress):
        def note(self, message: str) -> None:
            heard.append(message)

    config["stream"] = {"path": str(tmp_path / "stream" / "upper.jsonl")}
    inscl.run(config)
    both = {"learner": {"name": "fine_tune", "params": {"max_length": 512}}, "n": 3}
    asked = {**config["training"], "learner": "overprompt", "params": both}
    shared = inscl.run({**config, "training": asked, "output_dir": str(tmp_path / "shared")}, progress=Noting())
    assert states(shared.path) == states(tmp_path / "run") != {}
    rows = [row for file in shared.path.glob("stages/01-*/predictions/*") for row in read_jsonl(file)]
    alone = [row for file in (tmp_path / "run").glob("stages/01-*/predictions/*") for row in read_jsonl(file)]
    # A random model never writes the format, so that everything is asked again.
    assert any("asked again singly" in message for message in heard)
    assert sorted(row["prediction"] for row in rows) == sorted(row["prediction"] for row in alone)


def test_a_typo_in_the_other_learners_parameters_leaves_nothing(config: dict[str, Any], tmp_path: Path) -> None:
    for params, key in (
        ({"learner": {"name": "fine_tune", "params": {"epoch": 3}}}, "training.params.learner.params.epoch"),
        ({"learner": {"name": "fine_tun"}}, "training.params.learner"),
        ({"learner": {"nme": "fine_tune"}}, "training.params.learner"),
        ({"m": 3}, "training.params.m"),
        ({"n": 0}, "n"),
    ):
        with pytest.raises(ConfigError) as caught:
            inscl.run({**config, "training": {**config["training"], "learner": "overprompt", "params": params}})
        assert key in [problem.key for problem in caught.value.problems]
        assert not (tmp_path / "run").exists()


def test_it_is_a_row_of_a_grid(config: dict[str, Any], tmp_path: Path) -> None:
    rows = [
        {"name": "together", "strategy": "none", "learner": {"name": "overprompt", "params": {"n": 5}}},
        {"name": "random", "learner": {"name": "overprompt", "params": {"learner": {"name": "fine_tune"}}}},
    ]
    cells = cells_of(load_grid({"run": config, "methods": rows, "seeds": 1, "output_dir": str(tmp_path / "grid")}))
    chosen = {cell.method: cell.config for cell in cells}
    assert chosen["together"].training.params == {"n": 5}
    assert {name: one.replay.strategy for name, one in chosen.items()} == {"together": "none", "random": "random"}
    assert len({cell.key for cell in cells}) == 2


def test_a_workspace_asks_one_question_as_the_other_learner_does(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INSCL_CACHE", str(tmp_path / "cache"))
    said = []
    for name in ("fine_tune", "overprompt"):
        workspace = Workspace.init(tmp_path / name, str(tiny_model), changes=[f"training.learner={name}"])
        said.append(workspace.ask("Say red", max_new_tokens=8))
    assert said[0] == said[1]
