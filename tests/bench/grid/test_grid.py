"""Grids: what a file may say, which cells come of it, and what decides a cell's key."""

from __future__ import annotations

import json
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest
import yaml

from inscl.bench.grid.grid import SHORTHANDS, cells_of, grid_of_stream, load_grid
from inscl.config import kinds
from inscl.config.loading import load_config
from inscl.data.orders import ORDERS
from inscl.errors import ConfigError
from streams import toy_config, toy_stream


@pytest.fixture
def shared(tmp_path: Path, tiny_model: Path) -> dict[str, Any]:
    return toy_config(toy_stream(tmp_path / "stream"), tiny_model, tmp_path / "run")


def test_cells_are_the_product_with_whole_seeds_first(shared: dict[str, Any], tmp_path: Path) -> None:
    grid = {
        "run": shared,
        "methods": ["random", {"name": "dynamic", "strategy": {"name": "inscl", "params": {"insinfo": False}}}],
        "orders": [["upper", "length", "backwards"], ["length", "upper", "backwards"]],
        "seeds": 2,
        "budgets": [{"per_task": 2}, {"tokens": 90}],
        "output_dir": str(tmp_path / "bench"),
    }
    cells = cells_of(load_grid(grid))
    assert len(cells) == len({cell.key for cell in cells}) == 16
    assert [cell.seed for cell in cells] == [0] * 8 + [1] * 8
    assert {cell.method for cell in cells} == {"random", "dynamic"}
    dynamic = next(cell for cell in cells if cell.method == "dynamic")
    assert dynamic.config.replay.params == {"insinfo": False}
    assert len({cell.config.output_dir for cell in cells}) == 16


def test_a_strategy_without_a_budget_is_one_cell_whatever_the_budgets(shared: dict[str, Any]) -> None:
    grid = {"run": shared, "methods": ["none", "joint"], "seeds": 1, "budgets": [{"per_task": 1}, {"per_task": 4}]}
    assert [(cell.method, cell.budget) for cell in cells_of(load_grid(grid))] == [("none", None), ("joint", None)]


def test_the_key_knows_the_data_and_the_settings_and_not_where_they_lie(
    shared: dict[str, Any], tmp_path: Path, tiny_model: Path
) -> None:
    def key(**changes: Any) -> str:
        run = {**shared, **changes}
        return cells_of(load_grid({"run": run, "methods": ["random"], "seeds": [3]}))[0].key

    same = key()
    elsewhere = {**shared["stream"], "path": str(toy_stream(tmp_path / "copied"))}
    assert key(stream=elsewhere) == same
    assert key(evaluation={**shared["evaluation"], "batch_size": 5}) == same
    assert key(training={**shared["training"], "save_every": 0}) == same
    other = {**shared["stream"], "path": str(toy_stream(tmp_path / "longer", rows=16))}
    assert key(stream=other) != same
    assert key(training={**shared["training"], "epochs": 2}) != same


def test_a_setting_of_one_method_reaches_its_cells_alone(shared: dict[str, Any]) -> None:
    entry = {"name": "merged", "strategy": "none", "set": {"model.adapter.mode": "merge"}}
    plain, merged = cells_of(load_grid({"run": shared, "methods": ["none", entry], "seeds": 1}))
    assert (plain.config.model.adapter.mode, merged.config.model.adapter.mode) == ("keep", "merge")


