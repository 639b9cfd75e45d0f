"""Every script of benchmarks/ starts and says what it takes; those that can run on next to nothing do."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
import scipy.stats

import forking
import inscl
from bench.cells import record
from streams import toy_config, toy_stream

ROOT = Path(__file__).parent.parent.parent
FOLDER = ROOT / "benchmarks"
SCRIPTS = sorted([*FOLDER.glob("*.py"), *FOLDER.glob("*/run.py")])
RECORDS = FOLDER / "results" / "bench_superni16" / "records"


def started(script: str, *options: object, cache: Path | None = None) -> subprocess.CompletedProcess[str]:
    """A script with its options, in a process of its own."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", **({"INSCL_CACHE": str(cache)} if cache else {})}
    command = [sys.executable, str(FOLDER / script), *map(str, options)]
    return forking.run(command, env=environment, timeout=300)


def output(script: str, *options: object, cache: Path | None = None) -> str:
    """What a script that must succeed printed."""
    done = started(script, *options, cache=cache)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return done.stdout


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> dict[str, Path]:
    """Two finished runs over one stream, by strategy, and `grid`, the file of a grid over the same."""
    folder = tmp_path_factory.mktemp("scripts")
    stream = toy_stream(folder / "stream")
    shared = toy_config(stream, tiny_model, folder / "grid")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("INSCL_CACHE", str(folder / "cache"))
        for strategy in ("random", "inscl"):
            inscl.run(toy_config(stream, tiny_model, folder / strategy, strategy=strategy))
    grid: dict[str, Any] = {"run": shared, "methods": ["random", "inscl"], "seeds": [0]}
    (folder / "grid.yaml").write_text(json.dumps(grid), encoding="utf-8")  # JSON is YAML
    return {name: folder / name for name in ("random", "inscl", "cache", "stream")} | {"grid": folder / "grid.yaml"}


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: str(path.relative_to(FOLDER)))
def test_says_what_it_takes(script: Path) -> None:
    said = output(str(script.relative_to(FOLDER)), "--help")
    assert said.startswith("usage: ")
    assert "-h, --help" in said


def test_training_speed(tiny_model: Path, pair: dict[str, Path], tmp_path: Path) -> None:
    out = tmp_path / "speed.json"
    options = ("--model", tiny_model, "--stream", pair["stream"], "--steps", 2, "--batch-size", 2)
    said = output("training_speed.py", *options, "--beside", "trainer", "--out", out)
    rows = json.loads(out.read_text(encoding="utf-8"))["rows"]
    assert [row["name"] for row in rows] == ["inscl FineTune", "transformers Trainer"]
    # Same model, rows, order and seed: the first step's loss is the same.
    assert rows[0]["first_loss"] == pytest.approx(rows[1]["first_loss"], rel=0.02)
    assert "transformers Trainer" in said


def test_evaluation_speed(tiny_model: Path, pair: dict[str, Path], tmp_path: Path) -> None:
    out = tmp_path / "speed.json"
    sizes = ("--model", tiny_model, "--precision", "fp32", "--rows", 3, "--max-new-tokens", 2)
    output("evaluation_speed.py", pair["stream"], *sizes, "--out", out)
    answers, likelihoods, after, whole = json.loads(out.read_text(encoding="utf-8"))["rows"]
    assert answers["questions"] == likelihoods["questions"] == after["questions"] > 0
    assert answers["different"] == 0
    assert max(likelihoods["largest_difference"], after["largest_difference"]) < 1e-4
    assert whole["padded_cpu_seconds"] == pytest.approx(
        answers["padded_cpu_seconds"] + likelihoods["padded_cpu_seconds"], abs=0.02
    )
    output("evaluation_speed.py", "demo", *sizes, "--tasks", 1, "--out", out)
    rows = json.loads(out.read_text(encoding="utf-8"))["rows"]
    found = {row["kind"]: row for row in rows}
    assert [*found][2:] == ["choices", "likelihoods after answers", "choices after answers", "all"]
    for choices in (found["choices"], found["choices after answers"]):
        assert choices["different"] == 0
        assert choices["options"] > choices["questions"] == 3
        assert choices["largest_difference"] < 1e-4


