from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import inscl
from inscl.contract import Answer, Example, LogLikelihood, Memory, Question, Task, Turn
from inscl.contract.noted import Noted
from inscl.contract.plan import ReplayPlan
from inscl.contract.seams import LearnReport
from inscl.contract.traits import LearnerTraits
from inscl.errors import ConfigError
from inscl.replay import Budget
from inscl.replay.inscl import InsCL
from inscl.replay.pseudo import PseudoReplay
from inscl.storage.files.atomic import read_json, read_jsonl
from inscl.testing import check_strategy, fake_embedder, made_task
from streams import toy_config, toy_stream

NEW = made_task("new", 5)


def tagger(instructions: Sequence[str]) -> list[list[str]]:
    return [text.split() for text in instructions]


def rows(task: str, count: int) -> tuple[Example, ...]:
    return tuple(Example(f"{('Do', 'Try')[k % 2]} {task}", f"secret {k}", (f"hidden {k}",)) for k in range(count))


MEMORY = Memory((Task("a", rows("a", 12)), Task("b", rows("b", 8))))


class Writer:
    """Writes numbered inputs, and answers with the last word of the question; `said` replaces inputs in turn."""

    def __init__(self, *said: str) -> None:
        self.said, self.asked, self.inputs = list(said), list[tuple[Question, int]](), 0

    def __call__(self, questions: Sequence[Question], most: int) -> list[str]:
        self.asked += [(question, most) for question in questions]
        return [self._one(question) for question in questions]

    def _one(self, question: Question) -> str:
        if not question.instruction.startswith("Write one new input"):
            return question.prompt.split()[-1]
        self.inputs += 1
        return self.said.pop(0) if self.said else f"made {self.inputs}"


def strategy(writer: Writer, **params: Any) -> PseudoReplay:
    return PseudoReplay(writer, fake_embedder, tagger, **params)


def plan(writer: Writer, memory: Memory = MEMORY, count: int = 4, **params: Any) -> inscl.replay.ReplayPlan:
    return strategy(writer, **params).plan(memory, NEW, Budget(per_task=count), np.random.default_rng(0))


def test_places_are_those_of_inscl_and_texts_those_of_the_model() -> None:
    made = plan(Writer())
    # InsCL draws positions, so its examples stand in the order of a description: one instruction after the other.
    ordered = Memory(tuple(Task(t.name, tuple(sorted(t.train, key=lambda e: e.instruction))) for t in MEMORY.tasks))
    real = InsCL(fake_embedder, tagger).plan(ordered, NEW, Budget(per_task=4), np.random.default_rng(0))
    places = Counter((pick.task, pick.example.instruction) for pick in real.picks)
    assert Counter((pick.task, pick.example.instruction) for pick in made.picks) == places
    assert made.allocation == real.allocation
    assert all(pick.reason["written"] and "distance" in pick.reason for pick in made.picks)
    for pick in made.picks:
        assert pick.example.input.startswith("made ")
        assert pick.example.outputs == (pick.example.input.split()[-1],)


def test_nothing_of_the_examples_is_asked_or_replayed() -> None:
    writer = Writer()
    made = plan(writer)
    texts = [question.prompt for question, _ in writer.asked]
    texts += [str(pick.to_json()) for pick in made.picks] + [str(made.to_json())]
    assert not [text for text in texts if "secret" in text or "hidden" in text]
    # Other inputs and answers of the same lengths, and nothing is different.
    others = tuple(
        Task(t.name, tuple(replace(e, input="x y", outputs=("z z",)) for e in t.train)) for t in MEMORY.tasks
    )
    assert plan(Writer(), Memory(others)) == made


def test_what_cannot_be_used_is_dropped_and_tried_again() -> None:
    memory = Memory((Task("a", (Example("Do it", "two words", ("one",)),) * 4),))
    bad = ["", "Do it", "far too many", "good"]
    made = plan(Writer(*bad, "good", "fine", "well"), memory)
    assert [pick.example.input for pick in made.picks] == ["made 8", "fine", "well", "good"]
    assert [pick.reason["attempt"] for pick in made.picks] == [3, 2, 2, 1]
    note = (
        "a: 4 of 4 examples were written; dropped: 1 that repeat the instruction, 1 with too long an input, "
        "1 without input, 1 written already"
    )
    assert made.notes == (note,)
    short = plan(Writer(*bad), memory, attempts=1)
    assert [pick.example.input for pick in short.picks] == ["good"]
    assert short.allocation == {"a": 1}
    assert short.shares[0].reason["wanted"] == 4
    assert [pick.allocation for pick in short.picks] == [1]
    assert [one.picked for one in short.shares[0].instructions] == [1]


