"""A package that adds a strategy and a learner, built and installed for real, into a folder of its own."""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from streams import toy_config, toy_stream

PACKAGE = Path(__file__).parent / "plugin_package"


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Variables of a process that has the plugin installed, and not only its source on the path."""
    folder = tmp_path_factory.mktemp("plugin")
    # The build leaves files beside the source, so it works on a copy.
    source = shutil.copytree(PACKAGE, folder / "source")
    site = folder / "site"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--target"]
    subprocess.run([*pip, str(site), str(source)], check=True, timeout=300)
    shutil.rmtree(source)
    return {**os.environ, "PYTHONPATH": str(site), "COLUMNS": "200"}


def inscl(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    script = "from inscl.cli import main; main()"
    command = [sys.executable, "-c", script, *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)


def python(environment: dict[str, str], script: str) -> str:
    command = [sys.executable, "-c", script]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=300).stdout


def test_list_shows_the_plugin_with_its_first_line(environment: dict[str, str]) -> None:
    shown = inscl(environment, "list")
    assert shown.returncode == 0, shown.stderr
    assert "newest" in shown.stdout
    assert "Rehearse the task learned last" in shown.stdout


def test_list_goes_on_after_a_broken_plugin(environment: dict[str, str]) -> None:
    shown = inscl(environment, "list").stdout
    assert "outdated" in shown
    assert "keyphrases" in shown


def test_doctor_names_the_broken_plugin_its_package_and_the_reason(environment: dict[str, str]) -> None:
    told = inscl(environment, "doctor")
    assert "outdated" in told.stdout
    assert "inscl-plugin-example" in told.stdout
    assert "a_package_that_is_not_installed" in told.stdout
    assert "Traceback" not in told.stdout + told.stderr


def test_the_plugin_is_created_by_name_and_plans(environment: dict[str, str]) -> None:
    script = """
import json
import numpy as np
from inscl.config import kinds
from inscl.contract import Example, Memory, Task
from inscl.replay import Budget

def task(name, size):
    return Task(name, tuple(Example("Do it.", f"{name} {k}", ("done",), name) for k in range(size)))

strategy = kinds.create("strategies", "newest")
memory = Memory((task("old", 9), task("new", 4)))
plan = strategy.plan(memory, task("next", 5), Budget(total=6), np.random.default_rng(0))
print(json.dumps([type(strategy).__module__, plan.allocation, len(plan.examples)]))
"""
    module, allocation, count = json.loads(python(environment, script))
    assert module == "inscl_plugin_example.newest"
    assert allocation == {"old": 2, "new": 4}
    assert count == 6


def test_the_plugin_passes_the_check_for_authors(environment: dict[str, str]) -> None:
    script = """
from inscl.config import kinds
from inscl.testing import check_strategy

check_strategy(lambda: kinds.create("strategies", "newest"))
"""
    python(environment, script)


def test_a_configuration_with_the_broken_plugin_is_refused_with_a_remedy(environment: dict[str, str]) -> None:
    script = """
from inscl.config.loading import load_config
from inscl.errors import ConfigError

try:
    load_config({"replay": {"strategy": "newest", "tagger": "outdated"}})
except ConfigError as error:
    print(error)
