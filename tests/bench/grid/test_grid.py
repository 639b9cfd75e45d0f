"""Grids: what a file may say, which cells come of it, and what decides a cell's key."""

from __future__ import annotations

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
        "strategies": ["random", {"name": "inscl", "label": "dynamic", "params": {"insinfo": False}}],
        "orders": [["upper", "length", "backwards"], ["length", "upper", "backwards"]],
        "seeds": 2,
        "budgets": [{"per_task": 2}, {"tokens": 90}],
        "output_dir": str(tmp_path / "bench"),
    }
    cells = cells_of(load_grid(grid))
    assert len(cells) == len({cell.key for cell in cells}) == 16
    assert [cell.seed for cell in cells] == [0] * 8 + [1] * 8
    assert {cell.strategy for cell in cells} == {"random", "dynamic"}
    dynamic = next(cell for cell in cells if cell.strategy == "dynamic")
    assert dynamic.config.replay.params == {"insinfo": False}
    assert len({cell.config.output_dir for cell in cells}) == 16


def test_a_strategy_without_a_budget_is_one_cell_whatever_the_budgets(shared: dict[str, Any]) -> None:
    grid = {"run": shared, "strategies": ["none", "joint"], "seeds": 1, "budgets": [{"per_task": 1}, {"per_task": 4}]}
    assert [(cell.strategy, cell.budget) for cell in cells_of(load_grid(grid))] == [("none", None), ("joint", None)]


def test_the_key_knows_the_data_and_the_settings_and_not_where_they_lie(
    shared: dict[str, Any], tmp_path: Path, tiny_model: Path
) -> None:
    def key(**changes: Any) -> str:
        run = {**shared, **changes}
        return cells_of(load_grid({"run": run, "strategies": ["random"], "seeds": [3]}))[0].key

    same = key()
    elsewhere = {**shared["stream"], "path": str(toy_stream(tmp_path / "copied"))}
    assert key(stream=elsewhere) == same
    assert key(evaluation={**shared["evaluation"], "batch_size": 5}) == same
    assert key(training={**shared["training"], "save_every": 0}) == same
    other = {**shared["stream"], "path": str(toy_stream(tmp_path / "longer", rows=16))}
    assert key(stream=other) != same
    assert key(training={**shared["training"], "epochs": 2}) != same


def test_a_setting_of_one_strategy_reaches_its_cells_alone(shared: dict[str, Any]) -> None:
    entry = {"name": "none", "label": "merged", "set": {"model.adapter.mode": "merge"}}
    plain, merged = cells_of(load_grid({"run": shared, "strategies": ["none", entry], "seeds": 1}))
    assert (plain.config.model.adapter.mode, merged.config.model.adapter.mode) == ("keep", "merge")


def test_osf_is_no_replay_trained_otherwise(shared: dict[str, Any]) -> None:
    entry = {"name": "osf", "label": "osf eighth", "set": {"model.adapter": {"kind": "osf", "effective_rank": 0.125}}}
    grid = {"run": shared, "strategies": ["none", "osf", entry], "seeds": 1, "reference": "osf"}
    plain, osf, eighth = cells_of(load_grid(grid))
    assert (osf.strategy, osf.config.replay.strategy, osf.config.model.adapter.kind) == ("osf", "none", "osf")
    assert osf.config.training.learning_rate == eighth.config.training.learning_rate == 1e-4
    assert (eighth.strategy, eighth.config.model.adapter.effective_rank) == ("osf eighth", 0.125)
    assert plain.config.model.adapter.kind == "lora"
    assert len({plain.key, osf.key, eighth.key}) == 3
    written = {"name": "none", "label": "x", "set": dict(SHORTHANDS["osf"]["set"])}
    (same,) = cells_of(load_grid({"run": shared, "strategies": [written], "seeds": 1}))
    assert same.key == osf.key