@pytest.mark.parametrize("k", [2, "fit"])
def test_icl_prefix(tiny_model: Path, pair: dict[str, Path], tmp_path: Path, k: int | str) -> None:
    out = tmp_path / "speed.json"
    sizes = ("--model", tiny_model, "--precision", "fp32", "--rows", 3, "--max-new-tokens", 2, "--k", k)
    output("icl_prefix.py", pair["stream"], *sizes, "--out", out)
    answers, likelihoods = json.loads(out.read_text(encoding="utf-8"))["rows"]
    assert answers["questions"] == likelihoods["questions"] > 0
    assert answers["prompt_tokens"] > 100 * answers["questions"]
    assert answers["different"] == 0
    assert likelihoods["largest_difference"] < 1e-4


def test_lower_states(tiny_model: Path, pair: dict[str, Path], tmp_path: Path) -> None:
    out = tmp_path / "speed.json"
    sizes = ("--model", tiny_model, "--precision", "fp32", "--rows", 4, "--replayed", 2, "--epochs", 2, "--adapted", 1)
    output("lower_states.py", pair["stream"], *sizes, "--out", out)
    *rows, tokens = json.loads(out.read_text(encoding="utf-8"))["rows"]
    assert [row["kind"] for row in rows] == ["first epochs", "later epochs", "first evaluations", "later evaluations"]
    assert all(row["largest_difference"] < 1e-3 for row in rows)
    assert tokens["found"] > tokens["computed"] > 0


def test_objective_speed(tiny_model: Path, tmp_path: Path) -> None:
    out = tmp_path / "speed.json"
    sizes = ("--model", tiny_model, "--precision", "fp32", "--rows", 4, "--turns", 1)
    output("objective_speed.py", *sizes, "--out", out)
    rows = {row["objective"]: row for row in json.loads(out.read_text(encoding="utf-8"))["objectives"]}
    assert list(rows) == ["answer", "distil", "kl_base", "kpig (margin)", "kpig (jsd)"]
    # What is compared is the same training.
    assert {(row["steps"], row["tokens"]) for row in rows.values()} == {(2, rows["answer"]["tokens"])}
    assert rows["answer"]["cpu_ratio"] == [1.0, 1.0, 1.0]


def test_choose_speed(tiny_model: Path, tmp_path: Path) -> None:
    out = tmp_path / "speed.json"
    output("choose_speed.py", "--model", tiny_model, "--questions", 6, "--repeats", 1, "--batch-size", 8, "--out", out)
    record = json.loads(out.read_text(encoding="utf-8"))
    assert record["questions"] == 6
    assert record["options"] >= 12
    assert record["largest difference of a log-probability"] < 1e-4


def test_beside_work(tiny_model: Path, tmp_path: Path) -> None:
    out = tmp_path / "beside.json"
    output("beside_work.py", "--model", tiny_model, "--steps", 2, "--threads", "sleeping", "--out", out)
    (row,) = json.loads(out.read_text(encoding="utf-8"))["rows"]
    assert row["kept"] == pytest.approx(row["beside"] / row["alone"], abs=0.01)


def test_share_effect(tmp_path: Path) -> None:
    losses = {"random": 1.0, "measured": 2.0}
    for name, loss in losses.items():
        one = record(name, metric="answer_loss", allocation=[{}, {"a": {"random": 4, "measured": 1}[name]}])
        one["experts"], one["scores"] = (
            {"answer_loss": [1.0, 1.0]},
            {"answer_loss": [[None, None], [1.0, None], [loss, 1.0]]},
        )
        one["key"] = name
        (tmp_path / f"{name}.json").write_text(json.dumps(one), encoding="utf-8")
    (row,) = map(json.loads, output("share_effect.py", tmp_path, "--equal", 4).splitlines())
    assert (row["share"], row["pairs"], row["gain"], row["reference"]) == ("fewer", 1, 36.8, 100.0)
    assert row["difference"] == -63.2


