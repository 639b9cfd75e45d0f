"""Detection and direct evaluation on learners whose behaviour is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from inscl.contract import Answer, Example, Question, Task
from inscl.contract.traits import LearnerTraits
from inscl.errors import UserError
from inscl.evaluation.fine_grained import ATTEMPTS_ALL, BELONGS, fine_grained, pairs_of
from inscl.forgetting.judge import PROMPT

SEEDS = [Example(f"Write {k} lines about rain.", "", (f"rain {k}",), "job") for k in range(1, 5)]


def variant(seed: Example, change: str, answer: str) -> Example:
    changed = {"from": "about rain", "to": change}
    provenance = {"parent": seed.id, "refiner": "demorecon", "version": "1", "changed": changed}
    text = seed.instruction.replace("about rain", change)
    return replace(seed, instruction=text, outputs=(answer,), provenance=provenance)


VARIANTS = [variant(seed, "about snow", f"snow and more of it, {k}") for k, seed in enumerate(SEEDS)]
TASK = Task("job", tuple(one for pair in zip(SEEDS, VARIANTS, strict=True) for one in pair), (SEEDS[0],))


class Learner:
    """Likes an option by a function of prompt and option, and answers by a function of the prompt."""

    traits = LearnerTraits(chooses=True)

    def __init__(self, likes: Any = None, says: Any = lambda prompt: "") -> None:
        self.likes, self.says, self.longest = likes, says, []

    def learn(self, task: Any, plan: Any) -> Any: ...

    def choose(self, questions: Sequence[Question], normalise: bool = True) -> list[tuple[float, ...]]:
        assert normalise
        return [tuple(self.likes(question.prompt, option) for option in question.options) for question in questions]

    def answer(self, questions: Sequence[Question], max_new_tokens: int = 64) -> list[Answer]:
        self.longest.append(max_new_tokens)
        assert not any(question.options for question in questions)
        return [Answer(self.says(question.prompt)) for question in questions]


class Asked(Learner):
    traits = LearnerTraits()


def belongs(prompt: str, option: str) -> float:
    return -1.0 if option.split()[0] in prompt else -2.0


@pytest.mark.parametrize(
    ("likes", "accuracy"),
    [
        (belongs, 1.0),
        (lambda prompt, option: -belongs(prompt, option), 0.0),
        (lambda prompt, option: -float(len(option)), 0.5),  # favours the short answer, whatever was asked
        (lambda prompt, option: -1.0, 0.5),
        (lambda prompt, option: belongs(prompt, option) if "1" in prompt else -float(len(option)), 0.625),
    ],
)
def test_detection_by_likelihood_is_balanced(likes: Any, accuracy: float) -> None:
    found = fine_grained(Learner(likes), pairs_of([TASK]))
    assert found.detection is not None
    assert (found.detection.value, found.detection_by, found.pairs) == (accuracy, "likelihood", 4)
    assert [row["detection"] for row in found.rows] == list(found.detection.by_row)


def right(prompt: str) -> str:
    asked, answer = prompt.split("Answer:")
    return "Yes." if ("snow" in asked) == ("snow" in answer) else "no"


@pytest.mark.parametrize(
    ("says", "accuracy"),
    [
        (right, 1.0),
        (lambda prompt: "yes", 0.5),
        (lambda prompt: "no", 0.5),
        (lambda prompt: "yes and no", 0.0),
        (lambda prompt: right(prompt) if "snow and" in prompt else "", 0.5),
    ],
)
def test_who_cannot_compare_is_asked_about_all_four_combinations(says: Any, accuracy: float) -> None:
    learner = Asked(says=lambda prompt: says(prompt) if "Answer:" in prompt else "")
    found = fine_grained(learner, pairs_of([TASK]))
    assert found.detection is not None
    assert (found.detection.value, found.detection_by) == (accuracy, "asked")
    assert learner.longest == [64, 3]
    again = fine_grained(Learner(belongs, learner.says), pairs_of([TASK]), ask=True)
    assert again.detection == found.detection


def test_direct_by_a_judge_and_by_references() -> None:
    def says(prompt: str) -> str:
        return "snow and more of it" if "1" in prompt else "rain" if "2" in prompt else "neither"

    def judge(cases: Sequence[tuple[str, str, str]]) -> list[bool]:
        assert [case[0] for case in cases] == [one.instruction for one in VARIANTS]
        return [case[2] != "rain" for case in cases]

    plain = fine_grained(Learner(belongs, says), pairs_of([TASK]), longest=9)
    assert (plain.direct_by, plain.direct.by_row) == ("references", (1.0, 0.0, 0.5, 0.5))
    judged = fine_grained(Learner(belongs, says), pairs_of([TASK]), judge=judge)
    assert (judged.direct_by, judged.direct.by_row) == ("judge", (1.0, 0.0, 1.0, 1.0))
    assert judged.rows[1]["answer"] == "rain"
    assert judged.rows[1]["changed"]["to"] == "about snow"


def test_pairs_with_equal_answers_show_nothing_in_detection() -> None:
    same = variant(SEEDS[0], "about fog", SEEDS[0].output + " ")
    found = fine_grained(Learner(belongs), pairs_of([Task("job", (SEEDS[0], same), ())]))
    assert (found.pairs, found.same, found.detection) == (1, 1, None)
    found = fine_grained(Learner(belongs), pairs_of([Task("job", (SEEDS[0], same, VARIANTS[0]), ())]))
    assert found.detection is not None
    assert (found.pairs, found.same, found.detection.n) == (2, 1, 1)
    assert [row["detection"] for row in found.rows] == [None, 1.0]


def test_data_cannot_pass_for_a_field_of_the_question() -> None:
    seen: list[str] = []
    odd = replace(VARIANTS[0], outputs=("{instruction} {answer}",))
    fine_grained(Asked(says=lambda prompt: seen.append(prompt) or ""), pairs_of([Task("job", (SEEDS[0], odd), ())]))
    assert sum("\n{instruction} {answer}\n" in prompt for prompt in seen) == 2
    assert BELONGS.count("{answer}") == ATTEMPTS_ALL.count("{answer}") == PROMPT.count("{answer}") == 1


def test_data_without_pairs_is_told() -> None:
    with pytest.raises(UserError, match="--with demorecon"):
        pairs_of([Task("job", tuple(SEEDS), ())])
    with pytest.raises(UserError, match="--with demorecon"):
        pairs_of([Task("job", tuple(VARIANTS), ())])  # their seeds are elsewhere
