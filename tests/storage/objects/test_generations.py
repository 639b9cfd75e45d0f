"""Generations: numbers are given once, what no later one can name is deleted, and nothing else."""

from __future__ import annotations

import json
from typing import Any

import pytest

from inscl.errors import WorkspaceError
from inscl.storage.files.integrity import seal
from inscl.storage.objects.bucket import Bucket
from inscl.storage.objects.generations import Generation, Generations, Stored, object_name


def stored(letter: str, generation: int) -> Stored:
    return Stored(object_name(letter * 64, generation), letter * 64, 1)


def put(bucket: Bucket, *files: Stored) -> None:
    for one in files:
        bucket.write(f"objects/{one.object}", b"x")


def test_the_latest_counts_and_its_number_is_never_given_again(memory: str) -> None:
    bucket = Bucket(memory)
    generations = Generations(bucket)
    assert generations.latest() is None
    first = Generation.after(None, {"x": stored("a", 1)})
    assert generations.create(first) is True
    assert generations.create(first) is True  # a second try, since nobody confirmed the first
    second, rival = (Generation.after(first, {"x": stored(letter, 2)}) for letter in "bc")
    assert generations.create(second) is True
    assert generations.create(rival) is False
    generations.collect(second)
    late = Generation.after(None, {"x": stored("d", 1)})  # somebody who was away since before the first
    assert generations.create(late) is False
    assert generations.latest() == second
    assert (generations.nonce(1), generations.nonce(2), generations.nonce(3)) == (first.nonce, second.nonce, None)


def test_what_is_deleted_is_needed_by_nobody(memory: str) -> None:
    bucket = Bucket(memory)
    generations = Generations(bucket)
    old, kept, lost, new, coming = stored("a", 1), stored("b", 1), stored("c", 2), stored("d", 2), stored("e", 3)
    put(bucket, old, kept, lost, new, coming)  # `lost` is a rival's for the second, `coming` another's for the third
    first = Generation.after(None, {"x": old, "y": kept})
    second = Generation.after(first, {"y": kept, "z": new})
    assert generations.create(first)
    assert generations.create(second)
    assert bucket.names("generations")["00000001.json"] > 200
    generations.collect(second)
    assert set(bucket.names("objects")) == {one.object for one in (kept, new, coming)}
    assert bucket.names("generations")["00000001.json"] < 200
    put(bucket, old)
    generations.collect(second, always=False)  # it was finished: nobody looks
    assert old.object in bucket.names("objects")


def test_a_damaged_or_newer_one_is_refused(memory: str) -> None:
    bucket = Bucket(memory)
    generations = Generations(bucket)
    value = Generation.after(None, {"x": stored("a", 1)}).to_json()

    def evil(name: str, named: str) -> dict[str, Any]:
        return seal({**value, "files": {name: {"object": named, "sha256": "a" * 64, "size": 1}}})

    for content, said in (
        ({**value, "number": 7}, "is damaged"),
        ({**value, "schema": 2}, "newer inscl"),
        ([], "is damaged"),
        (evil("../../outside", "a" * 64 + ".1"), "names the file '../../outside'"),
        (evil("/etc/outside", "a" * 64 + ".1"), "names the file"),
        (evil("x", "../other/object"), "names the file 'x'"),
        (seal({**value, "files": {"x": 1}}), "isn't as inscl writes it"),
    ):
        bucket.write("generations/00000001.json", json.dumps(content).encode())
        with pytest.raises(WorkspaceError, match=rf"{memory}/generations/00000001.json .*{said}"):
            generations.latest()
