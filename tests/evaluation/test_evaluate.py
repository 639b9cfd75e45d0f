from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from inscl.contract import Answer, Example, LogLikelihood, Task
from inscl.contract.measured import Measured
from inscl.contract.traits import LearnerTraits, MeasureTraits, ScorerTraits
from inscl.errors import DataError, InsclError
from inscl.evaluation import evaluate, evaluate_together, exact_match, rouge_l
from inscl.evaluation.answer_loss import AnswerLoss
from inscl.evaluation.choice_accuracy import ChoiceAccuracy
from inscl.evaluation.evaluate import measured_again
from inscl.evaluation.measures import mean_of


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


@pytest.mark.parametrize(
    ("result", "said"),
    [
        (0.5, "returned float; it must return Measured"),
        (None, "returned NoneType"),
        (Measured(1.7, None, 1), "gave 1.7; a percentage is given as a number from 0 to 1"),
        (Measured(math.nan, None, 1), "gave nan"),
    ],
)
def test_a_measure_that_returns_no_number_is_named(result, said: str) -> None:
    class Odd:
        traits = MeasureTraits(needs="text")

        def __call__(self, rows):
            return result

    with pytest.raises(InsclError, match=f"the measure 'm' {said}"):
        evaluate(Parrot("a"), task("a"), {"m": Odd()})


def test_a_measure_in_another_unit_may_leave_percent_and_must_stay_finite() -> None:
    class Length:
        traits = MeasureTraits(needs="text", unit="number", better="lower")

        def __init__(self, value: float) -> None:
            self.value = value

        def __call__(self, rows):
            return Measured(self.value, None, len(rows))

    assert evaluate(Parrot("a"), task("a"), {"m": Length(17.0)}).scores["m"].mean == 17.0
    with pytest.raises(InsclError, match="give Undefined where there is no number"):
        evaluate(Parrot("a"), task("a"), {"m": Length(math.inf)})


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


class Knowing(Echo):
    """Counts what it is asked for, by kind."""

    traits = LearnerTraits(log_likelihoods=True, chooses=True)

    def __init__(self) -> None:
        super().__init__()
        self.counts: dict[str, int] = {}

    def answer(self, questions, max_new_tokens=64):
        self.counts["text"] = self.counts.get("text", 0) + len(questions)
        return super().answer(questions, max_new_tokens)

    def log_likelihoods(self, questions, answers):
        self.counts["likelihood"] = self.counts.get("likelihood", 0) + len(questions)
        return [LogLikelihood(-0.5, 1, 1) for _ in questions]

    def choose(self, questions, normalise=True):
        self.counts["choice"] = self.counts.get("choice", 0) + len(questions)
        return [(math.log(0.5),) * len(question.options) for question in questions]


def test_few_rows_are_generated_and_many_are_likely() -> None:
    options = [("a", "b") if k % 2 else () for k in range(40)]
    rows = tuple(Example("say a", str(k), ("a",), options=given) for k, given in enumerate(options))
    metrics = {"m": exact_match, "answer_loss": AnswerLoss(), "choice_accuracy": ChoiceAccuracy()}
    learner, most = Knowing(), {"text": 5, "likelihood": 25, "choice": 25}
    (found,) = evaluate_together(learner, [Task("t", (), rows)], metrics, lambda _: 8, most=lambda needs: most[needs])
    chosen = sum(1 for row in found.predictions if "options" in row)
    assert {name: score.n for name, score in found.scores.items()} == {
        "m": 5,
        "answer_loss": 25,
        "choice_accuracy": chosen,
    }
    assert learner.counts == {"text": 5, "likelihood": 25, "choice": chosen}
    assert 0 < chosen < 25
    # One row an example that was asked anything; those that were generated are among the others.
    assert len(found.predictions) == 25
    assert sum(row["prediction"] is not None for row in found.predictions) == 5
    for row in found.predictions:
        assert ("m" in row["scores"]) == (row["prediction"] is not None)
        assert row["scores"]["answer_loss"] == 0.5
    order = [row["input"] for row in found.predictions]
    assert order == sorted(order, key=int)
    assert set(found.seconds) == {"text", "likelihood", "choice"}


def test_a_scorer_may_declare_another_unit_and_direction() -> None:
    class Distance:
        traits = ScorerTraits(unit="number", better="lower")

        def __call__(self, prediction, references):
            return float(abs(len(prediction) - len(references[0])))

    found = evaluate(Parrot("abcd", ""), task("a", "abc"), {"distance": Distance()})
    # An empty answer is no best answer here: three letters are missing.
    assert (found.scores["distance"].mean, found.scores["distance"].n) == (3.0, 2)
    broken = type("Broken", (Distance,), {"__call__": lambda self, prediction, references: math.inf})
    with pytest.raises(InsclError, match="finite"):
        evaluate(Parrot("a"), task("a"), {"distance": broken()})


def test_what_is_measured_again_is_what_was_measured() -> None:
    rows = tuple(Example("say a", str(k), ("a" * (k + 1),), options=("a", "b")) for k in range(3))
    metrics = {"m": exact_match, "answer_loss": AnswerLoss()}
    found = evaluate(Knowing(), Task("t", (), rows), metrics)
    for metric, scorer in metrics.items():
        assert measured_again(metric, scorer, found.predictions) == pytest.approx(found.scores[metric].mean)
        assert measured_again(metric, scorer, []) is None


def test_a_measure_gives_a_value_of_each_row_or_of_none() -> None:
    class Lossy:
        traits = MeasureTraits(needs="text")

        def __call__(self, rows):
            return mean_of([1.0 for _ in rows[1:]])

    with pytest.raises(InsclError, match=r"'m' gave \d values of single rows for \d rows"):
        evaluate(Echo(), spoken("a", "xyz"), {"m": Lossy()})


class Keeper(Parrot):
    """Says within which block it was asked for what."""

    traits = LearnerTraits(log_likelihoods=True, chooses=True, keeps_prompts=True)

    def __init__(self, *answers: str) -> None:
        super().__init__(*answers)
        self.block, self.blocks = 0, []
        self.within = False

    @contextmanager
    def keeping_prompts(self) -> Iterator[None]:
        self.block, self.within = self.block + 1, True
        yield
        self.within = False

    def _at(self, what: str) -> None:
        self.blocks.append((what, self.block if self.within else None))

    def answer(self, questions, max_new_tokens=64):
        self._at("text")
        return super().answer(questions, max_new_tokens)

    def log_likelihoods(self, questions, answers):
        self._at("likelihood")
        return [LogLikelihood(-1.0, 1) for _ in questions]

    def choose(self, questions, normalise=True):
        self._at("choice")
        return [tuple(-0.7 for _ in question.options) for question in questions]


def test_one_block_for_all_that_is_asked_of_the_same_questions() -> None:
    keeper = Keeper("a", "b")
    options = Task("choose", (), tuple(Example("Say it", str(k), ("a",), options=("a", "b")) for k in range(2)))
    scorers = {"exact_match": exact_match, "answer_loss": AnswerLoss(), "choice_accuracy": ChoiceAccuracy()}
    evaluate(keeper, options, scorers)
    assert keeper.blocks == [("text", 1), ("likelihood", 1), ("choice", 1)]
    # What is asked for one thing alone needn't be kept.
    evaluate(keeper, options, {"exact_match": exact_match})
    assert keeper.blocks[3:] == [("text", None)]
