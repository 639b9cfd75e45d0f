"""Objects on a real server that speaks S3: what it answers when it is busy, refuses, or lacks the bucket."""

from __future__ import annotations

from pathlib import Path

import pytest

from inscl.errors import ConfigError, InsclError
from inscl.storage.objects import bucket as objects
from inscl.storage.objects.bucket import Bucket, UnreachableError
from object_server import ObjectServer, Strike


def test_objects_are_made_read_listed_and_deleted(bucket: str, tmp_path: Path) -> None:
    here = Bucket(f"{bucket}/a/b")
    (tmp_path / "file").write_bytes(b"12345")
    here.upload(tmp_path / "file", "objects/x")
    here.write("objects/y", b"67")
    assert here.names("objects") == {"x": 5, "y": 2}
    assert here.names("nothing") == {}
    assert (here.read("objects/y"), here.read("objects/z")) == (b"67", None)
    assert here.download("objects/x", tmp_path / "copy") is True
    assert (tmp_path / "copy").read_bytes() == b"12345"
    assert here.download("objects/z", tmp_path / "none") is False
    here.delete(["objects/x", "objects/z"])
    assert here.names("objects") == {"y": 2}


def test_what_exists_is_not_created_again(bucket: str) -> None:
    here = Bucket(f"{bucket}/run")
    assert here.create("g/1", b"mine-1", b"mine") is True
    assert here.create("g/1", b"mine-2", b"other") is False
    assert here.read("g/1") == b"mine-1"


@pytest.mark.parametrize("status", [500, 503])
def test_a_server_that_is_busy_for_a_while_is_asked_again(
    bucket: str, object_server: ObjectServer, status: int
) -> None:
    here = Bucket(f"{bucket}/run")
    with object_server.strike(Strike("PUT", "/run/", times=2, status=status)):
        here.write("x", b"content")
    assert here.read("x") == b"content"
    with (
        object_server.strike(Strike("PUT", "/run/", times=99, status=status)),
        pytest.raises(UnreachableError, match=rf"{bucket}/run/x: .*try again when the storage answers"),
    ):
        here.write("x", b"another")
    assert here.read("x") == b"content"


def test_an_object_whose_creation_was_not_confirmed_is_known_as_ours(bucket: str, object_server: ObjectServer) -> None:
    here = Bucket(f"{bucket}/run")
    with object_server.strike(Strike("PUT", "/g/1", status=500, lost=True)):
        assert here.create("g/1", b"mine", b"mine") is True
    assert sum(method == "PUT" for method, _ in object_server.requests) == 1
    assert here.create("g/1", b"yours", b"yours") is False


def test_wrong_keys_and_a_missing_bucket_are_told_at_once(
    bucket: str, object_server: ObjectServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    import s3fs

    monkeypatch.setattr(objects, "DELAYS", (60.0,))  # nobody waits for what lasts
    with pytest.raises(UnreachableError, match=r"s3://no-such-bucket/run/x: .*see that the bucket exists"):
        Bucket("s3://no-such-bucket/run").write("x", b"")
    with (
        object_server.strike(Strike("PUT", "/run/", times=9, status=403)),
        pytest.raises(UnreachableError, match="see that the keys in the environment are right"),
    ):
        Bucket(f"{bucket}/run").write("x", b"")
    for name, value in (("AWS_ACCESS_KEY_ID", "somebody-else"), ("AWS_ACCESS_KEY_ID", None)):
        monkeypatch.setenv(name, value) if value else monkeypatch.delenv(name)
        s3fs.S3FileSystem.clear_instance_cache()
        for call in (lambda: Bucket(f"{bucket}/run").names("x"), lambda: Bucket(f"{bucket}/run").write("x", b"")):
            with pytest.raises(UnreachableError, match="see that the keys in the environment are right") as told:
                call()
            assert "hush" not in str(told.value)


def test_a_server_that_ignores_the_condition_is_noticed(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from inscl.storage.objects.generations import Generations

    here = Bucket(f"{bucket}/run")
    assert Generations(here).refuses() is True
    plain = here._fs.pipe_file
    monkeypatch.setattr(here._fs, "pipe_file", lambda path, content, mode="": plain(path, content))
    assert Generations(here).refuses() is False
    assert here.names("probes") == {}


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("s3://key:secret@bucket/run", "no name or password"),
        ("s3://bucket/run*", r"none of \* \? \[ \]"),
        ("file://shared/run", "a folder is given by its path"),
        ("nothing-like-this://bucket/run", "nothing-like-this"),
        ("gs://bucket/run", "gcsfs"),
    ],
)
def test_addresses_that_cannot_be(address: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said) as told:
        Bucket(address)
    assert "secret" not in str(told.value)
    assert isinstance(told.value, InsclError)


def test_storage_that_can_only_be_read_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    here = Bucket("memory://run")

    def refuses(*_: object, **__: object) -> None:
        raise NotImplementedError

    monkeypatch.setattr(here._fs, "pipe_file", refuses)
    with pytest.raises(UnreachableError, match="storage that can be written"):
        here.write("x", b"")
