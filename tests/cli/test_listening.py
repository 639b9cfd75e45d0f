"""``inscl listening`` on a run and on a workspace, and its section of the report."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import inscl
from inscl.cli.app import app
from inscl.doctor.verification import verify
from inscl.errors import ConfigError, WorkspaceError
from inscl.storage.files.atomic import read_jsonl
from streams import toy_config, toy_stream


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Any:
    folder = tmp_path_factory.mktemp("listening")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("INSCL_CACHE", str(folder / "cache"))
        config = toy_config(toy_stream(folder / "stream"), tiny_model, folder / "run")
        config["evaluation"]["metrics"] = ["exact_match"]
        inscl.run(config)
        yield folder / "run"


def asked(*arguments: Any) -> str:
    done = CliRunner().invoke(app, ["listening", *map(str, arguments)])
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.output


def test_a_run_is_asked_and_the_report_shows_it(run: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(run, tmp_path / "run"))
    before = inscl.write_report([folder], tmp_path / "before.html").read_text(encoding="utf-8")
    assert "Half-listening" not in before
    said = asked(folder, "--examples", 2)
    rows = read_jsonl(folder / "stages" / "03-length" / "listening.jsonl")
    assert {row["task"] for row in rows} == {"upper", "backwards", "length"}
    assert len(rows) == 6
    for task in ("upper", "backwards", "length"):
        own = [row for row in rows if row["task"] == task]
        without = sum(row["without"].split() != row["prediction"].split() for row in own)
        swapped = sum(row["swapped"].split() != row["prediction"].split() for row in own)
        assert f"{task}: {without} of 2; {swapped} of 2" in said
    assert not list(verify(folder))
    page = inscl.write_report([folder], tmp_path / "after.html").read_text(encoding="utf-8")
    assert page.count("Half-listening") == 2  # the heading, and the link to it
    assert "Key part: " in page
    assert "Without the key part, " in page


def test_texts_are_escaped_and_damage_is_told(run: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(run, tmp_path / "run"))
    asked(folder, "--examples", 1)
    path = folder / "stages" / "03-length" / "listening.jsonl"
    rows = read_jsonl(path)
    for row in rows:
        row.update(prediction="<script>alert(1)</script>", other="<img src=x>", parts=["<b>"])
    (folder / "stages" / "03-length" / "DONE").unlink()
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    page = inscl.write_report([folder], tmp_path / "report.html").read_text(encoding="utf-8")
    assert "&lt;script&gt;alert(1)" in page
    for text in ("<script", "<img", "<b>"):
        assert text not in page.partition('id="listening"')[2].partition("</section>")[0]
    path.write_text('{"id": 3}\n')
    with pytest.raises(WorkspaceError, match=r"listening\.jsonl, line 1"):
        inscl.write_report([folder], tmp_path / "report.html")


def test_the_base_model_and_an_earlier_stage(run: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(run, tmp_path / "run"))
    asked(folder, "--stage", 0, "--examples", 1)
    assert (folder / "stages" / "00-base" / "listening.jsonl").exists()
    with pytest.raises(ConfigError, match="were not kept"):
        asked(folder, "--stage", 1)
    with pytest.raises(ConfigError, match="--key-parts"):
        asked(folder, "--set", "base_url=http://x/v1")
