from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import yaml

from inscl import Workspace
from inscl.config.loading import load_config
from inscl.contract import Example
from inscl.data import load_stream
from inscl.errors import ConfigError, DataError, WorkspaceError
from inscl.handover import TARGETS, export
from inscl.planning.plan import plan_stream
from inscl.storage.files.atomic import read_json, read_jsonl, write_jsonl
from inscl.storage.run.run_folder import Record
from pictures import picture
from streams import toy_stream


def contents(rows: list[dict[str, str]]) -> list[tuple[str, str, str]]:
    return [(row["instruction"], row["input"], row["output"]) for row in rows]


def test_the_last_stage_is_what_inscl_plan_writes(learned: Path, tmp_path: Path) -> None:
    made = export(learned, "jsonl", tmp_path / "out")
    plan_stream(load_config(learned / "inscl.yaml"), tmp_path / "plans", task="length")
    rows = read_jsonl(tmp_path / "out" / "train.jsonl")
    assert contents(rows) == contents(read_jsonl(tmp_path / "plans" / "03-length" / "train.jsonl"))
    replayed = {Example.from_json(row).id for row in read_jsonl(learned / "stages" / "03-length" / "replay.jsonl")}
    assert len(replayed) == made.replayed == sum(row["replayed"] for row in rows) == 6
    assert made.new == len(rows) - 6
    assert read_json(tmp_path / "out" / "export.json")["task"] == "length"


def test_an_earlier_stage(learned: Path, tmp_path: Path) -> None:
    made = export(learned, "trl", tmp_path / "out", stage=1)
    assert made.replayed == 0
    configuration = yaml.safe_load((tmp_path / "out" / "trl.yaml").read_text(encoding="utf-8"))
    assert Path(configuration["model_name_or_path"]).is_dir()
    assert configuration["lora_r"] == 4


def test_a_new_task_is_planned_and_begins_with_the_merged_model(learned: Path, tmp_path: Path) -> None:
    new = tmp_path / "shout.jsonl"
    write_jsonl(new, [{"instruction": "Shout.", "input": f"w{k}", "output": f"W{k}!"} for k in range(20)])
    before = sorted(path for path in learned.rglob("*"))
    made = export(learned, "llama-factory", tmp_path / "out", merged=True, data=new)
    assert made.replayed == 9  # three for each of three tasks
    held = len(load_stream(new).tasks[0].test)
    assert made.new == 20 - held < 20
    assert any("held out" in note for note in made.notes)
    configuration = yaml.safe_load((tmp_path / "out" / "llama_factory.yaml").read_text(encoding="utf-8"))
    assert configuration["model_name_or_path"] == "./model"
    assert (tmp_path / "out" / "model" / "model.safetensors").exists()
    assert sorted(path for path in learned.rglob("*")) == before  # nothing was recorded


def test_a_workspace(tmp_path: Path, tiny_model: Path) -> None:
    settings = ("replay.embedder=ngrams", "replay.tag_embedder=null", "replay.budget.per_task=3", "model.adapter.r=4")
    workspace = Workspace.init(
        tmp_path / "ws", str(tiny_model), changes=(*settings, "training.epochs=1", "evaluation.max_new_tokens=2")
    )
    workspace.learn(toy_stream(tmp_path / "stream") / "upper.jsonl")
    own = ["training.max_length=77", "training.learning_rate=1e-4"]
    workspace.learn(toy_stream(tmp_path / "stream") / "length.jsonl", changes=own)
    made = export(tmp_path / "ws", "trl", tmp_path / "out", merged=True)
    written = yaml.safe_load((tmp_path / "out" / "trl.yaml").read_text())
    assert (written["max_length"], written["learning_rate"]) == (77, 1e-4)
    assert made.replayed == 3
    assert made.new > 0
    assert (tmp_path / "out" / "model" / "model.safetensors").exists()


def test_ms_swift_prompts_carry_the_models_own_template(learned: Path, tmp_path: Path) -> None:
    export(learned, "ms-swift", tmp_path / "out")
    (row, *_) = read_jsonl(tmp_path / "out" / "train.jsonl")
    assert row["messages"][0]["content"].startswith("<|start|>user\n")
    assert row["messages"][0]["content"].endswith("<|end|>\n<|start|>assistant\n")


