"""`inscl forgotten --judge`, with a chat server on this machine that answers as it is told."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from forgetting.test_of_run import run  # noqa: F401 - a fixture: a run that forgot four answers
from typed import Done, refused

KEY = "sk-judge-secret-123"


class Judge:
    """Says yes to answers that are a digit, and remembers what it was asked and with which key."""

    def __init__(self) -> None:
        self.questions: list[str] = []
        self.keys: list[str | None] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *arguments: Any) -> None:
                pass

            def do_POST(self) -> None:
                request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                question = request["messages"][0]["content"]
                outer.questions.append(question)
                outer.keys.append(self.headers["Authorization"])
                answer = question.split("<answer>\n")[1].split("\n</answer>")[0]
                said = "Yes." if answer.isdigit() else "no"
                body = json.dumps({"choices": [{"message": {"role": "assistant", "content": said}}]}).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}/v1"
        threading.Thread(target=self.http.serve_forever, args=(0.02,), daemon=True).start()


@pytest.fixture
def judge(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Judge]:
    monkeypatch.setenv("JUDGE_KEY", KEY)
    monkeypatch.setenv("INSCL_CACHE", str(tmp_path / "cache"))
    for name in ("OPENAI_BASE_URL", "OPENAI_API_KEY", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    running = Judge()
    yield running
    running.http.shutdown()
    running.http.server_close()


def test_the_cost_comes_first_then_the_judge_decides(
    typed: Callable[..., Done],
    run: Path,  # noqa: F811
    judge: Judge,
    tmp_path: Path,
) -> None:
    asked = ("forgotten", run, "--judge", "wise", "--base-url", judge.url, "--api-key-env", "JUDGE_KEY")
    prices = ("--price-per-million-input", "2", "--price-per-million-output", "8")
    only = typed(*asked, *prices, "--estimate")
    assert only.returncode == 0, only.stderr
    assert only.stdout.startswith("judging by wise: 4 requests: about ")
    assert "for about 0.00" in only.stdout
    assert "compared" not in only.stdout
    assert judge.questions == []

    done = typed(*asked, "--out", tmp_path / "cases.jsonl")
    assert done.returncode == 0, done.stderr
    assert done.stdout.index("4 requests") < done.stdout.index("compared")
    rows = [json.loads(line) for line in (tmp_path / "cases.jsonl").read_text(encoding="utf-8").splitlines()]
    assert {row["reason"] for row in rows} == {"judge"}
    # The check would have called "negative" related and the number unrelated.
    assert {row["end"]: row["related"] for row in rows} == {
        "negative": False,
        "481": True,
        "The man of the nim": False,
        "75": True,
    }
    assert set(judge.keys) == {f"Bearer {KEY}"}
    assert all("Positive or negative?" in text or "Add the numbers." in text for text in judge.questions)
    everywhere = [done.stdout, done.stderr, *(path.read_bytes().decode("latin-1") for path in files(tmp_path))]
    assert not any(KEY in text for text in everywhere)

    count = len(judge.questions)
    again = typed(*asked)
    assert "0 requests" in again.stdout
    assert len(judge.questions) == count == 4


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_what_is_wrong_is_the_users_mistake(typed: Callable[..., Done], run: Path, judge: Judge) -> None:  # noqa: F811
    refused(typed("forgotten", run, "--estimate"), 2, "--estimate", "--judge MODEL")
    refused(typed("forgotten", run, "--judge", "wise"), 2, "OPENAI_API_KEY")
    refused(typed("forgotten", run, "--judge", "wise", "--base-url", judge.url, "--concurrency", "0"), 2, "concurrency")
    judge.http.server_close()
    dead = typed("forgotten", run, "--judge", "wise", "--base-url", "http://127.0.0.1:9/v1", "--max-retries", "0")
    refused(dead, 1, "127.0.0.1:9")