def test_levers(tmp_path: Path) -> None:
    """Two seeds of two methods; the loss of the first task is what differs, and half of its questions hold it all."""
    for method, low in (("random", 1.0), ("inscl", 2.0)):
        for seed, shift in enumerate((0.0, 0.5)):
            losses = [2 * (low + shift), 0.0] * 20
            asked = {
                task: {"ids": list(range(40)), "instructions": [0] * 40, "scores": {"answer_loss": losses}}
                for task in "ab"
            }
            one = record(method, seed=seed, metric="answer_loss", questions=asked, key=f"{method}{seed}")
            one["experts"] = {"answer_loss": [1.0 - shift, 1.0]}
            one["scores"] = {"answer_loss": [[None, None], [1.0, None], [low + shift, 1.0]]}
            (tmp_path / f"{method}{seed}.json").write_text(json.dumps(one), encoding="utf-8")
    rows = {row["setting"]: row for row in map(json.loads, output("levers.py", tmp_path).splitlines())}
    own = {method: [100 * np.exp(1.0 - shift - low - shift) for shift in (0.0, 0.5)] for method, low in
           (("random", 1.0), ("inscl", 2.0))}  # fmt: skip
    apart = [seeds[0] - seeds[1] for seeds in own.values()]
    assert rows["mean of ratios"]["noise"] == pytest.approx(float(np.sqrt(np.mean(np.square(apart)))), abs=0.01)
    signal = np.mean(own["random"]) - np.mean(own["inscl"])
    assert rows["mean of ratios"]["signal"] == pytest.approx(signal, abs=0.01)
    # With the mean expert, 0.75, seeds differ by the losses at the end alone.
    shared = [np.exp(0.75 - low) - np.exp(0.25 - low) for low in (1.0, 2.0)]
    noise = 100 * float(np.sqrt(np.mean(np.square(shared))))
    assert rows["mean over seeds, mean of ratios"]["noise"] == pytest.approx(noise, abs=0.01)
    assert rows["40 of each task"]["noise"] == rows["mean of ratios"]["noise"] != rows["15 of each task"]["noise"]
    assert rows["paired by seed"]["noise"] < rows["drawn anew"]["noise"]


def test_registered(tmp_path: Path) -> None:
    """A is a clear loss, C a clear gain, and E, the second of Holm's steps, is neither."""
    lasts = {
        "random": (1.0, 1.1, 1.2, 1.3),
        "measured": (2.0, 2.11, 2.2, 2.32),
        "random, averaged": (0.5, 0.6, 0.71, 0.8),
        "inscl": (1.1, 1.0, 1.3, 1.2),
    }
    for method, losses in lasts.items():
        for seed, loss in enumerate(losses):
            one = record(method, seed=seed, metric="answer_loss", key=f"{method}{seed}")
            one["metrics"] = {"answer_loss": {"unit": "nats", "better": "lower"}}
            one["experts"] = {"answer_loss": [0.5, 0.5]}
            one["scores"] = {"answer_loss": [[None, None], [0.5, None], [loss, 0.5]]}
            (tmp_path / f"{method}{seed}.json").write_text(json.dumps(one), encoding="utf-8")
    rows = {row["comparison"]: row for row in map(json.loads, output("registered.py", tmp_path).splitlines())}
    assert list(rows) == ["A", "C", "E"]
    assert [rows[letter]["verdict"] for letter in rows] == ["worse", "better", "no difference shown"]
    assert [rows[letter]["level"] for letter in rows] == [97.5, 98.75, 98.33]
    gains = {method: 100 * np.exp(0.5 - np.array(losses)) for method, losses in lasts.items()}
    for letter, method, level in (("A", "measured", 0.975), ("E", "inscl", 1 - 0.05 / 3)):
        test = scipy.stats.ttest_rel(gains[method], gains["random"])
        assert rows[letter]["p"] == pytest.approx(test.pvalue, rel=0.05)
        assert rows[letter]["t"] == pytest.approx(list(test.confidence_interval(level)), abs=0.06)
    # Average performance is of both tasks, of which the second is always at 0.5 nats.
    halves = (np.array(lasts["random, averaged"]) - np.array(lasts["random"])) / 2
    assert rows["C"]["mean"] == pytest.approx(halves.mean(), abs=6e-4)


def test_publish_run(pair: dict[str, Path]) -> None:
    said = output("publish_run.py", pair["inscl"])
    assert "**Matrix** (rouge_l, percent" in said
    assert "| 3 length |" in said
    assert "error: configuration: no run there" in started("publish_run.py", pair["stream"]).stderr


