from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from chat_server import Server, server
from inscl.contract import Example
from typed import Done, refused

__all__ = ["server"]


@pytest.fixture
def variants(tmp_path: Path) -> Path:
    """A stream with two rows and a variant of each."""
    rows = []
    for k in range(2):
        seed = Example(f"Say the word {k} in capitals.", "red", ("RED",))
        facts = {"parent": seed.id, "refiner": "demorecon", "version": "1", "parameters": "x", "how": "changed"}
        made = Example(f"Say the word {k} twice.", "red", ("red red",))
        rows += [
            seed.to_json(),
            {**made.to_json(), "provenance": {**facts, "changed": {"from": "capitals", "to": "2"}}},
        ]
    for row in rows:
        row.pop("task")
    rows.append({"instruction": "Say it.", "input": "blue", "outputs": ["blue"], "source": ""})
    file = tmp_path / "words.jsonl"
    splits = ["train"] * 4 + ["test"]
    file.write_text(
        "".join(json.dumps({**row, "split": split}) + "\n" for row, split in zip(rows, splits, strict=True))
    )
    return file


def test_a_stage_is_measured_by_likelihood_and_by_a_judge(
    inscl: Callable[..., Done], toy: Path, variants: Path, tmp_path: Path, server: Server
) -> None:
    assert inscl("run", toy).returncode == 0
    done = inscl("fgiv", tmp_path / "run", variants, "--out", tmp_path / "pairs.jsonl")
    assert done.returncode == 0, done.stderr
    assert "pairs: 2\n" in done.stdout
    assert "direct (more like its own reference than like the other, by Rouge-L): " in done.stdout
    (shown,) = re.findall(r"detection \(balanced accuracy, by likelihood\): ([\d.]+) percent", done.stdout)
    rows = [json.loads(line) for line in (tmp_path / "pairs.jsonl").read_text().splitlines()]
    assert float(shown) == pytest.approx(100 * sum(row["detection"] for row in rows) / 2)
    server.script = [(200, {}, json.dumps({"choices": [{"message": {"content": "yes"}}]}))]
    judged = inscl(
        "fgiv", tmp_path / "run", variants, "--stage", 0, "--ask", "--judge", "m", "--set", f"base_url={server.url}"
    )
    assert judged.returncode == 0, judged.stderr
    assert "direct (by the judge): 100.0 percent" in judged.stdout
    assert "by asked" in judged.stdout
    assert "every single part" in server.requests[0]["messages"][0]["content"]
    refused(inscl("fgiv", tmp_path / "run", variants, "--set", "concurrency=2"), 2, "--judge MODEL")
    refused(inscl("fgiv", tmp_path / "run", variants, "--judge", "m", "--set", "base=x"), 2, "judge.base")
    refused(inscl("fgiv", tmp_path / "run", tmp_path / "stream"), 2, "--with demorecon")
    refused(inscl("fgiv", tmp_path / "none", variants), 2, "no run there")
