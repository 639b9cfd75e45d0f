from __future__ import annotations

import math
from pathlib import Path

import pytest

from inscl.contract import Answer, Example, Task
from inscl.errors import DataError, InsclError
from inscl.evaluation import evaluate, evaluate_together, exact_match, rouge_l


class Parrot:
    """Gives the answers it was told to."""

    def __init__(self, *answers: str) -> None:
        self.answers, self.asked = list(answers), []

    def answer(self, questions, max_new_tokens=64):
        self.asked.append(([question.prompt for question in questions], max_new_tokens))
        return [Answer(text) for text in self.answers]


def task(*outputs: str, **more) -> Task:
    test = tuple(Example("Say it", f"number {i}", (output,)) for i, output in enumerate(outputs))
    return Task("say", (), test, **more)


def test_means_standard_errors_and_rows() -> None:
    parrot = Parrot("yes", "no", "", "yes")
    found = evaluate(parrot, task("yes", "yes", "yes", "yes"), {"exact_match": exact_match, "rouge_l": rouge_l}, 9)
    assert list(found.scores) == ["exact_match", "rouge_l"]
    score = found.scores["exact_match"]
    assert (score.mean, score.n) == (50.0, 4)
    assert score.standard_error == pytest.approx(100 * math.sqrt(1 / 3) / 2)
    assert parrot.asked == [([f"Say it\n\nnumber {i}" for i in range(4)], 9)]
    row = found.predictions[1]
    assert list(row) == ["id", "instruction", "input", "references", "prediction", "scores"]
    assert row["prediction"] == "no"
    assert row["references"] == ["yes"]
    assert row["scores"] == {"exact_match": 0.0, "rouge_l": 0.0}
    assert found.to_json()["exact_match"] == {"mean": 50.0, "standard_error": score.standard_error, "n": 4}


def test_one_example_has_no_standard_error() -> None:
    assert evaluate(Parrot("a"), task("a"), {"m": exact_match}).scores["m"].standard_error is None


def test_the_tasks_own_length_wins() -> None:
    parrot = Parrot("a")
    evaluate(parrot, task("a", max_new_tokens=3), {"m": exact_match}, max_new_tokens=50)
    assert parrot.asked[0][1] == 3


def test_an_empty_answer_scores_zero_whatever_a_scorer_says() -> None:
    assert evaluate(Parrot(" "), task("a"), {"kind": lambda prediction, references: 1.0}).scores["kind"].mean == 0.0


def test_nothing_to_evaluate_on() -> None:
    with pytest.raises(DataError, match="'say' has no test examples"):
        evaluate(Parrot(), task(), {"m": exact_match})


def test_a_learner_that_loses_an_answer() -> None:
    with pytest.raises(InsclError, match="1 answers to 2 questions"):
        evaluate(Parrot("a"), task("a", "b"), {"m": exact_match})


@pytest.mark.parametrize("value", [1.01, -0.5, math.nan])
def test_a_scorer_out_of_range(value: float) -> None:
    with pytest.raises(InsclError, match="'m' gave"):
        evaluate(Parrot("a"), task("a"), {"m": lambda prediction, references: value})


class Echo:
    """Says what it is asked to say."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, int]] = []

    def answer(self, questions, max_new_tokens=64):
        self.asked.append((len(questions), max_new_tokens))
        return [Answer(question.prompt.removeprefix("say ")) for question in questions]


def spoken(name: str, answers: str, longest: int | None = None) -> Task:
    pairs = zip("xyz", answers, strict=False)
    return Task(name, (), tuple(Example(f"say {letter}", "", (answer,), name) for letter, answer in pairs), longest)


def test_tasks_with_equally_long_answers_are_asked_together_and_scored_apart() -> None:
    echo = Echo()
    tasks = [spoken("right", "xyz"), spoken("code", "xy", 99), spoken("half", "xq"), spoken("wrong", "q")]
    found = evaluate_together(echo, tasks, {"exact_match": exact_match}, lambda name: 8)
    assert echo.asked == [(6, 8), (2, 99)]
    scores = {result.task: result.scores["exact_match"].mean for result in found}
    assert scores == {"right": 100, "code": 100, "half": 50, "wrong": 0}
    assert list(scores) == ["right", "code", "half", "wrong"]
    assert [row["prediction"] for row in found[2].predictions] == ["x", "y"]


def test_answers_that_an_interrupted_evaluation_had_are_not_asked_for_again(tmp_path: Path) -> None:
    class Dying(Echo):
        def answer(self, questions, max_new_tokens=64):
            if max_new_tokens == 99:
                raise KeyboardInterrupt
            return super().answer(questions, max_new_tokens)

    tasks = [spoken("right", "xyz"), spoken("code", "xy", 99)]
    with pytest.raises(KeyboardInterrupt):
        evaluate_together(Dying(), tasks, {"m": exact_match}, lambda name: 8, kept=tmp_path)
    again, straight = Echo(), Echo()
    found = evaluate_together(again, tasks, {"m": exact_match}, lambda name: 8, kept=tmp_path)
    assert again.asked == [(2, 99)]
    assert found == evaluate_together(straight, tasks, {"m": exact_match}, lambda name: 8)
    # Other prompts are another question.
    evaluate_together(again, [spoken("right", "xy")], {"m": exact_match}, lambda name: 8, kept=tmp_path)
    assert again.asked[-1] == (2, 8)