def test_show_tags(tmp_path: Path) -> None:
    texts = ["Translate the sentence into French.", "Count the words of the sentence.", "Name the capital."]
    rows = [{"task": f"t{k % 2}", "source_task": f"s{k}", "instruction": text} for k, text in enumerate(texts)]
    pa.parquet.write_table(pa.Table.from_pylist(rows), tmp_path / "tasks.parquet")
    said = output("show_tags.py", tmp_path, "--count", 2)
    assert "3 distinct instructions" in said
    assert "| t0 | " in said
    assert "| t1 | " in said
    assert "no Parquet files" in started("show_tags.py", tmp_path / "nowhere").stderr


def test_learning_course(pair: dict[str, Path], tmp_path: Path) -> None:
    out = tmp_path / "course.json"
    output("learning_course.py", RECORDS, pair["inscl"], "--out", out)
    rows = json.loads(out.read_text(encoding="utf-8"))["rows"]
    kept = json.loads((FOLDER / "results" / "learning_course.json").read_text(encoding="utf-8"))["rows"]
    # The committed numbers of the committed records, again.
    assert [row for row in rows if "cell" in row] == [row for row in kept if "cell" in row]
    assert len(rows[-1]["loss_later_half"]) == 3


def test_regimes(tmp_path: Path) -> None:
    """Joint training is 60 points above No Replay; two seeds are 6 points apart; a method that replays is not read."""
    for folder, apart in (("good", 3.0), ("noisy", 12.0)):
        records = tmp_path / folder / "records"
        records.mkdir(parents=True)
        for seed in range(3):
            for strategy, last in (("none", 15.0), ("joint", 45.0), ("random", 1000.0 * seed)):
                training = {"learning_rate": 1e-3, "batch_size": 1, "epochs": 1}
                config = {
                    "stream": {"train_per_task": 32, "test_per_task": 16},
                    "model": {"adapter": {"kind": "lora"}},
                    "training": training,
                    "replay": {"strategy": strategy},
                }
                one = record(strategy, last + (apart if seed else 0.0), seed=seed, budget=None, config=config)
                one["key"] = f"{strategy}{seed}"
                (records / f"{one['key']}.json").write_text(json.dumps(one), encoding="utf-8")
    out = tmp_path / "regimes.json"
    said = output("regimes.py", *(tmp_path / name / "records" for name in ("noisy", "good")), "--out", out)
    assert "chosen: good, rouge_l, relative_gain_final" in said
    rows = json.loads(out.read_text(encoding="utf-8"))["rows"]
    assert [row["regime"] for row in rows] == ["good", "noisy"]
    # Of three pairs of seeds two are twice 3 points apart: relative gain is twice the score.
    noise = (2 / 3 * 6.0**2) ** 0.5
    assert (rows[0]["signal"], rows[0]["seconds"]) == (60.0, 66.0)
    assert rows[0]["noise"] == pytest.approx(noise, abs=1e-3)
    assert rows[0]["ratio"] == pytest.approx(60 / noise, abs=1e-3)


def test_metric_noise(tmp_path: Path) -> None:
    records, out = tmp_path / "records", tmp_path / "noise.json"
    records.mkdir()
    scales = {"rouge_l": {"unit": "percent", "better": "higher"}, "answer_loss": {"unit": "nats", "better": "lower"}}
    for method, last, loss in (("none", 20.0, 2.0), ("random", 40.0, 1.0)):
        for seed, shift in enumerate((0.0, 3.0)):
            one = record(method, seed=seed, metrics=scales)
            one["scores"] = {
                "rouge_l": [[None, None], [50.0, None], [last + shift, 60.0]],
                "answer_loss": [[None, None], [0.5, None], [loss + shift / 30, 0.5]],
            }
            one["experts"] = {"rouge_l": [50.0, 80.0], "answer_loss": [0.5, 0.5]}
            one["cost"] |= {"evaluate_text_seconds": 40.0 + shift, "evaluate_likelihood_seconds": 4.0}
            one["key"] = f"{method}-{seed}"
            (records / f"{one['key']}.json").write_text(json.dumps(one), encoding="utf-8")
    output("metric_noise.py", records, "--out", out)
    rows = {(row["metric"], row["number"]): row for row in json.loads(out.read_text(encoding="utf-8"))["rows"]}
    rouge, loss = rows["rouge_l", "backward_transfer"], rows["answer_loss", "backward_transfer"]
    assert (rouge["noise"], rouge["pairs"], rouge["seconds"]) == (3.0, 2, 41.5)
    assert (loss["noise"], loss["unit"], loss["seconds"]) == (0.1, "nats", 4.0)
    # Methods lie 20 points, or one nat, apart: their standard deviation over the noise.
    assert rouge["separation"] == pytest.approx(20 / 2**0.5 / 3, abs=0.01)
    assert loss["separation"] == pytest.approx(1 / 2**0.5 / 0.1, abs=0.01)
    assert ("answer_loss", "perplexity_gain_final") in rows


