"""Which version of a row stays, with difficulties that are known."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from inscl.contract import Example
from inscl.contract.refined import Refined
from inscl.errors import ConfigError
from inscl.refining import select as module
from inscl.refining.select import StudentSelect
from inscl.testing import check_refiner

OLD, NEW, BETTER = ("do", "a"), ("do it well", "b"), ("do it well", "c")


class Known:
    """A student whose difficulties are written down: pair to (IFD, reversed IFD)."""

    numbers: dict[tuple[str, str], tuple[float, float]]

    def __init__(self, *arguments: Any) -> None: ...

    def ifd(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        return [self.numbers[pair][0] for pair in pairs]

    def reversed_ifd(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        return [self.numbers[pair][1] for pair in pairs]


def select(monkeypatch: pytest.MonkeyPatch, old: Any, new: Any, better: Any, **params: Any) -> Refined:
    Known.numbers = {OLD: old, NEW: new, BETTER: better}
    monkeypatch.setattr(module, "Student", Known)
    before = [{"instruction": prompt, "input": "", "output": answer} for prompt, answer in (OLD, NEW)]
    row = Example(BETTER[0], "", (BETTER[1],), "job", provenance={"before": before})
    (outcome,) = StudentSelect(**params).refine([row])
    return outcome


@pytest.mark.parametrize(
    ("old", "new", "better", "stays"),
    [
        ((0.5, 0.5), (0.6, 0.5), (0.1, 0.4), BETTER),  # harder to follow, then easier to guess
        ((0.5, 0.5), (0.4, 0.1), (0.9, 0.1), OLD),  # not harder: what was built on it goes too
        ((0.5, 0.5), (0.5, 0.5), (0.9, 0.1), OLD),  # no harder is not harder
        ((0.5, 0.5), (0.6, 0.5), (0.9, 0.5), NEW),  # the new answer is no easier to guess
        ((0.5, 0.5), (0.6, 0.5), (1.0, 0.4), None),
        ((0.5, 0.5), (0.6, 1.2), (0.6, 1.1), None),
    ],
)
def test_a_version_has_to_earn_its_place(
    monkeypatch: pytest.MonkeyPatch, old: Any, new: Any, better: Any, stays: Any
) -> None:
    outcome = select(monkeypatch, old, new, better)
    if stays is None:
        assert outcome.outcome == "rejected"
        assert "or more is left out" in outcome.reason
        assert outcome.facts == {"ifd": better[0], "reversed_ifd": better[1]}
    elif stays == BETTER:
        assert outcome.outcome == "kept"
    else:
        (made,) = outcome.made
        assert (made.example.prompt, made.example.output) == stays
        assert made.facts["ifd"] == {OLD: old, NEW: new}[stays][0]


def test_a_row_that_goes_back_has_all_its_answers_again(monkeypatch: pytest.MonkeyPatch) -> None:
    Known.numbers = {OLD: (0.5, 0.5), ("do", "b"): (0.5, 0.5)}
    monkeypatch.setattr(module, "Student", Known)
    before = [{"instruction": "do", "input": "", "output": "a", "outputs": ["a", "A"]}]
    (outcome,) = StudentSelect().refine([Example("do", "", ("b",), "job", provenance={"before": before})])
    assert outcome.made[0].example.outputs == ("a", "A")


def test_rows_without_a_new_answer_go_if_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    outcome = select(monkeypatch, (0.5, 0.5), (0.4, 0.1), (0.9, 0.1), drop_unchanged=True)
    assert "not replaced by a better one" in outcome.reason


def test_it_keeps_the_contract_with_a_real_student(tiny_model: Path) -> None:
    check_refiner(lambda: StudentSelect(str(tiny_model), max_length=200))


def test_a_row_that_has_no_room_stays_and_the_others_are_selected(tiny_model: Path) -> None:
    before = [{"instruction": "do", "input": "", "output": "a"}]
    texts = ("do " * 50, "b" * 9), ("do", "b" * 150), ("do", "b")
    rows = [Example(prompt, "", (answer,), "job", provenance={"before": before}) for prompt, answer in texts]
    long, longer, short = StudentSelect(str(tiny_model), most=1e9, max_length=120).refine(rows)
    for row, outcome in zip(rows, (long, longer), strict=False):
        assert (outcome.outcome, outcome.original) == ("kept", row)
        assert outcome.reason == "its instruction or its answer alone has more tokens than max_length, 120"
    assert not short.reason


def test_all_mistakes_are_told_at_once() -> None:
    with pytest.raises(ConfigError) as told:
        StudentSelect("", "loud", 0, "no", 3)  # type: ignore[arg-type]
    assert {problem.key for problem in told.value.problems} == {
        "student",
        "form",
        "most",
        "drop_unchanged",
        "max_length",
    }


def test_a_student_that_is_taught_anew_in_the_same_folder_is_another(tiny_model: Path, tmp_path: Path) -> None:
    from inscl.data.refiner_steps import steps_of

    folder = Path(shutil.copytree(tiny_model, tmp_path / "student"))
    chosen = [{"name": "select", "params": {"student": str(folder)}}]
    (before,), (same,) = steps_of(chosen), steps_of(chosen)
    assert before.fingerprint == same.fingerprint
    (weights,) = folder.glob("*.safetensors")
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(bytes(content))
    (after,) = steps_of(chosen)
    assert after.fingerprint != before.fingerprint
    (other,) = steps_of([{"name": "select", "params": {"student": str(folder), "most": 0.9}}])
    assert other.fingerprint != after.fingerprint
