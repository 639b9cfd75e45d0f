from __future__ import annotations

from pathlib import Path

from inscl.storage.files.disk import disk_of


def test_every_file_counts_however_deep_it_lies(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "one").write_bytes(b"x" * 10)
    (tmp_path / "a" / "b" / "two").write_bytes(b"x" * 5)
    assert disk_of(tmp_path) == 15
    assert disk_of(tmp_path / "a") == 5
    assert disk_of(tmp_path / "nothing") == 0