def test_plan_overlap(pair: dict[str, Path], tmp_path: Path) -> None:
    out = tmp_path / "overlap.json"
    output("plan_overlap.py", pair["grid"], "--budgets", 2, "--out", out, cache=pair["cache"])
    rows = json.loads(out.read_text(encoding="utf-8"))["rows"]
    assert [(row["strategy"], row["picks"], row[f"as_{row['strategy']}"]) for row in rows] == [
        ("random", 6, 1.0),
        ("inscl", 6, 1.0),
    ]


def test_tagger_part(pair: dict[str, Path], tmp_path: Path) -> None:
    out = tmp_path / "part.json"
    output("tagger_part.py", pair["grid"], "--out", out)
    rows = json.loads(out.read_text(encoding="utf-8"))["rows"]
    assert [row["tagger"] for row in rows] == ["keyphrases", "words", "shuffled"]
    assert rows[0]["first_alike"] == 1.0


def test_replayed_instructions(pair: dict[str, Path], tmp_path: Path) -> None:
    out = tmp_path / "replayed.json"
    output("replayed_instructions.py", "--pair", pair["random"], pair["inscl"], "--out", out)
    groups = json.loads(out.read_text(encoding="utf-8"))["groups"]
    # The test questions of the two tasks before the last; each is in one group.
    expected = sum(len(task.test) for task in inscl.load_stream(str(pair["stream"])) if task.name != "length")
    assert groups["all"]["questions"] == expected
    assert sum(group["questions"] for name, group in groups.items() if name != "all") == expected


def test_memory_store(tmp_path: Path) -> None:
    out = tmp_path / "store.json"
    sizes = ("--tasks", 2, "--rows", 20, "--instructions", 4, "--per-task", 3)
    output("memory_store.py", *sizes, "--strategies", "inscl", "random", "--out", out)
    planned = json.loads(out.read_text(encoding="utf-8"))["planned"]
    assert {name: (row["examples"], row["picks"]) for name, row in planned.items()} == {
        "inscl": (40, 6),
        "random": (40, 6),
    }


def test_growth(tmp_path: Path) -> None:
    output("growth.py", "--tasks", 2, "--folder", tmp_path / "work", "--out", tmp_path / "growth")
    found = json.loads((tmp_path / "growth.json").read_text(encoding="utf-8"))
    assert [row["stage"] for row in found["stages"]] == [1, 2]
    assert (tmp_path / "growth.svg").read_text(encoding="utf-8").startswith("<svg")


def test_refiners_of_a_small_writer(tiny_model: Path, pair: dict[str, Path], tmp_path: Path) -> None:
    out, work = tmp_path / "yield.json", tmp_path / "work"
    sizes = ("--rows", 2, "--test-rows", 2, "--max-tokens", 4, "--folder", work)
    models = ("--model", f"local:{tiny_model}", "--student", tiny_model)
    output("refiner_yield.py", pair["stream"], *sizes, *models, "--refiners", "reflection", "--out", out)
    (reflection,) = json.loads(out.read_text(encoding="utf-8"))["rows"]
    # The tiny model's context is shorter than any question, in both stages.
    assert reflection["left_out"] == {"too long for the model": 12}
    assert (reflection["given"], reflection["kept"], reflection["made"]) == (6, 6, 0)
    arms = ("--arm", f"original={work / 'original'}", "--arm", f"both={work / 'original'},{work / 'reflection'}")
    sizes = ("--test-rows", 2, "--seeds", 0, "--model", tiny_model)
    output("refined_training.py", pair["stream"], *arms, *sizes, "--untrained", "--out", out)
    original, both, untrained = json.loads(out.read_text(encoding="utf-8"))["rows"]
    # The same rows in another folder teach the same.
    assert original["train_rows"] == both["train_rows"] == 6
    assert both["answer_loss_difference"] == {"mean": 0.0, "low": 0.0, "high": 0.0}
    assert untrained["train_rows"] == 0
    assert untrained["answer_loss"] != original["answer_loss"]


