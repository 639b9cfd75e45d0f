import pytest

from inscl.errors import WorkspaceError
from inscl.storage.files.cache import Cache, cache_dir, forget


def test_values_come_back_by_producer_and_text(tmp_path):
    path = tmp_path / "deep" / "cache.sqlite"
    cache = Cache(path, "one")
    assert cache.get(["a"]) == {}
    assert not path.exists()
    cache.put({"a": b"\0 1", "": b"", "lone \ud800": b"3"})
    assert Cache(path, "one").get(["a", "", "lone \ud800", "b"]) == {"a": b"\0 1", "": b"", "lone \ud800": b"3"}
    assert Cache(path, "two").get(["a"]) == {}
    cache.put({"a": b"4"})
    assert cache.get(["a"]) == {"a": b"4"}


def test_more_keys_than_a_statement_may_have(tmp_path):
    cache = Cache(tmp_path / "cache.sqlite", "one")
    values = {str(k): str(k).encode() for k in range(1200)}
    cache.put(values)
    assert cache.get(values) == values


def test_a_failed_put_keeps_nothing(tmp_path):
    cache = Cache(tmp_path / "cache.sqlite", "one")
    with pytest.raises(WorkspaceError):
        cache.put({"a": b"1", "b": None})
    assert cache.get(["a", "b"]) == {}


@pytest.mark.parametrize("obstacle", ["junk", "folder", "file in the way"])
def test_a_place_that_cannot_be_used_is_one_message(tmp_path, obstacle):
    path = tmp_path / "cache.sqlite"
    if obstacle == "junk":
        path.write_bytes(b"not a database" * 100)
    elif obstacle == "folder":
        path.mkdir()
    else:
        path.write_bytes(b"")
        path = path / "cache.sqlite"
    with pytest.raises(WorkspaceError, match=r"can't use the cache .*INSCL_CACHE"):
        Cache(path, "one").put({"a": b"1"})


def test_the_folder_follows_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("INSCL_CACHE", str(tmp_path / "own"))
    assert cache_dir() == tmp_path / "own"
    monkeypatch.delenv("INSCL_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_dir() == tmp_path / "xdg" / "inscl"


def test_what_is_forgotten_is_in_no_byte_of_the_file(tmp_path):
    path = tmp_path / "tags.sqlite"
    for producer in ("one", "two"):
        values = {f"text {k}": f"value-{k}-{producer}".encode() * 50 for k in range(20)}
        Cache(path, producer).put(values)
    assert forget(path, ["text 3", "never there"]) == 2
    assert forget(path, [], goes=lambda value: b"value-4-" in value) == 2
    assert Cache(path, "one").get(["text 3", "text 4", "text 5"]).keys() == {"text 5"}
    content = path.read_bytes()
    assert b"value-3-" not in content
    assert b"value-4-" not in content
    assert b"value-5-" in content
    assert forget(tmp_path / "none.sqlite", ["text 3"]) == 0
    assert not (tmp_path / "none.sqlite").exists()
