"""What `inscl refine` writes on a Ray cluster is what it writes here, to the byte, and no answer is paid for twice."""

from __future__ import annotations

import json
import re
import signal
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pyarrow as pa
import pytest

from asked_rows import reply
from chat_server import Server, server, surroundings
from inscl.contract import Example
from inscl.contract.example import Image
from inscl.contract.refined import Made, Refined
from inscl.contract.seams import NullProgress
from inscl.data.refiner_steps import steps_of
from inscl.errors import ConfigError, EndpointError, InsclError, ModelError
from inscl.llm.costs import Spent
from inscl.planning.answers_on_ray import Keeper
from inscl.planning.on_ray import OnRay
from inscl.planning.refining_on_ray import RefineWorker, _DealtOut, _outcome, _parts, _told, refining_on
from inscl.refining.refine_stream import RefinedStream, refine_stream
from inscl.storage.files.atomic import read_json, read_jsonl
from inscl.storage.files.cache import Cache

__all__ = ["server", "surroundings"]

SECRET = "How many ships of the line does the old harbour shelter in a winter storm?"
"""The input of a test row, which an answer gives away."""
ROWS = 14


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A task with equal rows, a choice, and rows of which the server makes nothing or too much."""
    inputs = [f"word {k}" for k in range(ROWS - 4)] + ["word 3", "refuse", "leak", "word 4"]
    rows = [{"instruction": "Say it.", "input": text, "output": f"as {text}", "split": "train"} for text in inputs]
    rows[5]["options"] = ["as word 5", "as word 6"]
    rows.append({"instruction": "Say it.", "input": SECRET, "output": "none", "split": "test"})
    file = tmp_path / "task.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def answered(request: dict[str, Any]) -> tuple[int, dict[str, str], str]:
    """What the server says: a better answer; of some rows nothing that can be used, or a test row."""
    said = request["messages"][0]["content"]
    (nonce,) = re.findall(r"the code (\w{8}),", said)
    (text,) = re.findall(rf"<input {nonce}>\n(.*)\n</input {nonce}>", said)
    better = {"refuse": "", "leak": SECRET}.get(text, f"a fuller answer about {text} with everything that matters")
    return reply(f"[[answer {nonce}]]\n{better}\n[[end {nonce}]]")


def refined(data: Path, out: Path, server: Server, on: OnRay | None = None) -> RefinedStream:
    params = {"llm": {"model": "m", "base_url": server.url, "concurrency": 1}, "instruction": False}
    elsewhere = refining_on(on, NullProgress()) if on else None
    return refine_stream(data, out, "reflection", params, elsewhere=elsewhere)


def contents(folder: Path) -> dict[str, bytes]:
    files = (file for file in folder.rglob("*") if file.is_file() and file.name != ".lock")
    return {str(file.relative_to(folder)): file.read_bytes() for file in files}


def asked(server: Server) -> Counter[str]:
    """How often each question came; second tries, which quote an answer, aside."""
    return Counter(one["messages"][0]["content"] for one in server.requests if len(one["messages"]) == 1)


def at_request(number: int, event: Callable[[], None]) -> Callable[[dict[str, Any]], Any]:
    """Answers as usual, after something happened when so many questions had come."""
    seen: list[dict[str, Any]] = []

    def entry(request: dict[str, Any]) -> Any:
        seen.append(request)
        if len(seen) == number:
            event()
        return answered(request)

    return entry


@pytest.fixture
def here(data: Path, tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """What is written without a cluster; the server has forgotten it, and so has the cache."""
    server.script = [answered]
    with monkeypatch.context() as patch:
        patch.setenv("INSCL_CACHE", str(tmp_path / "cache of here"))
        done = refined(data, tmp_path / "here", server)
    assert done.counts == {"task": {"kept": 2, "replaced": ROWS - 3, "added": 0, "rejected": 1}}
    assert len(read_jsonl(done.rejected)) == ROWS - 1
    server.requests.clear()
    return contents(done.folder)


def test_a_cluster_writes_what_this_machine_writes_though_workers_are_killed(
    data: Path, here: dict[str, bytes], server: Server, cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def kill() -> None:
        workers = [p for p in psutil.Process().children(recursive=True) if "RefineWorker" in " ".join(p.cmdline())]
        assert workers
        for worker in workers:
            worker.send_signal(signal.SIGKILL)

    monkeypatch.setattr("inscl.planning.refining_on_ray.ROWS", 3)
    server.script = [at_request(7, kill)]
    there = refined(data, tmp_path / "there", server, OnRay(workers=2))
    assert contents(there.folder) == here
    assert there.spent == Spent(ROWS - 2, 10 * (ROWS - 2), 5 * (ROWS - 2))
    # What was on its way when they were killed is asked again, and nothing else.
    again = [count for count in asked(server).values() if count > 1]
    assert again in ([2], [2, 2])
    server.requests.clear()
    refined(data, tmp_path / "again", server)
    assert contents(tmp_path / "again")["tasks/task.jsonl"] == here["tasks/task.jsonl"]
    assert not server.requests


def test_an_interrupt_keeps_what_was_on_its_way_and_the_same_command_goes_on(
    data: Path, here: dict[str, bytes], server: Server, cluster: Any, tmp_path: Path
) -> None:
    main = threading.main_thread().ident
    assert main is not None
    server.script = [at_request(5, lambda: signal.pthread_kill(main, signal.SIGINT))]
    with pytest.raises(KeyboardInterrupt):
        refined(data, tmp_path / "there", server, OnRay(workers=1))
    before = len(server.requests)
    assert 5 <= before <= 6
    assert read_json(tmp_path / "there" / "refine.json")["spent"]["requests"] == before
    there = refined(data, tmp_path / "there", server, OnRay(workers=1))
    assert contents(there.folder) == here
    assert set(asked(server).values()) == {1}


def test_an_error_of_a_worker_is_the_message_of_this_machine(server: Server, cluster: Any, tmp_path: Path) -> None:
    server.script = [(404, {}, "there is no such model")]
    params = {"llm": {"model": "m", "base_url": server.url, "max_retries": 0}}
    (step,) = steps_of([{"name": "reflection", "params": params}])
    row = Example("Say it.", "word", ("as word",))
    with pytest.raises(EndpointError) as here:
        list(step.refiner.refine([row]))
    keeper = cluster.remote(Keeper).remote(str(tmp_path))
    dealt = _DealtOut(step, OnRay(), cluster, keeper, NullProgress())
    given = pa.table({"places": [[0]], "rows": [json.dumps([row.to_json()]).encode()]})
    for fingerprint, said in (
        (step.fingerprint, re.escape(str(here.value))),
        ("another", "node .* has another refiner"),
    ):
        work = RefineWorker(dealt._given(), fingerprint, str(tmp_path), keeper)
        (done,) = work(given).to_pylist()
        with pytest.raises((EndpointError, ModelError), match=said):
            dealt._told(json.loads(done["outcomes"]), 1)
    with pytest.raises(InsclError, match="told of 1 of 2 examples"):
        dealt._told([{}], 2)
    cluster.get(keeper.stop.remote())
    assert work(given).to_pylist() == [{"places": [0], "outcomes": b""}]


def test_refiners_that_need_a_whole_task_are_refused_before_anything_is_read(server: Server, tmp_path: Path) -> None:
    place = refining_on(OnRay(), NullProgress())
    llm = {"model": "m", "base_url": server.url}
    for name, params in (
        ("deduplicate", {}),
        ("select", {}),
        ("diversify", {"llm": llm}),
        ("codec", {"llm": llm, "target": llm}),
        ("rella", {}),
    ):
        with pytest.raises(ConfigError, match=f"'{name}' can't be dealt out.*Leave --on out"):
            refine_stream(tmp_path / "nowhere", tmp_path / "out", name, params, elsewhere=place)
    assert not (tmp_path / "out").exists()


def test_rows_that_are_asked_about_alike_come_to_one_worker_and_pictures_to_none() -> None:
    rows = [Example("Say.", text, (str(k),)) for k, text in enumerate("abcadbae")]
    rows.append(Example("Say.", "f", ("g",), images=(Image("f.png", "1"),)))
    assert _parts(rows, 2) == [[0, 3, 6], [1, 5], [2, 4], [7]]
    assert _parts(rows, 100) == [[0, 3, 6, 1, 5, 2, 4, 7]]
    assert _parts(rows[-1:], 100) == []


def test_an_outcome_comes_back_as_it_was() -> None:
    row = Example("Say.", "\udce9", ("b",), "t", "file:1", options=("b", "c"), metadata={"m": [1, None]})
    made = Made(Example("Said.", "é", ("d", "e"), provenance={"how": "x"}), "so", ("another",), {"n": 0.5})
    for outcome in (
        Refined.keep(row, "no use", tries=2),
        Refined.add(row, made, made, reason="partly"),
        Refined.reject(row, "bad", score=1.5),
    ):
        assert _outcome(row, json.loads(json.dumps(_told(outcome)))) == outcome
    with pytest.raises(InsclError, match="told of another example"):
        _outcome(made.example, _told(Refined.keep(row)))


def test_the_keeper_keeps_answers_counts_lost_workers_and_lets_one_command_ask(tmp_path: Path) -> None:
    keeper, file = Keeper(str(tmp_path)), "answers.sqlite"
    assert keeper.put(file, "model", {"a": b"1"}, "one", Spent(1, 10, 5)) is False
    assert keeper.get(file, "model", ["a", "b"]) == {"a": b"1"} == Cache(tmp_path / file, "model").get(["a"])
    keeper.count("two", Spent(3, 30, 15))
    keeper.count("two", Spent(2, 20, 10))
    assert keeper.spent() == Spent(4, 40, 20)
    with Cache(tmp_path / file, "model").alone():
        assert not keeper.claim(file, "model")
    assert keeper.claim(file, "model")
    assert keeper.claim(file, "model")
    assert not Keeper(str(tmp_path)).claim(file, "model")
    keeper.leave()
    assert Keeper(str(tmp_path)).claim(file, "model")
    keeper.stop()
    assert keeper.stopped()
    assert keeper.count("one", Spent()) is True


def test_parameters_that_no_worker_can_get_are_one_message() -> None:
    (step,) = steps_of([{"name": "rella", "params": {"show": "recent", "embedder": len}}])
    dealt = _DealtOut(step, OnRay(), None, None, NullProgress())
    with pytest.raises(ConfigError, match="only plain values can be sent to workers"):
        dealt._given()