def test_what_the_docs_say_of_refiners_is_what_was_recorded() -> None:
    results = FOLDER / "results"
    recorded = json.loads((results / "refiner_yield.json").read_text(encoding="utf-8"))["forced"]["rows"]
    cases = json.loads((results / "refiner_hand_read.json").read_text(encoding="utf-8"))["cases"]
    said = (ROOT / "docs" / "refining.md").read_text(encoding="utf-8")
    for row in recorded:
        name = row["refiner"]
        left = row["kept"] + row["replaced"] if name == "select" else row["made"]
        verdicts = [case["verdict"] for case in cases if case["refiner"] == name]
        read = " / ".join(str(verdicts.count(one)) for one in ("better", "equal", "worse")) if verdicts else "–"
        assert f"| `{name}` | {row['given']} | {left} | {read} |" in said
        assert len(verdicts) == left
    assert len({(case["refiner"], case["id"]) for case in cases}) == len(cases)


@pytest.mark.browser
@pytest.mark.usefixtures("browser")
def test_picture(tmp_path: Path) -> None:
    (tmp_path / "report.html").write_text("<p>A report.</p>", encoding="utf-8")
    output("picture.py", tmp_path / "report.html", tmp_path / "report.png")
    assert (tmp_path / "report.png").read_bytes().startswith(b"\x89PNG")


def films(folder: Path) -> Path:
    """A made-up history in the layout of the three files: twelve users who like every other film."""
    folder.mkdir()
    header = "user_id:token\titem_id:token\trating:float\ttimestamp:float"
    rows = [f"{k % 12}\t{k // 12}\t{2 + 3 * (k // 12 % 2)}\t{k // 24}" for k in range(240)]
    (folder / "ml-100k.inter").write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    header = "item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq"
    rows = [f"{k}\tFilm {k}\t{1970 + k}\t{('Comedy', 'Drama Crime')[k % 2]}" for k in range(20)]
    (folder / "ml-100k.item").write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    header = "user_id:token\tage:token\tgender:token\toccupation:token\tzip_code:token"
    rows = [f"{k}\t{20 + k}\t{'MF'[k % 2]}\twriter\t1" for k in range(12)]
    (folder / "ml-100k.user").write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return folder


def test_movielens(tiny_model: Path, tmp_path: Path) -> None:
    data, out, cache = films(tmp_path / "data"), tmp_path / "out.json", tmp_path / "cache"
    given = ("--folder", data, "--model", tiny_model, "--targets", 12, "--max-length", 512, "--resamples", 50)
    said = output("movielens.py", "zero-shot", *given, "--k", 2, 99, "--out", out, cache=cache)
    assert "240 ratings; 240 of them share user and time with another" in said
    few, everything = json.loads(out.read_text(encoding="utf-8"))["rows"]
    assert (few["targets"], few["targets_with_more_than_k"], everything["targets_with_more_than_k"]) == (12, 12, 0)
    # More items than there are: both ways show the same prompts.
    assert everything["recent"] == everything["retrieved"]
    assert {name: one["value"] for name, one in everything["difference"].items()} == {
        "auc": 0,
        "log_loss": 0,
        "accuracy": 0,
    }
    assert 0 <= few["recent"]["auc"]["interval"][0] <= few["recent"]["auc"]["value"] <= 1
    output("movielens.py", "train", *given, "--k", 2, "--rows", 4, "--out", out, cache=cache)
    (row,) = json.loads(out.read_text(encoding="utf-8"))["rows"]
    assert {"reit, retrieved", "plain, recent", "difference"} <= set(row)
    output("movielens.py", "stream", *given, "--k", 2, "--rows", 9, "--to", tmp_path / "stream", cache=cache)
    (task,) = inscl.load_stream({"path": str(tmp_path / "stream" / "tasks"), "metadata": ["past"]}).tasks
    assert (len(task.train), len(task.test)) == (9, 12)
    assert all(example.metadata["past"]["items"] for example in task.train)
    refused = started("movielens.py", "stream", *given, "--to", FOLDER / "results" / "movielens", cache=cache)
    assert "lies inside this repository" in refused.stderr


