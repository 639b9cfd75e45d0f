from __future__ import annotations

import bz2
import gzip
import json
import lzma
from collections.abc import Callable
from pathlib import Path

import pyarrow
import pytest

from inscl.data import load_stream
from inscl.data.readers import compression, data_stem, data_suffix, rows
from inscl.errors import DataError

ROWS = [{"instruction": "Add one", "input": str(n), "output": str(n + 1)} for n in range(12)]
LINES = "".join(json.dumps(row) + "\n" for row in ROWS).encode()
TABLE = b"instruction,input,output\n" + b"".join(f"Add one,{n},{n + 1}\n".encode() for n in range(12))
CONTENT = {
    ".jsonl": LINES,
    ".json": json.dumps(ROWS).encode(),
    ".csv": TABLE,
    ".tsv": TABLE.replace(b",", b"\t"),
}
PACKERS: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": lambda content: pyarrow.Codec("zstd").compress(content, asbytes=True),
}


@pytest.mark.parametrize("packing", PACKERS)
@pytest.mark.parametrize("form", CONTENT)
def test_what_is_packed_is_read_as_what_is_not(tmp_path: Path, form: str, packing: str) -> None:
    (tmp_path / f"add{form}{packing.upper()}").write_bytes(PACKERS[packing](CONTENT[form]))
    stream = load_stream(tmp_path)
    assert stream.names == ("add",)
    assert sorted(int(e.input) for task in stream for e in (*task.train, *task.test)) == list(range(12))
    assert (data_stem(Path(f"a.b{form}{packing}")), data_suffix(Path(f"a{form}{packing}"))) == ("a.b", form)


def test_packed_split_files_are_one_task(tmp_path: Path) -> None:
    (tmp_path / "train.jsonl.gz").write_bytes(gzip.compress(LINES[:-60]) + gzip.compress(LINES[-60:]))  # two members
    (tmp_path / "test.csv.xz").write_bytes(lzma.compress(b"instruction,output\nAdd,1\n"))
    (task,) = load_stream(tmp_path)
    assert (len(task.train), len(task.test)) == (12, 1)


@pytest.mark.parametrize("packing", PACKERS)
def test_a_damaged_file_is_told(tmp_path: Path, packing: str) -> None:
    packed = PACKERS[packing](LINES * 20)
    path = tmp_path / f"a.jsonl{packing}"
    for content in (packed[:-9], packed[: len(packed) // 2], b"just text", packed[:6] + b"\xff" * 40):
        path.write_bytes(content)
        with pytest.raises(DataError, match="damaged or incomplete") as caught:
            load_stream(path)
        assert caught.value.file == str(path)


def test_names_that_lie(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(gzip.compress(LINES))
    with pytest.raises(DataError, match=r"compressed, and its name doesn't say so; name it a\.jsonl\.gz"):
        load_stream(tmp_path / "a.jsonl")
    (tmp_path / "a.jsonl.zst").write_bytes(gzip.compress(LINES))
    with pytest.raises(DataError, match=r"no \.zst file"):
        load_stream(tmp_path / "a.jsonl.zst")
    (tmp_path / "b.jsonl.gz").write_bytes(gzip.compress(b""))
    with pytest.raises(DataError, match="nothing is in this compressed file"):
        load_stream(tmp_path / "b.jsonl.gz")
    (tmp_path / "c.txt.gz").write_bytes(gzip.compress(LINES))
    with pytest.raises(DataError, match=r"format isn't known by its name.* \.gz"):
        load_stream(tmp_path / "c.txt.gz")


@pytest.mark.parametrize("packing", PACKERS)
def test_what_unpacks_to_too_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, packing: str) -> None:
    path = tmp_path / f"a.jsonl{packing}"
    path.write_bytes(PACKERS[packing](b" " * 40_000_000))
    monkeypatch.setattr(rows, "LARGEST_FILE", 20_000_000)
    with pytest.raises(DataError, match="unpacks to more than 20,000,000 bytes: divide it"):
        load_stream(path)
    monkeypatch.setattr(compression, "UNSUSPICIOUS", 10_000_000)
    with pytest.raises(DataError, match=r"bytes unpack to more than 10,000,000, each to more than 250"):
        load_stream(path)
