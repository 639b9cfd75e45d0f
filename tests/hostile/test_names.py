"""Names that would leave their folder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from inscl.data import load_stream
from inscl.data.names import check_name
from inscl.data.published.trace import convert_trace
from inscl.errors import DataError, InsclError, WorkspaceError
from inscl.reports import write_report
from inscl.storage.run.run_folder import RunFolder
from reports.conftest import RunWriter, seal_run

PATHS = [
    "../outside",
    "..",
    ".",
    "/etc/passwd",
    "a/b",
    "a\\b",
    "..\\outside",
    "a\0b",
    "a\nb",
    "\u202eevil",
    "x" * 300,
    "\ud800",
]
# What a file system or a shell might take for something else, but no path: these may be names.
STRANGE = [
    "~",
    "-rf",
    "$(ls)",
    "`ls`",
    "a;b",
    "con",
    "%2e%2e%2f",
    "....",
    "<img src=x onerror=alert(1)>",
    "=1+1",
    "a|b",
]


def rows(task: str) -> str:
    made = [{"instruction": "Do", "input": str(n), "output": str(n), "task": task} for n in range(4)]
    return "".join(json.dumps(row) + "\n" for row in made)


@pytest.mark.parametrize("name", PATHS)
def test_a_path_is_no_name(tmp_path: Path, name: str) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(rows(name), encoding="utf-8")
    with pytest.raises(DataError, match="can't be named"):
        load_stream(path)
    with pytest.raises(DataError, match="can't be named"):
        load_stream([{"name": name, "path": str(path)}])


@pytest.mark.parametrize("name", STRANGE)
def test_a_strange_name_stays_in_its_folder(tmp_path: Path, name: str) -> None:
    assert check_name(name) == name
    for folder in ("stages", "experts"):
        run = RunFolder(tmp_path, [name], ["rouge_l"])
        place = (run.stage(1) if folder == "stages" else run.expert(1)).path
        assert place.parent == tmp_path / folder
    (tmp_path / f"{name}.jsonl").write_text("")
    assert [path.name for path in tmp_path.glob("*.jsonl")] == [f"{name}.jsonl"]


def test_a_converter_takes_no_path_from_the_data(tmp_path: Path) -> None:
    out = tmp_path / "deep" / "out"
    place = tmp_path / "archive" / "a\\..\\b"
    place.mkdir(parents=True)
    for split in ("train", "test"):
        (place / f"{split}.json").write_text(json.dumps([{"prompt": split, "answer": "x"}]))
    with pytest.raises(DataError, match="can't be named"):
        convert_trace(tmp_path / "archive", out)
    assert not out.exists()


@pytest.mark.parametrize("name", ["../../outside", "/etc/passwd", "..", "a\\b"])
def test_a_run_folder_that_was_sent_has_no_other_files_read(tmp_path: Path, name: str) -> None:
    folder = RunWriter(tmp_path / "run", tasks=("a", "b")).write()
    manifest = json.loads((folder / "manifest.json").read_bytes().decode("utf-8", "surrogatepass"))
    manifest["stream"]["tasks"][0]["name"] = name
    (folder / "manifest.json").write_text(json.dumps(manifest))
    seal_run(folder)
    with pytest.raises(WorkspaceError, match="not a valid task name"):
        write_report([folder])


def test_a_path_that_leads_nowhere_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "list.yaml").write_text("- ../../../../nowhere/at/all.jsonl\n- {name: ../x, path: a.jsonl}\n")
    with pytest.raises(InsclError):
        load_stream(tmp_path / "list.yaml")
    assert [path.name for path in tmp_path.iterdir()] == ["list.yaml"]