"""
    message = python(environment, script)
    assert "replay.tagger" in message
    assert "inscl-plugin-example" in message
    assert "uninstall" in message


def test_the_plugin_is_a_row_of_a_grid(environment: dict[str, str], tmp_path: Path) -> None:
    """Its cells run in processes of their own, which find the plugin as this one does."""
    model = tmp_path / "model"
    model.mkdir()
    (model / "config.json").write_text("{}")
    (model / "model.safetensors").write_bytes(b"")
    replay = {"budget": {"per_task": 2}, "embedder": "ngrams", "tag_embedder": None}
    run = toy_config(toy_stream(tmp_path / "stream"), model, tmp_path / "unused")
    run = {**run, "replay": replay, "training": {"learner": "parrot", "epochs": 1, "batch_size": 4}}
    run["evaluation"] = {"experts": True}
    grid = {"run": run, "methods": ["random", "newest"], "seeds": 1, "output_dir": str(tmp_path / "grid")}
    (tmp_path / "grid.yaml").write_text(yaml.safe_dump(grid), encoding="utf-8")
    done = inscl({**environment, "INSCL_CACHE": str(tmp_path / "cache")}, "bench", str(tmp_path / "grid.yaml"))
    assert done.returncode == 0, done.stdout + done.stderr
    records = [json.loads(path.read_text()) for path in (tmp_path / "grid" / "records").glob("*.json")]
    allocations = {record["cell"]["method"]: record["allocation"] for record in records}
    assert allocations["random"][2] == {"upper": 2, "backwards": 2}
    assert allocations["newest"][2] == {"backwards": 4}
    table = (tmp_path / "grid" / "table.md").read_text(encoding="utf-8")
    assert re.search(r"^\| newest \| 1 \|", table, re.MULTILINE)
    assert "Steps matched with random (within 1 % in every pair): newest." in table


def test_a_run_trains_by_the_plugin_s_adapter_and_objective(
    environment: dict[str, str], tiny_model: Path, tmp_path: Path
) -> None:
    toy_stream(tmp_path / "stream")
    settings = toy_config(tmp_path / "stream", tiny_model, tmp_path / "run")
    settings["model"]["adapter"] = {"kind": "norms", "also": "lm_head"}
    settings["training"] = {**settings["training"], "objective": {"name": "gentle", "params": {"replayed": 0.25}}}
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
    done = inscl(environment, "run", str(tmp_path / "run.yaml"))
    assert done.returncode == 0, done.stderr
    learned = json.loads((tmp_path / "run" / "stages" / "03-length" / "model" / "learner.json").read_text())
    assert learned["adapter"] == {"kind": "norms", "also": "lm_head"}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("model.adapter={kind: norms, alsso: x}", "model.adapter.alsso"),
        ("training.objective={name: gentle, params: {replaid: 1}}", "training.objective.params.replaid"),
        ("training.objective=gentel", "gentle"),
        ("training.params={epoch: 3}", "training.params.epoch"),
    ],
)
def test_a_typo_in_a_parameter_leaves_nothing_on_disk(
    environment: dict[str, str], tiny_model: Path, tmp_path: Path, change: str, said: str
) -> None:
    toy_stream(tmp_path / "stream")
    settings = toy_config(tmp_path / "stream", tiny_model, tmp_path / "run")
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
    done = inscl(environment, "run", str(tmp_path / "run.yaml"), "--set", change)
    assert done.returncode == 2, done.stdout
    assert said in done.stderr
    assert not (tmp_path / "run").exists()


def test_a_run_is_scored_by_the_plugin_s_scorer_and_measure(
    environment: dict[str, str], tiny_model: Path, tmp_path: Path
) -> None:
    toy_stream(tmp_path / "stream")
    rows = [{"instruction": "Grade.", "input": f"text {k}", "output": ("good", "bad")[k % 2]} for k in range(20)]
    lines = "".join(json.dumps({**row, "split": "test" if k < 4 else "train"}) + "\n" for k, row in enumerate(rows))
    (tmp_path / "stream" / "grade.jsonl").write_text(lines)
    settings = toy_config(tmp_path / "stream", tiny_model, tmp_path / "run")
    settings["stream"]["order"] = ["upper", "grade"]
    settings["evaluation"] = {**settings["evaluation"], "metrics": ["first_line", "confidence"]}
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
    done = inscl(environment, "run", str(tmp_path / "run.yaml"))
    assert done.returncode == 0, done.stderr
    assert "confidence is undefined for task upper" in done.stderr
    cells = {
        (cell["stage"], cell["task"]): cell["scores"]
        for cell in json.loads((tmp_path / "run" / "scores.json").read_text())["cells"]
    }
    assert set(cells[2, "upper"]) == {"first_line"}
    lines = (tmp_path / "run" / "stages" / "02-grade" / "predictions" / "grade.jsonl").read_text().splitlines()
    options = [json.loads(line)["option_log_probabilities"] for line in lines]
    expected = 100 * sum(math.exp(max(known)) for known in options) / len(options)
    assert cells[2, "grade"]["confidence"]["mean"] == pytest.approx(expected)
    assert 50 <= expected <= 100


@pytest.mark.parametrize("name", ["tidy", "first_line", "confidence"])
def test_the_guide_has_the_code_of_the_package_word_for_word(name: str) -> None:
    code = (PACKAGE / "inscl_plugin_example" / f"{name}.py").read_text(encoding="utf-8")
    assert f"```python\n{code}```" in (PACKAGE.parents[1] / "docs" / "extending.md").read_text(encoding="utf-8")


@pytest.fixture
def untidy(tmp_path: Path) -> Path:
    """A stream of which the first task's inputs have too many spaces, and one of them too many characters."""
    stream = toy_stream(tmp_path / "stream")
    rows = [json.loads(line) for line in (stream / "upper.jsonl").read_text().splitlines()]
    for row in rows:
        row["input"] = f"{row['input']}   end"
        row["output"] = row["input"].upper()
    kept = {**rows[0], "input": "tidy already", "split": "train"}
    long = {**rows[0], "input": "far too long " * 9, "split": "train"}
    rows = [{**row, "split": "test" if k % 5 == 0 else "train"} for k, row in enumerate(rows)]
    lines = [json.dumps(row) for row in (*rows, kept, long)]
    (stream / "upper.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return stream


def parroted(stream: Path, folder: Path) -> dict[str, object]:
    """A run of `stream` by the plugin's learner, which needs no model."""
    model = folder / "no-model"
    model.mkdir(exist_ok=True)
    (model / "config.json").write_text("{}")
    (model / "model.safetensors").write_bytes(b"")
    settings = toy_config(stream, model, folder / "run")
    settings["stream"]["refine"] = [{"name": "tidy", "params": {"longest": 40}}]
    del settings["model"]["adapter"]
    return {**settings, "training": {"learner": "parrot", "epochs": 1, "batch_size": 4}}


def rows_of(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_the_plugin_s_refiner_passes_the_check(environment: dict[str, str]) -> None:
    python(
        environment,
        "from inscl.config import kinds; from inscl.testing import check_refiner\n"
        "check_refiner(lambda: kinds.create('refiners', 'tidy', {'longest': 12}))",
    )


def test_the_plugin_refines_a_stream_on_disk(environment: dict[str, str], untidy: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    for typo, said in (("longst=40", "did you mean 'longest'"), ("longest=0", "at least 1 was expected")):
        done = inscl(environment, "refine", str(untidy), str(out), "--with", "tidy", "--set", typo)
        assert (done.returncode, said in done.stderr) == (2, True), done.stderr
        assert not out.exists()
    done = inscl(environment, "refine", str(untidy), str(out), "--with", "tidy", "--set", "longest=40")
    assert done.returncode == 0, done.stderr
    assert "upper: 1 kept, 12 replaced, 0 added, 1 rejected" in done.stdout
    made = [row for row in rows_of(out / "tasks" / "upper.jsonl") if "provenance" in row]
    assert {(row["provenance"]["refiner"], row["provenance"]["how"]) for row in made} == {  # type: ignore[index]
        ("tidy", "white space collapsed")
    }
    assert all("   " not in str(row["input"]) for row in made)
    (long,) = (row for row in rows_of(out / "rejected.jsonl") if "characters" in row)
    assert long["reason"] == f"the input has {long['characters']} characters"


def test_a_run_is_refined_by_the_plugin(environment: dict[str, str], untidy: Path, tmp_path: Path) -> None:
    settings = parroted(untidy, tmp_path)
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
    quiet = {**environment, "INSCL_CACHE": str(tmp_path / "cache")}
    typo = inscl(quiet, "run", str(tmp_path / "run.yaml"), "--set", "stream.refine=[{name: tidy, params: {longst: 1}}]")
    assert (typo.returncode, "stream.refine.0.params.longst" in typo.stderr) == (2, True), typo.stderr
    assert not (tmp_path / "run").exists()
    done = inscl(quiet, "run", str(tmp_path / "run.yaml"))
    assert done.returncode == 0, done.stderr
    assert len(rows_of(tmp_path / "run" / "rejected.jsonl")) == 13
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text())
    assert manifest["plugins"]["refiners/tidy"] == "inscl-plugin-example 1.0"
    replayed = rows_of(tmp_path / "run" / "stages" / "02-backwards" / "replay.jsonl")
    assert [row["provenance"]["refiner"] for row in replayed if "provenance" in row]  # type: ignore[index]


def test_a_workspace_is_refined_by_the_plugin(environment: dict[str, str], untidy: Path, tmp_path: Path) -> None:
    model, quiet = parroted(untidy, tmp_path)["model"], {**environment, "INSCL_CACHE": str(tmp_path / "cache")}
    place = str(tmp_path / "ws")
    begin = ("init", place, "--model", model["name"], "--set", "training.learner=parrot")  # type: ignore[index]
    begin += ("--set", "replay.embedder=ngrams", "--set", "replay.tag_embedder=null", "--set")
    typo = inscl(quiet, *begin, "stream.refine=[{name: tidy, params: {longst: 1}}]")
    assert (typo.returncode, "longst" in typo.stderr, Path(place).exists()) == (2, True, False), typo.stderr
    made = inscl(quiet, *begin, "stream.refine=[{name: tidy, params: {longest: 40}}]")
    assert made.returncode == 0, made.stderr
    for task in ("upper", "backwards"):
        done = inscl(quiet, "learn", str(untidy / f"{task}.jsonl"), "-w", place, "--yes")
        assert done.returncode == 0, done.stderr
    stages = tmp_path / "ws" / "stages"
    assert len(rows_of(stages / "01-upper" / "rejected.jsonl")) == 13
    assert any("provenance" in row for row in rows_of(stages / "02-backwards" / "replay.jsonl"))
    erased = inscl(quiet, "erase", "--match", r"   end$", "-w", place, "--yes")
    assert "made by refiners from what was asked for: 12 of them" in erased.stdout, erased.stdout + erased.stderr
