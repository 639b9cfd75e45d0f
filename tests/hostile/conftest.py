"""One run over a hostile stream, its tags asked of a server with a key, for all tests that look at what it left."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from pathlib import Path

import pytest

import inscl
from chat_server import Server
from inscl.cli.progress import LineProgress
from inscl.reports import write_report
from reports.conftest import write_run

__all__ = ["write_run"]

KEY = "sk-hostile-0123456789abcdefghijklmnopqrstuv"
SCRIPT = (
    "<script>alert(1)</script><img src=x onerror=alert(2)><svg onload=alert(3)>"
    '"\'><iframe src="http://127.0.0.1:9/x"></iframe><a href="javascript:alert(4)">x</a>'
    "</style></title></textarea></bdi>{{ 7*7 }}{% include '/etc/passwd' %}"
    "\x1b[31m\u202e\u2066\0\ud800\U000e0041[bold]x[/bold]=1+1"
)
TASKS = ("<img src=x onerror=alert(5)>", "=cmd|'!A0'", "[bold]{{7*7}}")
"""Names that a task may have: no path, no control characters, and markup all the same."""


@dataclass(frozen=True)
class HostileRun:
    """What a run left: everything in `folder` (the run, the cache, the report), and what it printed and logged."""

    folder: Path
    run: Path
    printed: str
    tagged: int


def hostile_stream(folder: Path) -> Path:
    """A folder of three tasks whose names and texts all try to be markup."""
    folder.mkdir()
    for number, name in enumerate(TASKS):
        rows = [
            {
                "instruction": f"Do {number}.{k % 2} {SCRIPT}",
                "input": f"{k} {SCRIPT}",
                "outputs": [f"{k} {SCRIPT}", SCRIPT],
                "source": SCRIPT,
            }
            for k in range(8)
        ]
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def hostile_run(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> HostileRun:
    """A whole run on the tiny model; the server sends the key back in its answers."""
    folder = tmp_path_factory.mktemp("hostile")
    stream = hostile_stream(folder / "<b>stream")
    server = Server()
    answer = json.dumps([{"tag": f"<i>x</i> {KEY}", "explanation": f"{SCRIPT}{KEY}"}])
    server.script = [(200, {}, json.dumps({"choices": [{"message": {"content": answer}}]}))]
    lines: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())  # type: ignore[method-assign]
    progress = LineProgress(every=0)
    progress._say = lines.append  # type: ignore[method-assign]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPENAI_API_KEY", KEY)
        patch.setenv("INSCL_CACHE", str(folder / "cache"))
        for name in ("OPENAI_BASE_URL", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            patch.delenv(name, raising=False)
        logging.getLogger().addHandler(handler)
        try:
            run = inscl.run(configuration(stream, tiny_model, folder / "run", server.url), progress=progress)
        finally:
            logging.getLogger().removeHandler(handler)
            server.end()
    write_report([run.path])
    return HostileRun(folder, run.path, "\n".join(lines), len(server.requests))


def configuration(stream: Path, model: Path, out: Path, url: str) -> dict[str, object]:
    """A run of seconds whose tagger asks a server."""
    return {
        "stream": {"path": str(stream), "skip_bad_rows": True, "test_per_task": 2},
        "model": {"name": str(model), "adapter": {"r": 2}},
        "replay": {
            "budget": {"per_task": 2},
            "embedder": "ngrams",
            "tag_embedder": None,
            "tagger": {"name": "llm", "params": {"model": "m", "base_url": url, "timeout": 5}},
        },
        "training": {"epochs": 1, "batch_size": 4, "max_length": 400},
        "evaluation": {"max_new_tokens": 2},
        "output_dir": str(out),
        "label": SCRIPT.replace("\0", "").replace("\ud800", ""),
    }