def test_an_instruction_without_input_is_answered_once() -> None:
    memory = Memory((Task("a", tuple(Example("Say so", "", (f"so {k}",)) for k in range(5))),))
    writer = Writer()
    made = plan(writer, memory)
    assert [(pick.example.input, pick.example.output) for pick in made.picks] == [("", "so")]
    assert len(writer.asked) == 1
    assert made.notes == ("a: 1 of 4 examples were written; dropped: 3 written already",)


def test_conversations_get_nothing_and_the_plan_says_so() -> None:
    turns = (Turn("system", "Be brief"), Turn("user", "Hello"))
    memory = Memory((Task("a", tuple(Example("Be brief", f"Hello {k}", ("Hi",), turns=turns) for k in range(3))),))
    made = plan(Writer(), memory, count=2)
    assert (made.picks, made.allocation) == ((), {"a": 0})
    assert made.notes == ("a: 0 of 2 examples were written; dropped: 2 of conversations or pictures",)


def test_keeps_the_contract_and_refuses_what_cannot_be() -> None:
    check_strategy(lambda: strategy(Writer()), fills_budget=False)
    with pytest.raises(ConfigError, match="attempts"):
        strategy(Writer(), attempts=0)
    with pytest.raises(ConfigError, match="give per_task, total or share"):
        strategy(Writer()).plan(MEMORY, NEW, Budget(tokens=5), np.random.default_rng(0))


def test_a_run_writes_its_replay_with_the_model_of_the_stage_before(tiny_model: Path, tmp_path: Path) -> None:
    config = toy_config(toy_stream(tmp_path / "stream"), tiny_model, tmp_path / "run", strategy="pseudo")
    run = inscl.run(config)
    old = {(row["input"], row["output"]) for file in (tmp_path / "stream").iterdir() for row in read_jsonl(file)}
    for name, tasks in (("02-backwards", 1), ("03-length", 2)):
        stage = run.path / "stages" / name
        picks, content = read_jsonl(stage / "replay.jsonl"), read_json(stage / "plan.json")
        # A model of random weights writes little that can be used; every place is accounted for all the same.
        assert sum(share["reason"]["wanted"] for share in content["tasks"]) == 3 * tasks
        assert sum(share["allocation"] for share in content["tasks"]) == len(picks) == content["picks"]
        short = [one["task"] for one in content["tasks"] if one["allocation"] < one["reason"]["wanted"]]
        assert all(any(note.startswith(f"{task}: ") for note in content["notes"]) for task in short)
        assert not {(row["input"], row["outputs"][0]) for row in picks} & old


def test_answers_are_among_the_options_or_in_the_format() -> None:
    choice = Task("a", tuple(Example("Do it", f"two {k}", (str(k % 2),), options=("0", "1")) for k in range(12)))
    numbers = Task("b", tuple(Example("Count it", f"two {k}", (str(k),)) for k in range(12)))
    made = plan(Writer("say 1", "say 7", "say 0", "x 12", "a twelve"), Memory((choice, numbers)), 2, attempts=1)
    assert [(pick.task, pick.example.output, pick.example.options) for pick in made.picks] == [
        ("a", "1", ("0", "1")),
        ("b", "0", ()),
        ("b", "12", ()),
    ]
    assert made.notes == ("a: 1 of 2 examples were written; dropped: 1 whose answer is none of the options",)
    made = plan(Writer("0", "say 0", "x 12", "y 13"), Memory((choice, numbers)), 2, attempts=1)
    assert made.notes == ("a: 1 of 2 examples were written; dropped: 1 whose input is an option",)
    made = plan(Writer("say 1", "say 0", "x 12", "a twelve"), Memory((choice, numbers)), 2, attempts=1)
    assert made.notes == ("b: 1 of 2 examples were written; dropped: 1 whose answer isn't a number",)