@pytest.mark.parametrize(
    ("grid", "said"),
    [
        ({"strategies": ["none"]}, "run"),
        ({"run": {}, "strategies": []}, "strategies"),
        ({"run": {}, "strategies": ["none"], "strategeis": 1}, "did you mean 'strategies'"),
        ({"run": {}, "strategies": ["inscl", "inscl"]}, "give one of them a label"),
        ({"run": {}, "strategies": ["none"], "reference": "rendom"}, "rendom"),
        ({"run": {}, "strategies": [{"name": "none", "lable": "x"}]}, "did you mean 'label'"),
    ],
)
def test_mistakes_are_named(grid: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        load_grid(grid)


@pytest.mark.parametrize(
    ("key", "value", "instead"),
    [
        ("seed", 7, "seeds"),
        ("label", "x", "`label`"),
        ("output_dir", "x", "`output_dir`"),
        ("replay.strategy", "random", "`name`"),
        ("replay.params", {}, "`params`"),
        ("replay.params.dynamic", False, "`params`"),
        ("replay.budget", {"per_task": 3}, "`budgets`"),
        ("replay.budget.per_task", 3, "`budgets`"),
        ("replay", {"embedder": "ngrams"}, "replay.strategy"),
        ("model", {"name": "x"}, "model.name"),
        ("model.name", "x", "`models`"),
        ("stream.order", ["a"], "`orders`"),
    ],
)
def test_a_row_cannot_change_what_its_cells_are_named_by(key: str, value: Any, instead: str) -> None:
    entry = {"name": "random", "label": "mine", "set": {key: value}}
    grid = {"run": {}, "strategies": ["random", entry], "orders": [["a", "b"]]}
    with pytest.raises(ConfigError, match=rf"{key} (can't be set|would replace).*{instead}"):
        load_grid(grid)


def test_an_order_of_one_row_is_its_name_where_the_grid_has_none(shared: dict[str, Any]) -> None:
    entry = {"name": "none", "label": "mine", "set": {"stream.order": ["length", "upper", "backwards"]}}
    grid = {"run": shared, "strategies": ["none", entry, {"name": "random", "set": {"replay.embedder": "ngrams"}}]}
    cells = cells_of(load_grid({**grid, "seeds": 1}))
    assert [cell.order for cell in cells if cell.strategy == "mine"] == ["length, upper, backwards"]


def test_the_key_knows_the_version_of_a_plugin_and_nothing_of_inscls(
    shared: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def key(version: str) -> str:
        monkeypatch.setattr(kinds, "foreign", lambda kind, name: f"other {version}" if name == "random" else None)
        return cells_of(load_grid({"run": shared, "strategies": ["random"], "seeds": 1}))[0].key

    own = cells_of(load_grid({"run": shared, "strategies": ["random"], "seeds": 1}))[0].key
    assert len({own, key("1.0"), key("1.1")}) == 3
    assert key("1.0") == key("1.0")


def test_one_run_under_two_names_is_refused(shared: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    renamed = {"run": shared, "strategies": [{"name": "inscl", "label": "mine"}, "inscl"], "seeds": 1}
    with pytest.raises(ConfigError, match=r"the same run; leave one out: mine, .*; and inscl, "):
        cells_of(load_grid(renamed))
    order = ["upper", "length", "backwards"]
    monkeypatch.setitem(ORDERS, "toy", tuple(order))
    grid = {"run": shared, "strategies": ["none"], "seeds": 1, "orders": ["toy", order]}
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
        load_grid({"run": {}, "strategies": ["random"], key: value})


def test_mistakes_of_a_cell_name_its_strategy(shared: dict[str, Any]) -> None:
    grid = {"run": shared, "strategies": [{"name": "inscl", "params": {"dynamc": True}}]}
    with pytest.raises(ConfigError, match=r"strategy inscl.*dynamc.*dynamic"):
        cells_of(load_grid(grid))


def test_a_relative_run_starts_at_the_grid_file(shared: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(shared))
    (tmp_path / "grid.yaml").write_text(yaml.safe_dump({"run": "run.yaml", "strategies": ["none"], "seeds": 1}))
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
    assert load_config(grid.run).evaluation.experts
    assert grid.reference in [entry.title for entry in grid.strategies]
    assert f"inscl bench configs/bench/{path.name}" in path.read_text(encoding="utf-8")


def test_a_seed_given_as_the_number_of_seeds_is_told(shared: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"at most 10000 seeds, got 1099511627776; .* \[1099511627776\]"):
        load_grid({"run": shared, "strategies": ["none"], "seeds": 1099511627776, "reference": "none"})