def test_planning_scale_compares_allocations_from_summaries_with_exact_ones() -> None:
    said = output("planning_scale.py", "--made", 4, "--made-instructions", 100, "--part", "accuracy:made")
    found = json.loads(said.splitlines()[-1])
    assert found["tasks"] == 5
    assert found["64 points"]["outside"] == 0
    assert 0 < found["64 points"]["largest_relative_error_of_a_distance"] < 0.2


def test_scale_curves_are_measured_and_extrapolated(tmp_path: Path) -> None:
    out = tmp_path / "curves.json"
    said = output("scale_curves.py", "--rows", 200, 400, "--parts", "read", "--out", out, "--table")
    rows = [line.split("|") for line in said.splitlines() if line.startswith("| `read`")]
    assert [len(row) for row in rows] == [7, 7]
    assert rows[0][2].endswith(" s ")
    assert rows[1][-2].startswith(" *")
    assert "| *1,000,000,000* |" in said
    parts = json.loads(out.read_text(encoding="utf-8"))["parts"]
    assert {int(rows) for rows in parts["read"]} == {200, 400}


def test_the_plain_loops_allocate_as_the_package_does(tmp_path: Path) -> None:
    rng, cache = np.random.default_rng(0), tmp_path / "cache"
    for name in ("one", "two", "three", "four"):
        rows = [
            {
                "split": "train",
                "instruction": f"{rng.choice(['Sort', 'Grade', 'Translate'])} the {name} of case {k % 7}.",
            }
            for k in range(40)
        ]
        pyarrow.parquet.write_table(pa.Table.from_pylist(rows), tmp_path / f"{name}.parquet")
    said = output(
        "planning_published.py", tmp_path, "--embedder", "ngrams", "--per-task", 9, "--repeat", 1, cache=cache
    )
    ways = json.loads(said[said.index("\n") :])
    assert ways["plain"]["largest_difference_of_an_allocation"] == 0


def test_learners_are_compared_on_the_same_questions_and_with_their_costs(tmp_path: Path) -> None:
    def write(name: str, first: list[float], last: list[float], matrix: list[list[float | None]]) -> None:
        asked = {
            task: {"ids": ids, "instructions": [0] * len(ids), "scores": {"exact_match": scores}}
            for task, ids, scores in (("a", ["1", "2"], first), ("b", ["3"], last))
        }
        cost = {"tokens": 1234, "prompt_tokens_per_answer": 7.0, "seconds_per_answer": 0.5, "state_bytes": 4096.0}
        made = {"cell": {"method": name, "seed": 0}, "metrics": {"exact_match": {"better": "higher"}}, "cost": cost}
        made |= {"tasks": ["a", "b"], "questions": asked, "scores": {"exact_match": matrix}}
        (tmp_path / f"{name}.json").write_text(json.dumps(made), encoding="utf-8")

    write("tuned", [1.0, 1.0], [1.0], [[None, None], [100.0, None], [50.0, 100.0]])
    write("shown", [0.0, 0.0], [1.0], [[None, None], [0.0, None], [0.0, 100.0]])
    said = output("learners_table.py", tmp_path, "--reference", "shown", "--metrics", "exact_match")
    assert "| tuned | 1 | 100.0 (100.0 to 100.0) | +50.0 (50.0 to 50.0) | 50.0 |" in said
    assert "| shown | 1 | 50.0 (50.0 to 50.0) |  | 0.0 |" in said
    assert "| tuned | 1,234 | 7 | 0.50 | 2,048 |" in said