def test_what_is_written_says_where_it_comes_from_and_is_no_longer_than_asked() -> None:
    memory = Memory((Task("a", tuple(Example("Do it", "many " * 300, ("one",)) for _ in range(3))),))
    writer = Writer("far too many words", "few")
    made = plan(writer, memory, 2, longest=3, attempts=1)
    (pick,) = made.picks
    assert pick.example.provenance == {
        "parent": [],
        "refiner": "pseudo",
        "version": "1",
        "how": "an input written from a description of the task, answered by the model before the stage",
        "writer": "taught",
        "described": True,
    }
    assert made.notes == ("a: 1 of 2 examples were written; dropped: 1 with too long an input",)
    assert {most for _, most in writer.asked} == {8 + 4 * 3, 8 + 4 * 1}


def test_another_writes_the_inputs_and_the_model_answers_them() -> None:
    writer, model = Writer("base one", "base two"), Writer()
    made = PseudoReplay(
        model, fake_embedder, tagger, writer={"model": "big"}, writers=lambda chosen: writer if chosen else model
    ).plan(MEMORY, NEW, Budget(total=2), np.random.default_rng(0))
    assert {pick.example.input for pick in made.picks} == {"base one", "base two"}
    assert {pick.example.output for pick in made.picks} == {"one", "two"}
    assert all(question.instruction.startswith("Write one new input") for question, _ in writer.asked)
    assert not any(question.instruction.startswith("Write one new input") for question, _ in model.asked)
    assert {pick.example.provenance["writer"] for pick in made.picks} == {"big"} == {made.parameters["writer"]}
    with pytest.raises(ConfigError, match="leave it out here"):
        PseudoReplay(Writer(), fake_embedder, tagger, writer="base")


class Sure:
    """A learner that gives an answer as many nats a token as it has letters, and writes what it was taught, in turn."""

    traits = LearnerTraits(saves=True, log_likelihoods=True)

    def __init__(self) -> None:
        self.taught: list[str] = []

    def learn(self, task: Task, plan: ReplayPlan) -> LearnReport:
        self.taught = [f"{example.prompt} -> {example.output}" for example in task.train]
        return LearnReport(1, 1, 0, 1, 1, 0, 0.0, 0.0)

    def answer(self, questions: Sequence[Question], max_new_tokens: int = 64) -> list[Answer]:
        texts = [row.rpartition(" -> ")[2] for row in self.taught]
        return [Answer(f"{texts[k % len(texts)].split()[0]} again{k}") for k in range(len(questions))]

    def log_likelihoods(self, questions: Sequence[Question], answers: Sequence[str]) -> list[LogLikelihood]:
        return [LogLikelihood(-2.0 * len(answer), 2, 0) for answer in answers]

    def save(self, folder: Path) -> None:
        (folder / "taught.txt").write_text("\n===\n".join(self.taught))

    def load(self, folder: Path) -> None:
        self.taught = (folder / "taught.txt").read_text().split("\n===\n")


def test_what_is_unlikely_right_after_the_task_is_dropped(tmp_path: Path) -> None:
    rows = tuple(Example("Do it", f"two {k}", ("x" * (k + 1),)) for k in range(20))
    task, restored = Task("a", rows), list[Sure]()
    given = {"losses": lambda examples: np.array([float(len(one.output)) for one in examples]), "new_learner": Sure}
    facts = strategy(Writer(), likely=0.5, **given).describe(task, tmp_path)
    assert facts == [{"answer_loss": 10.5}]
    assert strategy(Writer(), likely=None, **given).describe(task, tmp_path) == []
    sure = {**given, "losses": lambda examples: np.zeros(len(examples))}
    assert strategy(Writer(), **sure).describe(task, tmp_path) == [{"answer_loss": 0.1}]
    memory = Memory((task,), noted={"a": Noted(facts, None, restored.append)})  # type: ignore[arg-type]
    made = plan(Writer("say " + "y" * 11, "say " + "y" * 10), memory, 2, attempts=1, likely=0.5, **given)
    assert [pick.example.output for pick in made.picks] == ["y" * 10]
    said = "1 whose answer the model held unlikely right after the task"
    assert made.notes == (f"a: 1 of 2 examples were written; dropped: {said}",)
    assert made.shares[0].reason["most_loss"] == 10.5
    assert len(restored) == 1
    unkept = Memory((task,), noted={"a": Noted(facts)})
    made = plan(Writer("say " + "y" * 11), unkept, 1, **given)
    assert len(made.picks) == 1
    assert made.shares[0].reason["likelihood_unchecked"] == "the model right after the task was not kept"