def test_osf_is_no_replay_trained_otherwise(shared: dict[str, Any]) -> None:
    eighth = {"strategy": "none", "adapter": {"kind": "osf", "effective_rank": 0.125}}
    entry = {"name": "osf eighth", **eighth, "set": {"training.learning_rate": 1e-4}}
    grid = {"run": shared, "methods": ["none", "osf", entry], "seeds": 1, "reference": "osf"}
    plain, osf, eighth = cells_of(load_grid(grid))
    assert (osf.method, osf.config.replay.strategy, osf.config.model.adapter.kind) == ("osf", "none", "osf")
    assert osf.config.training.learning_rate == eighth.config.training.learning_rate == 1e-4
    assert (eighth.method, eighth.config.model.adapter.effective_rank) == ("osf eighth", 0.125)
    assert plain.config.model.adapter.kind == "lora"
    assert len({plain.key, osf.key, eighth.key}) == 3
    (same,) = cells_of(load_grid({"run": shared, "methods": [{**SHORTHANDS["osf"], "name": "x"}], "seeds": 1}))
    assert same.key == osf.key
    ours = {"name": "osf", "set": {"training.learning_rate": 1e-5}}
    (slower,) = cells_of(load_grid({"run": shared, "methods": [ours], "seeds": 1}))
    assert (slower.config.model.adapter.kind, slower.config.training.learning_rate) == ("osf", 1e-5)