def test_an_earlier_export_is_replaced_and_anything_else_is_left(learned: Path, tmp_path: Path) -> None:
    export(learned, "trl", tmp_path / "out", merged=True)
    made = export(learned, "axolotl", tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted([*made.files, "export.json"])
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").touch()
    with pytest.raises(WorkspaceError, match="holds no export"):
        export(learned, "trl", tmp_path / "mine")
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["letter.txt"]


def test_pictures_lie_in_the_export(learned: Path, tmp_path: Path) -> None:
    rows = []
    for k in range(8):
        (tmp_path / f"{k}.png").write_bytes(picture(k % 5))
        rows.append({"instruction": "Name it.", "output": f"thing {k} \ud800", "image": f"{k}.png"})
    (tmp_path / "things.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    for to in ("llama-factory", "ms-swift", "jsonl"):
        made = export(learned, to, tmp_path / "out", data=tmp_path / "things.jsonl")
        assert "images" in made.files
        written = read_jsonl(tmp_path / "out" / "train.jsonl")
        shown = {(tmp_path / "out" / name).read_bytes() for row in written for name in row["images"]}
        assert shown <= {picture(k) for k in range(5)}
        assert len(shown) == len(list((tmp_path / "out" / "images").iterdir()))
        assert {len(row["images"]) for row in written} == {0, 1}
    for to in ("trl", "axolotl"):
        with pytest.raises(ConfigError, match="pictures, which are written for jsonl, llama-factory, ms-swift alone"):
            export(learned, to, tmp_path / "out", data=tmp_path / "things.jsonl")
    export(learned, "trl", tmp_path / "out")
    assert not (tmp_path / "out" / "images").exists()


def test_half_characters_are_replaced_and_told(learned: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(learned, run)
    record = Record(run / "stages" / "03-length", 3, "length")
    rows = record.rows("replay.jsonl")
    rows[0]["input"] = "half \ud83d"
    record.write_rows("replay.jsonl", rows)
    made = export(run, "trl", tmp_path / "out")
    text = (tmp_path / "out" / "train.jsonl").read_bytes()
    assert b"\\ud83d" not in text
    assert any("half \ufffd" in json.loads(line)["prompt"][0]["content"] for line in text.decode().splitlines())
    assert "1 examples hold half a character" in " ".join(made.notes)
    assert "half a character" in (tmp_path / "out" / "README.txt").read_text(encoding="utf-8")


def test_no_field_of_an_example_keeps_half_a_character(
    learned: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    shutil.copytree(learned, run)
    record = Record(run / "stages" / "03-length", 3, "length")
    rows = record.rows("replay.jsonl")
    rows[0] |= {
        "outputs": ["right", "other \ud83d"],
        "source": "file \ud83d",
        "turns": [{"role": "user", "content": "turn \ud83d"}],
        "options": ["right", "option \ud83d"],
        "metadata": {"key \ud83d": ["value \ud83d", 1.5, None]},
        "provenance": {"how": "said \ud83d"},
    }
    record.write_rows("replay.jsonl", rows)
    seen: list[Example] = []
    monkeypatch.setitem(TARGETS, "seen", lambda examples, settings: seen.extend(examples) or {})
    export(run, "seen", tmp_path / "out")
    mended = json.loads(json.dumps(rows).replace("\\ud83d", "\\ufffd"))
    assert all(Example.from_json(row) in seen for row in mended)


def test_what_can_not_be_exported(learned: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(ConfigError, match="did you mean 'trl'"):
        export(learned, "trll", out)
    with pytest.raises(ConfigError, match="nothing to write"):
        export(learned, None, out)
    with pytest.raises(ConfigError, match="has stages 1 to 3"):
        export(learned, "trl", out, stage=4)
    with pytest.raises(ConfigError, match="no run there"):
        export(tmp_path, "trl", out)
    two = tmp_path / "two.jsonl"
    write_jsonl(two, [{"task": f"t{k % 2}", "instruction": "i", "input": str(k), "output": "o"} for k in range(20)])
    with pytest.raises(DataError, match="2 tasks"):
        export(learned, "trl", out, data=two)
    assert not out.exists() or not any(out.iterdir())