def test_use_cases_are_noted_and_each_request_carries_one(tmp_path: Path) -> None:
    shown: list[Example] = []

    def encode(examples: Sequence[Example]) -> list[tuple[str, tuple[str, ...]]]:
        shown.extend(examples)
        return [("weather reports", ("brevity", "numbers"))]

    def encoders(chosen: object) -> Any:
        return encode

    talk = Example("Be brief", "Hello", ("Hi",), turns=(Turn("system", "Be brief"), Turn("user", "Hello")))
    task = Task("a", (*rows("a", 40), talk))
    facts = strategy(Writer(), encoder="big", encoders=encoders).describe(task, tmp_path)
    assert facts == [{"use_case": "weather reports", "skills": ["brevity", "numbers"]}]
    assert 15 < len(shown) <= 20
    assert talk not in shown
    writer = Writer()
    plan(writer, replace(MEMORY, noted={"a": Noted(facts)}), 2)
    asked = {q.instruction.partition("Instruction: ")[2][4:] for q, _ in writer.asked if q.instruction.startswith("Wr")}
    said = "\n\nIt is for this use case: weather reports. A good answer takes: brevity, numbers."
    assert {text for text in asked if "a" in text.split("\n")[0]} == {f"a{said}", f" a{said}"} & asked
    assert not any(said in text for text in asked if text.strip().startswith("b"))
    with pytest.raises(ConfigError, match="encoder: is made by a run"):
        strategy(Writer(), encoder="big")


def test_a_small_writer_is_taught_the_inputs_of_its_task_and_kept(tmp_path: Path) -> None:
    own = PseudoReplay(Writer(), fake_embedder, tagger, writer="adapter", small_learner=Sure)
    task = Task("a", (Example("Do it", "cats purr", ("meow",)), Example("Do it", "", ("none",))))
    assert own.describe(task, tmp_path) == []
    asked = "It has at most 2 words and begins with the letter C."
    assert asked in (tmp_path / "taught.txt").read_text()
    assert "-> cats purr" in (tmp_path / "taught.txt").read_text()
    assert "meow" not in (tmp_path / "taught.txt").read_text()
    task = Task("a", rows("a", 6))
    (tmp_path / "taught.txt").unlink()
    own.describe(task, tmp_path)
    model = Writer()
    made = PseudoReplay(model, fake_embedder, tagger, longest=3, writer="adapter", small_learner=Sure).plan(
        replace(MEMORY, noted={"a": Noted((), tmp_path)}), NEW, Budget(per_task=2), np.random.default_rng(0)
    )
    assert [pick.task for pick in made.picks] == ["a"] * len(made.picks)
    assert len(made.picks) > 0
    assert made.notes[-1] == "b: 0 of 2 examples were written; dropped: 2 of a task without an adapter that writes"
    assert not any(question.instruction.startswith("Write one new input") for question, _ in model.asked)
    nothing = tmp_path / "none"
    nothing.mkdir()
    own.describe(Task("c", (Example("Say so", "", ("so",)),)), nothing)
    assert list(nothing.iterdir()) == []


def test_mistakes_about_what_is_noted_are_told() -> None:
    class Untrained(Sure):
        traits = LearnerTraits(trains=False, saves=True)

    with pytest.raises(ConfigError, match="an adapter needs a learner that trains weights"):
        PseudoReplay(Writer(), fake_embedder, tagger, writer="adapter", small_learner=Untrained)
    with pytest.raises(ConfigError, match="likely: a share above 0"):
        strategy(Writer(), likely=1.5)


def test_a_run_checks_likelihoods_whatever_weights_it_keeps_in_the_end(tiny_model: Path, tmp_path: Path) -> None:
    shares = []
    for keep in ("last", "all"):
        config = toy_config(toy_stream(tmp_path / "stream"), tiny_model, tmp_path / keep, strategy="pseudo")
        config["model"] = {**config["model"], "keep": keep}
        run = inscl.run(config)
        shares.append([read_json(path)["tasks"] for path in sorted(run.path.glob("stages/*/plan.json"))])
        kept = [path.parent.name[:2] for path in sorted(run.path.glob("stages/*/model"))]
        assert kept == (["03"] if keep == "last" else ["01", "02", "03"])
    assert shares[0] == shares[1]
    assert all("most_loss" in share["reason"] for share in shares[0][2])
