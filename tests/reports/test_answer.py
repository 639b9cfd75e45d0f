"""The sentence that leads the page."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from inscl.reports.answer import answer, caution, precision
from inscl.storage.run.finished_run import load_runs
from reports.conftest import seal_run

WriteRun = Callable[..., Path]


def said(*folders: Path) -> str:
    return answer(load_runs(folders)).replace("\u00a0", " ")


def test_relative_gain_when_experts_were_evaluated(two_runs: list[Path]) -> None:
    assert said(*two_runs) == (
        "After 5 tasks, InsCL kept 89 % of what experts reach on earlier tasks; No Replay kept 55 %."
    )


def test_average_and_forgetting_without_experts(write_run: WriteRun) -> None:
    first = write_run("a", experts=False)
    second = write_run("b", strategy="none", label="No Replay", loss=14, experts=False)
    assert said(first, second) == (
        "After 5 tasks, InsCL scores 82 % on average over all of them (Rouge-L); No Replay scores 57 %. "
        "Of the best score that each earlier task had, points lost on average: InsCL 3.8, No Replay 35.0."
    )


def test_one_run_without_experts_is_enough_to_fall_back(write_run: WriteRun) -> None:
    assert "on average over all of them" in said(write_run("a"), write_run("b", label="Other", experts=False))


def test_a_decimal_where_rounding_would_hide_a_difference(write_run: WriteRun) -> None:
    text = said(write_run("a", loss=1.5), write_run("b", label="Other", loss=1.6))
    assert "InsCL kept 88.9 %" in text
    assert "Other kept 88.6 %" in text


def test_unfinished_runs_say_how_far_they_are(write_run: WriteRun) -> None:
    text = said(write_run("a"), write_run("b", label="Random", loss=6, finished=3), write_run("c", label="New", loss=2))
    assert text == (
        "InsCL and New have learned all 5 tasks; Random has learned 3 of 5 tasks so far. "
        "After stage 3, InsCL scores 84.5 % on the first 3 tasks on average (Rouge-L); "
        "Random scores 80.0 %; New scores 84.0 %."
    )


def test_nothing_scored(write_run: WriteRun) -> None:
    folder = write_run("a", finished=0)
    (folder / "scores.json").unlink()
    assert said(folder) == "InsCL has learned 0 of 5 tasks so far."


def test_one_task(write_run: WriteRun) -> None:
    assert said(write_run("a", finished=1, tasks=("Only",), experts=False)).startswith(
        "After 1 task, InsCL scores 87 % on average"
    )


def test_other_data_is_pointed_out(write_run: WriteRun) -> None:
    runs = load_runs([write_run("a"), write_run("b", label="Other", metrics=("exact_match",))])
    assert caution(runs) == ["Other is scored first by exact match, InsCL by Rouge-L."]
    manifest = runs[1].folder / "manifest.json"
    # A stream that differs in what is held out alone was learned alike.
    manifest.write_bytes(manifest.read_bytes().replace(b"ab" * 16, b"99" * 16).replace(b"cd" * 16, b"88" * 16))
    seal_run(runs[1].folder)
    assert len(caution(load_runs([run.folder for run in runs]))) == 2
    manifest.write_bytes(manifest.read_bytes().replace(b"0f" * 8, b"77" * 8, 1))
    seal_run(runs[1].folder)
    assert len(caution(load_runs([run.folder for run in runs]))) == 3


def test_precision_says_seeds_and_examples(two_runs: list[Path]) -> None:
    said = precision(load_runs(two_runs), "rouge_l")
    assert said == "One seed; each score is of 24 test examples, ± one standard error."


def test_a_loss_in_words(write_run: WriteRun) -> None:
    metrics = ("answer_loss", "rouge_l")
    assert said(write_run("a", metrics=metrics)) == (
        "After 5 tasks, InsCL kept 77 % of the experts' likelihood per answer token on earlier tasks."
    )
    without = said(write_run("b", metrics=metrics, experts=False))
    assert "InsCL scores 0.450 nats on average over all of them (answer loss, lower is better)." in without
    assert without.endswith("Of the best score that each earlier task had, nats lost on average: InsCL 0.094.")