@pytest.mark.parametrize(
    ("grid", "said"),
    [
        ({"methods": ["none"]}, "run"),
        ({"run": {}, "methods": []}, "methods"),
        ({"run": {}, "methods": ["none"], "metohds": 1}, "did you mean 'methods'"),
        ({"run": {}, "methods": ["inscl", "inscl"]}, "give one of them another `name`"),
        ({"run": {}, "methods": ["none"], "reference": "rendom"}, "rendom"),
        ({"run": {}, "methods": [{"name": "none", "strateyg": "x"}]}, "did you mean 'strategy'"),
    ],
)
def test_mistakes_are_named(grid: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        load_grid(grid)


@pytest.mark.parametrize(
    ("key", "value", "instead"),
    [
        ("seed", 7, "seeds"),
        ("label", "x", "`name`"),
        ("output_dir", "x", "`output_dir`"),
        ("replay.strategy", "random", "`strategy`"),
        ("training.learner", "parrot", "`learner`"),
        ("replay.params", {}, "`strategy`"),
        ("replay.params.dynamic", False, "`strategy`"),
        ("replay.budget", {"per_task": 3}, "`budgets`"),
        ("replay.budget.per_task", 3, "`budgets`"),
        ("replay", {"embedder": "ngrams"}, "replay.strategy"),
        ("model", {"name": "x"}, "model.name"),
        ("model.name", "x", "`models`"),
        ("stream.order", ["a"], "`orders`"),
    ],
)
def test_a_row_cannot_change_what_its_cells_are_named_by(key: str, value: Any, instead: str) -> None:
    entry = {"name": "mine", "strategy": "random", "set": {key: value}}
    grid = {"run": {}, "methods": ["random", entry], "orders": [["a", "b"]]}
    with pytest.raises(ConfigError, match=rf"{key} (can't be set|would replace).*{instead}"):
        load_grid(grid)


def test_an_order_of_one_row_is_its_name_where_the_grid_has_none(shared: dict[str, Any]) -> None:
    entry = {"name": "mine", "strategy": "none", "set": {"stream.order": ["length", "upper", "backwards"]}}
    grid = {"run": shared, "methods": ["none", entry, {"name": "random", "set": {"replay.embedder": "ngrams"}}]}
    cells = cells_of(load_grid({**grid, "seeds": 1}))
    assert [cell.order for cell in cells if cell.method == "mine"] == ["length, upper, backwards"]


def test_the_key_knows_the_version_of_a_plugin_and_nothing_of_inscls(
    shared: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def key(version: str) -> str:
        monkeypatch.setattr(kinds, "foreign", lambda kind, name: f"other {version}" if name == "random" else None)
        return cells_of(load_grid({"run": shared, "methods": ["random"], "seeds": 1}))[0].key

    own = cells_of(load_grid({"run": shared, "methods": ["random"], "seeds": 1}))[0].key
    assert len({own, key("1.0"), key("1.1")}) == 3
    assert key("1.0") == key("1.0")


def test_one_run_under_two_names_is_refused(shared: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    renamed = {"run": shared, "methods": [{"name": "mine", "strategy": "inscl"}, "inscl"], "seeds": 1}
    with pytest.raises(ConfigError, match=r"the same run; leave one out: mine, .*; and inscl, "):
        cells_of(load_grid(renamed))
    order = ["upper", "length", "backwards"]
    monkeypatch.setitem(ORDERS, "toy", tuple(order))
    grid = {"run": shared, "methods": ["none"], "seeds": 1, "orders": ["toy", order]}
    with pytest.raises(ConfigError, match=r"leave one out: none, toy, .*; and none, upper, length, backwards, "):
        cells_of(load_grid(grid))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("seeds", [1, 0, 1]),
        ("orders", [["a", "b"], ["a", "b"]]),
        ("budgets", [{"per_task": 1}, {"per_task": 1.0}]),
        ("models", ["x", "x"]),
    ],
)
def test_what_stands_twice_is_refused(key: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=f"{key}: .* stands there twice"):
        load_grid({"run": {}, "methods": ["random"], key: value})


def test_every_mistake_in_a_method_is_told_under_its_own_key_when_the_grid_is_loaded(shared: dict[str, Any]) -> None:
    methods = [
        "rndom",
        {"name": "inscl", "strategy": {"name": "inscl", "params": {"dynamc": True}}},
        {"name": "a", "strategy": "none", "adapter": {"kind": "lora", "rank": 4}, "objective": "anwser"},
        {"name": "b", "strategy": "none", "learner": "fine_tnue"},
        {"name": "c", "strategy": "none", "learner": {"name": "fine_tune", "params": {"epohcs": 3}}},
        {"name": "d", "strategy": "none", "refine": ["dedupe"], "set": {"training.epoch": 3}},
        {"name": "e", "strategy": {"name": "none", "parms": {}}},
        {"strategy": "none"},
        {"name": "osf", "set": ["training.epochs"]},
    ]
    with pytest.raises(ConfigError) as caught:
        load_grid({"run": shared, "methods": methods})
    told = {problem.key: problem.message for problem in caught.value.problems}
    nearest = {
        "methods.0.strategy": "'random'",
        "methods.1.strategy.params.dynamc": "'dynamic'",
        "methods.2.adapter.rank": "there are: r,",
        "methods.2.objective": "'answer'",
        "methods.3.learner": "'fine_tune'",
        "methods.4.learner.params.epohcs": "'epochs'",
        "methods.5.refine.0": "'deduplicate'",
        "methods.5.set.training.epoch": "'epochs'",
        "methods.6.strategy.parms": "'params'",
        "methods.7.name": "is required",
        "methods.8.set": "dictionary",
    }
    assert told.keys() == nearest.keys()
    assert [key for key, said in nearest.items() if said not in told[key]] == []


def test_a_method_is_made_of_parts_and_says_the_rest_as_the_run(shared: dict[str, Any]) -> None:
    method = {
        "name": "mine",
        "strategy": {"name": "inscl", "params": {"insinfo": False}},
        "learner": "fine_tune",
        "adapter": "none",
        "objective": {"name": "answer", "params": {}},
        "refine": ["deduplicate"],
        "set": {"training.epochs": 3},
    }
    (cell,) = cells_of(load_grid({"run": shared, "methods": [method], "seeds": 1}))
    changed = {
        "seed": 0,
        "label": "mine",
        "replay.strategy": "inscl",
        "model.adapter": {"kind": "none"},
        "stream.refine": ["deduplicate"],
        "training.epochs": 3,
    }
    by_hand = load_config(shared, [f"{key}={json.dumps(value)}" for key, value in changed.items()])
    wanted = {**by_hand.model_dump(), "output_dir": cell.config.output_dir}
    wanted["replay"]["params"] = {"insinfo": False}
    assert cell.config.model_dump() == wanted


def test_a_null_of_the_run_stays_null_in_its_cells(shared: dict[str, Any]) -> None:
    run = {**shared, "training": {**shared["training"], "save_every": None}}
    (cell,) = cells_of(load_grid({"run": run, "methods": ["none"], "seeds": 1}))
    assert (cell.config.training.save_every, cell.config.replay.tag_embedder) == (None, None)


KEEPERS = [("keeper", {}), ("overprompt", {"learner": {"name": "keeper"}}), ("overprompt", {"learner": "keeper"})]


@pytest.mark.parametrize(("learner", "params"), KEEPERS)
def test_a_learner_that_takes_no_replay_is_one_cell_for_all_strategies_and_budgets(
    shared: dict[str, Any], monkeypatch: pytest.MonkeyPatch, learner: str, params: dict[str, Any]
) -> None:
    known, keeper = kinds._entries, EntryPoint("keeper", "bench.keeper:Keeper", "inscl.learners")
    more = {"learners": {"keeper": keeper}}
    monkeypatch.setattr(kinds, "_entries", lambda kind: {**known(kind), **more.get(kind, {})})
    keeps: dict[str, Any] = {"name": "keeps", "learner": {"name": learner, "params": params}}
    grid = {"run": shared, "methods": ["random", keeps], "seeds": 1, "budgets": [{"per_task": 1}, {"per_task": 4}]}
    cells = cells_of(load_grid(grid))
    assert [(cell.method, cell.budget) for cell in cells] == [
        ("random", {"per_task": 1}),
        ("keeps", None),
        ("random", {"per_task": 4}),
    ]
    assert cells[1].config.replay.strategy == "none"
    said = "methods.0.strategy: the learner keeper takes no replay, but random replays: use none"
    with pytest.raises(ConfigError, match=said):
        load_grid({**grid, "methods": [{**keeps, "strategy": "random"}]})
    with pytest.raises(ConfigError, match=r"replay\.strategy: the learner keeper takes no replay, but inscl replays"):
        load_config({"training": {"learner": learner, "params": params}})
    values = {"replay": {"strategy": "none"}, "evaluation": {"metrics": ["answer_loss"]}}
    with pytest.raises(ConfigError, match="needs a learner with the trait log_likelihoods; keeper has not"):
        load_config({"training": {"learner": learner, "params": params}, **values})


def test_a_relative_run_starts_at_the_grid_file(shared: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(shared))
    (tmp_path / "grid.yaml").write_text(yaml.safe_dump({"run": "run.yaml", "methods": ["none"], "seeds": 1}))
    assert len(cells_of(load_grid(tmp_path / "grid.yaml"))) == 1


def test_a_grid_of_a_stream_compares_with_random_where_there_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = toy_stream(tmp_path / "mine")
    grid = grid_of_stream(str(stream), ["none", "random", "inscl"], 2, ["training.epochs=3"])
    assert (grid.reference, grid.seeds, grid.output_dir) == ("random", [0, 1], "bench/mine")
    assert grid_of_stream(str(stream), ["none", "inscl"], 1).reference == "none"
    monkeypatch.chdir(stream)
    assert grid_of_stream(".", ["none"], 1).output_dir == grid.output_dir


GRIDS = sorted((Path(__file__).parents[3] / "configs" / "bench").glob("*.yaml"))


@pytest.mark.parametrize("path", GRIDS, ids=lambda path: path.stem)
def test_every_grid_that_ships_loads_and_says_its_command(path: Path) -> None:
    grid = load_grid(path)
    # That of pictures is compared by average performance and forgetting, to be affordable.
    assert load_config(grid.run).evaluation.experts is (path.stem != "pictures")
    assert grid.reference in [method.name for method in grid.methods]
    assert f"inscl bench configs/bench/{path.name}" in path.read_text(encoding="utf-8")


def test_a_seed_given_as_the_number_of_seeds_is_told(shared: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"at most 10000 seeds, got 1099511627776; .* \[1099511627776\]"):
        load_grid({"run": shared, "methods": ["none"], "seeds": 1099511627776, "reference": "none"})
