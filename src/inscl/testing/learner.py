"""`check_learner`: what a learner must keep, and what its traits promise."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from inscl.contract import Answer, Example, Question, Task
from inscl.contract.erased import Erased
from inscl.contract.example import Turn
from inscl.contract.plan import Pick, ReplayPlan
from inscl.contract.seams import Learner
from inscl.contract.traits import LearnerTraits, traits_of
from inscl.errors import UserError
from inscl.testing.made import made_task

__all__ = ["check_learner"]


def check_learner(factory: Callable[[], Learner]) -> None:
    """Check that a learner keeps the contract and has what its traits say.

    One answer a question, in order, to single questions and conversations, whatever else is asked with them; a report
    of what was learned; learning nothing refused or reported as nothing. Where the traits say so: likelihoods of at
    most 0 nats over at least one token; log-probabilities over options that sum to one, whichever way they are
    compared; tokens counted; a state that, read by a fresh learner, gives the same answers; nothing left in it of the
    examples that are erased; a log of the last stage.

    Args:
        factory: Makes a learner that has learned nothing, each time the same, as in ``lambda: Parrot()``.

    Raises:
        AssertionError: What is broken, in words.
    """
    learner = factory()
    traits = traits_of(learner, LearnerTraits)
    missing = [
        f"{method!r} (trait {trait!r})"
        for trait, methods in _METHODS.items()
        if getattr(traits, trait) and not (trait == "forgets" and traits.wraps)
        for method in methods
        if not hasattr(learner, method)
    ]
    assert not missing, f"the traits of {type(learner).__name__} declare what it doesn't have: {', '.join(missing)}"
    task, old = made_task("new", 4, 2), made_task("old", 3, 2)
    picks = tuple(Pick(example, old.name, 3) for example in old.train) if traits.replays else ()
    report = learner.learn(task, ReplayPlan(task.name, "made", picks))
    assert report.examples > 0, "a task with train examples was learned, and the report counts none"
    assert report.replayed > 0 or not picks, "a plan with picks was learned, and the report counts none as replayed"
    assert np.isfinite(report.loss), f"the report's loss is {report.loss}"
    assert report.seconds >= 0, f"the report's seconds are {report.seconds}"
    _check_answers(learner)
    for trait, check in _CHECKS.items():
        if getattr(traits, trait):
            check(learner)
    if traits.saves:
        _check_state(learner, factory)
    if traits.forgets and not traits.wraps:
        _check_forgetting(learner, factory, [*task.train, *old.train])
    _check_nothing(factory())


def _questions() -> list[Question]:
    """Single questions and a conversation, with options; the first two are those of `made_task`."""
    turns = (Turn("system", "Be brief"), Turn("user", "Hello"), Turn("assistant", "Hi"), Turn("user", "And you?"))
    own = [Question.of(example) for example in (*made_task("new", 4, 2).train, *made_task("old", 3, 2).train)]
    asked = [*own[:2], Question("Be brief", "And you?", turns), Question("\N{SNOWMAN}?"), own[-1]]
    return [replace(question, options=("yes", "yes, it is", "no")) for question in asked]


def _check_answers(learner: Learner) -> None:
    questions = _questions()
    answers = learner.answer(questions, max_new_tokens=8)
    assert len(answers) == len(questions), f"{len(questions)} questions were asked and {len(answers)} answers came"
    for answer in answers:
        assert isinstance(answer, Answer), f"answers must be of the type Answer, not {type(answer).__name__}"
    texts = [answer.text for answer in answers]
    turned = [answer.text for answer in learner.answer([*questions[1:], questions[0]], max_new_tokens=8)]
    assert [turned[-1], *turned[:-1]] == texts, "the same questions in another order got other answers"
    assert learner.answer([], max_new_tokens=8) == [], "no questions must give no answers"


def _check_likelihoods(learner: Any) -> None:
    questions = _questions()
    found = learner.log_likelihoods(questions, ["yes", "", "no", "a longer answer", "yes"])
    assert len(found) == len(questions), f"{len(questions)} answers were given and {len(found)} likelihoods came"
    for one in found:
        assert np.isfinite(one.nats), f"a log-likelihood is {one.nats}"
        assert one.nats <= 0, f"a log-likelihood is {one.nats}: no answer is more likely than certain"
        assert one.tokens >= 1, "a log-likelihood is of no tokens: the end of sequence counts as one"
        assert one.correct is None or 0 <= one.correct <= one.tokens, (
            f"{one.correct} of {one.tokens} tokens are said to be the most likely ones"
        )


def _check_choices(learner: Any) -> None:
    questions = _questions()
    for normalise in (True, False):
        found = learner.choose(questions, normalise=normalise)
        assert len(found) == len(questions), f"{len(questions)} questions were asked and {len(found)} choices came"
        for question, chosen in zip(questions, found, strict=True):
            assert len(chosen) == len(question.options), (
                f"a question has {len(question.options)} options, and {len(chosen)} log-probabilities came"
            )
            total = float(np.exp(np.asarray(chosen, dtype=float)).sum())
            assert abs(total - 1) < 1e-3, f"the probabilities of a question's options sum to {total:.4f}, not to 1"


def _check_kept(learner: Any) -> None:
    questions, traits = _questions(), traits_of(learner, LearnerTraits)
    answers = ["yes", "", "no", "a longer answer", "yes"]

    def asked() -> tuple[list[str], list[float]]:
        said = [answer.text for answer in learner.answer(questions, max_new_tokens=8)]
        likely = learner.log_likelihoods(questions, answers) if traits.log_likelihoods else []
        chosen = learner.choose(questions) if traits.chooses else []
        return said, [*(one.loss for one in likely), *(value for values in chosen for value in values)]

    said, likely = asked()
    with learner.keeping_prompts():
        kept = asked()
    assert kept[0] == said, "within keeping_prompts the same questions got other answers"
    assert len(kept[1]) == len(likely), "within keeping_prompts there are more or fewer likelihoods and choices"
    assert np.allclose(kept[1], likely, atol=1e-2), "within keeping_prompts likelihoods or choices are others"


def _check_counts(learner: Any) -> None:
    short, long = Example("a", "", ("b",)), Example("a", "and much more to read " * 3, ("b",))
    for example in (short, long):
        count = learner.count_tokens(example)
        assert isinstance(count, int), f"count_tokens gave {count!r}: a whole number was expected"
        assert count >= 1, f"count_tokens gave {count}: at least 1 was expected"
    assert learner.count_tokens(long) > learner.count_tokens(short), "a longer prompt must have more tokens"


def _check_log(learner: Any) -> None:
    for row in learner.log:
        json.dumps(row, allow_nan=False)  # raises for what can't be written as train_log.jsonl


def _check_state(learner: Any, factory: Callable[[], Learner]) -> None:
    questions = _questions()
    before = [answer.text for answer in learner.answer(questions, max_new_tokens=8)]
    with tempfile.TemporaryDirectory(prefix="inscl-") as folder:
        learner.save(Path(folder))
        assert any(Path(folder).iterdir()), "save wrote nothing"
        other: Any = factory()
        other.load(Path(folder))
    after = [answer.text for answer in other.answer(questions, max_new_tokens=8)]
    assert after == before, "what was saved and read by a fresh learner gives other answers"


def _check_forgetting(learner: Any, factory: Callable[[], Learner], taught: Sequence[Example]) -> None:
    texts = {text for example in taught for text in (example.instruction, example.input, example.output)}
    ids, instructions = ({getattr(example, name) for example in taught} for name in ("id", "instruction"))
    with tempfile.TemporaryDirectory(prefix="inscl-") as folder:
        learner.save(Path(folder))
        type(learner).forget(Path(folder), Erased(ids=ids, instructions=instructions))
        files = [path for path in Path(folder).rglob("*") if path.is_file()]
        left = sorted(text for text in texts if any(text.encode() in path.read_bytes() for path in files))
        assert not left, f"everything was erased, and its state still holds {left[0]!r}"
        other: Any = factory()
        other.load(Path(folder))
    _check_answers(other)


def _check_nothing(learner: Learner) -> None:
    try:
        report = learner.learn(Task("empty", (), ()), ReplayPlan.nothing("empty"))
    except UserError:
        return
    except Exception as error:
        raise AssertionError(
            f"learning nothing raised {error!r}: raise an error of inscl.errors that says what is missing, or report "
            "that nothing was learned"
        ) from error
    assert report.examples == report.replayed == 0, "nothing was learned, and the report counts examples"


_METHODS = {
    "saves": ("save", "load"),
    "forgets": ("forget",),
    "resumes": ("progress_dir",),
    "logs": ("log",),
    "log_likelihoods": ("log_likelihoods",),
    "chooses": ("choose",),
    "counts_tokens": ("count_tokens",),
    "measures_room": ("room_for",),
    "keeps_prompts": ("keeping_prompts",),
}


_CHECKS: dict[str, Callable[[Any], None]] = {
    "log_likelihoods": _check_likelihoods,
    "chooses": _check_choices,
    "counts_tokens": _check_counts,
    "logs": _check_log,
    "keeps_prompts": _check_kept,
}
