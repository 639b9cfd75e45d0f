"""An address of object storage is refused wherever it stands for a path, and leaves no folder of its name behind."""

from __future__ import annotations

from pathlib import Path

import pytest

from inscl.data.places import refuse_remote
from inscl.data.stream import load_stream
from inscl.errors import ConfigError
from inscl.storage.files.atomic import write_text
from inscl.storage.files.lock import locked


@pytest.mark.parametrize("path", ["s3://bucket/run", Path("s3://bucket/run"), "gs://b", "az+blob://c/d", "s3:/b"])
def test_an_address_is_no_path(path: str | Path) -> None:
    with pytest.raises(ConfigError, match=r"://.*is an address and no folder"):
        refuse_remote(path)


@pytest.mark.parametrize("path", ["runs/x", "C:/runs", "/s3:/bucket", "a:b", "runs/s3:/x", Path(), ""])
def test_a_path_is(path: str | Path) -> None:
    refuse_remote(path)


def test_nothing_is_locked_or_written_at_an_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="s3://bucket/run"), locked(Path("s3://bucket/run")):
        pass
    with pytest.raises(ConfigError, match=r"s3://bucket/tags\.jsonl"):
        write_text(Path("s3://bucket/tags.jsonl"), "text")
    with pytest.raises(ConfigError, match=r"s3://bucket/data.*copy the data"):
        load_stream("s3://bucket/data")
    assert list(tmp_path.iterdir()) == []
