"""What refiners make of real rows with a small model as the writer: yield, what was left out and why, length, IFD.

    python benchmarks/refiner_yield.py STREAM --tasks A B --rows 12 --gguf FILE --folder WORK [--out FILE]

Some train rows of a few tasks are written to WORK/original. Each refiner refines that folder into WORK/NAME by
`inscl.refine`'s own code, `select` what `reflection` made. The writer is a GGUF file behind llama.cpp's own server on
loopback (``--gguf``; it needs the package xllamacpp), any other server (``--base-url``), or a model in this process
(``--model local:...``). With ``--forced`` a relay before the server turns the form that a question asks for into a
grammar, so that the writer can't miss it: only what stands between the markers is the writer's. WORK/read_NAME.jsonl
holds up to 50 drawn pairs of before and after, to be read; the record has ids and numbers alone.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from statistics import fmean
from typing import Any

from inscl.contract import Example
from inscl.data import load_stream
from inscl.refining.difficulty import Student
from inscl.refining.refine_stream import refine_stream
from inscl.storage.files.atomic import read_json, read_jsonl, write_json, write_jsonl

REFINERS = ("reflection", "select", "demorecon", "diversify", "codec")
READ = 50  # pairs a refiner that are drawn to be read
SMALL = {  # what keeps the cost of a trial down; the rest is as it comes
    "codec": {"seeds": 2, "metadata": 2, "instructions": 2, "rounds": 1},
    "demorecon": {"most": 3},
    "diversify": {"wordings": 3, "check": 1},
}
DATA = {"reflection": "original", "select": "reflection"}  # the others ask more, and get fewer rows
REASONS = {
    "a marker line is missing": r"must stand there once|no line such as",
    "nothing stands between the markers": r"nothing stands after",
    "the markers' order, or their code in a text": r"must stand in the order|must not contain the code",
    "another number or form of items": r"were expected|is one line of at most|is the most; leave out",
    "words of the question": r"words of the question",
    "goes round in circles": r"repeats itself",
    "the answer is the instruction": r"same as the instruction",
    "as it was, or as another": (
        r"gave back what it was given|gave the answer back|in the same words|such an instruction|another variant"
    ),
    "another script": r"in another script",
    "a number, quotation or name of an answer is missing": r"it lacks ",
    "by the wording, answers lose their format": r"lost the format",
    "both models answer about equally well": r"about equally well",
    "no part that can be exchanged": r"no part that can be exchanged|there is no such part",
    "IFD or reversed IFD of 1 or more": r"ifd is \d",
    "gives a test row away": r"test example",
    "too long for the model": r"reads at most",
}
LLAMA = """
import sys, time, xllamacpp
params = xllamacpp.CommonParams()
params.model.path, params.port, params.n_ctx = sys.argv[1], int(sys.argv[2]), 8192
params.n_parallel, params.warmup = 4, False
params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
server = xllamacpp.Server(params)
time.sleep(36000)
"""


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@contextmanager
def served(gguf: Path) -> Iterator[str]:
    """llama.cpp's server of a GGUF file; its address."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-c", LLAMA, str(gguf), str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        for _ in range(600):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5).close()
                break
            except OSError:
                if process.poll() is not None:
                    raise SystemExit(f"llama.cpp's server of {gguf} ended: is xllamacpp installed?") from None
                time.sleep(0.2)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.terminate()
        process.wait(30)


# A text is one or two lines that hold no marker and no fence; without a bound a small model never ends one.
GRAMMAR = r"""
line ::= [^\n\[< \-] [^\n\[<]{0,200} "\n"
text ::= line{1,2}
free ::= line?
item ::= "- " [^\n\[< \-] [^\n\[<]{0,80} "\n"
short ::= [^\n\[< \-] [^\n\[<]{0,60} "\n"
score ::= "10" | [1-9]
"""
FORMS = {"facts": "item{1,2}", "parts": "item{2,4}", "skills": "item{1,3}", "use": "short"}
FORMS |= {"rubrics": "item{4}", "actions": "item{4}", "scores": 'score " " score "\\n"', "change": "short"}


def grammar(question: str) -> str:
    """The form that a question of a refiner asks for, in llama.cpp's notation; empty if it asks for none."""
    found = re.search(r"the\s+code\s+(\w{8})\b", question)
    names = re.findall(rf"\[\[(\w+(?: K)?) {found[1]}\]\]", question) if found else []
    names = [name for name in dict.fromkeys(names) if name != "end"]
    if not found or not names:
        return ""
    count = re.search(rf"<count {found[1]}>\n(\d+)", question)
    parts = len(re.findall(r"^\d+\. ", question, re.MULTILINE))
    numbered = [name for name in names if name.endswith(" K")]
    names = [name for name in names if name not in numbered]
    many = int(count[1]) if count else min(3, parts)
    names += [name.replace("K", str(k)) for k in range(1, many + 1) for name in numbered]
    said = " ".join(f'"[[{name} {found[1]}]]\\n" {FORMS.get(name.split()[0], "text")}' for name in names)
    return f'root ::= free {said} "[[end {found[1]}]]"\n{GRAMMAR}'


@contextmanager
def relay(base_url: str) -> Iterator[str]:
    """A server that passes everything on, with a grammar for each question that asks for a form."""

    class Relay(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *arguments: Any) -> None:
            pass

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if form := grammar(asked["messages"][0]["content"]):
                asked["grammar"] = form
            address = base_url.removesuffix("/v1") + self.path
            request = urllib.request.Request(address, json.dumps(asked).encode(), {"Content-Type": "application/json"})
            try:
                with urllib.request.urlopen(request, timeout=600) as reply:
                    status, body = reply.status, reply.read()
            except urllib.error.HTTPError as error:
                status, body = error.code, error.read()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    http = ThreadingHTTPServer(("127.0.0.1", 0), Relay)
    threading.Thread(target=http.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{http.server_port}/v1"
    finally:
        http.shutdown()
        http.server_close()


def write_original(given: argparse.Namespace) -> None:
    """The rows that refiners are given, as a stream of their own, and the first few of each task as another."""
    stream = load_stream(
        str(given.stream),
        order=given.tasks or None,
        train_per_task=given.rows,
        test_per_task=given.test_rows,
        seed=given.seed,
        options="given",
    )
    for name, most in (("original", given.rows), ("few", given.fewer or given.rows)):
        for task in stream:
            rows = [
                {"instruction": one.instruction, "input": one.input, "output": one.output, "split": split}
                for split, part in (("train", task.train[:most]), ("test", task.test))
                for one in part
            ]
            write_jsonl(given.folder / name / f"{task.name}.jsonl", rows)


def pairs_of(folder: Path) -> list[tuple[Example, Example]]:
    """What a refinement made, each with the row that it was made from."""
    asked = read_json(folder / "refine.json")["asked"]
    rows = [Example.from_json(row) for file in sorted(folder.glob("tasks/*.jsonl")) for row in read_jsonl(file)]
    gone = [Example.from_json(row["row"]) for row in read_jsonl(folder / "rejected.jsonl")]
    by_id = {one.id: one for one in (*gone, *rows)}
    found = []
    for one in rows:
        facts = one.provenance
        if facts.get("refiner") == asked["refiner"] and facts.get("parameters") == asked["fingerprint"]:
            parent = facts["parent"]
            found.append((by_id[parent if isinstance(parent, str) else parent[0]], one))
    return found


def reasons(folder: Path, made: Sequence[tuple[Example, Example]]) -> Counter[str]:
    """How often each reason was given for what was left out, in whole or in part."""
    told = [str(row["reason"]) for name in ("unchanged.jsonl", "rejected.jsonl") for row in _rows(folder / name)]
    told += [text for _, one in made for text in one.provenance.get("fell_back", ())]
    found: Counter[str] = Counter()
    for text in told:
        if text.startswith("replaced by"):
            continue
        counts = {name: len(re.findall(pattern, text)) for name, pattern in REASONS.items()}
        found.update({name: count for name, count in counts.items() if count} or {"other": 1})
    return found


def _rows(path: Path) -> list[dict[str, Any]]:
    return read_jsonl(path) if path.is_file() else []


def numbers(rows: Sequence[Example], student: Student | None) -> dict[str, Any]:
    """Lengths and difficulty of rows."""
    if not rows:
        return {"rows": 0}
    ifd = [] if student is None else student.ifd([(one.prompt, one.output) for one in rows])
    return {
        "rows": len(rows),
        "prompt_words": round(fmean(len(one.prompt.split()) for one in rows), 1),
        "answer_words": round(fmean(len(one.output.split()) for one in rows), 1),
        **({"ifd": round(fmean(ifd), 3), "ifd_of_1_or_more": sum(one >= 1 for one in ifd)} if ifd else {}),
    }


def measured(name: str, data: Path, folder: Path, seconds: float, student: Student | None) -> dict[str, Any]:
    """The numbers of one refinement."""
    summary, made = read_json(folder / "refine.json"), pairs_of(folder)
    totals = summary["totals"]
    given = sum(len(task.train) for task in load_stream(data, options="given"))
    improved = len({before.id for before, _ in made})
    parents = list({before.id: before for before, _ in made}.values())
    return {
        "refiner": name,
        "given": given,
        **totals,
        "made": len(made),
        "rows_with_something_made": improved,
        "share_with_something_made": round(improved / given, 3),
        "left_out": dict(reasons(folder, made).most_common()),
        "before": numbers(parents, student),
        "after": numbers([one for _, one in made], student),
        "spent": summary.get("spent"),
        "seconds": round(seconds, 1),
    }


def write_sample(file: Path, pairs: Sequence[tuple[Example, Example]]) -> list[str]:
    """Draw pairs to be read; returns the ids of what was made."""
    drawn = random.Random(0).sample(list(pairs), min(READ, len(pairs)))
    write_jsonl(file, [_read(before, after) for before, after in drawn])
    return [after.id for _, after in drawn]


def _read(before: Example, after: Example) -> dict[str, Any]:
    def texts(one: Example) -> dict[str, str]:
        return {"instruction": one.instruction, "input": one.input, "output": one.output}

    return {"id": after.id, "task": after.task, "before": texts(before), "after": texts(after), "verdict": ""}


def params_of(name: str, llm: Mapping[str, Any], given: argparse.Namespace) -> dict[str, Any]:
    if name == "select":
        return {"student": given.student}
    target = {"target": dict(llm)} if name == "codec" else {}
    return {"llm": dict(llm), **target, **SMALL.get(name, {})}


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("stream", type=Path)
    parser.add_argument("--tasks", nargs="*", default=[])
    parser.add_argument("--rows", type=int, default=12, help="train rows a task")
    parser.add_argument("--fewer", type=int, help="train rows a task for demorecon, diversify and codec; default: all")
    parser.add_argument("--test-rows", type=int, default=20, help="test rows a task, against which leaks are checked")
    parser.add_argument("--refiners", nargs="*", choices=REFINERS, default=list(REFINERS))
    parser.add_argument("--gguf", type=Path, help="a GGUF file to serve")
    parser.add_argument("--base-url", help="the address of a server")
    parser.add_argument("--model", default="writer", help="the writer's name")
    parser.add_argument("--forced", action="store_true", help="have a grammar keep the form of answers")
    parser.add_argument("--max-tokens", type=int, default=400)
    parser.add_argument("--student", default="smollm2-135m", help="for IFD and for select; none leaves IFD out")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args(arguments)
    if given.forced and not (given.gguf or given.base_url):
        parser.error("--forced needs a server: --gguf or --base-url")
    write_original(given)
    student = None if given.student == "none" else Student(given.student)
    # Answers are kept by the model's name, and with a grammar it is another writer.
    name = f"{given.model} with a grammar" if given.forced else given.model
    llm: dict[str, Any] = {"model": name, "request": {"max_tokens": given.max_tokens}}
    llm["cache"] = str(given.folder / "answers.sqlite")
    found, sampled = [], {}
    with ExitStack() as stack:
        address = stack.enter_context(served(given.gguf)) if given.gguf else given.base_url
        if address:
            address = stack.enter_context(relay(address)) if given.forced else address
            llm |= {"base_url": address, "timeout": 600.0}
        for name in given.refiners:
            started = time.monotonic()
            data = given.folder / DATA.get(name, "few")
            refine_stream(data, given.folder / name, name, params_of(name, llm, given))
            found.append(measured(name, data, given.folder / name, time.monotonic() - started, student))
            sampled[name] = write_sample(given.folder / f"read_{name}.jsonl", pairs_of(given.folder / name))
            print(json.dumps(found[-1], indent=1), flush=True)
    record = {
        "date": date.today().isoformat(),
        "command": " ".join(["python", "benchmarks/refiner_yield.py", *arguments]),
        "rows": found,
        "drawn": sampled,
    }
    if given.out:
        write_json(given.out, record)


if __name__ == "__main__":
    main(sys.argv[1:])
