from __future__ import annotations

import os
import sys
from importlib import metadata
from pathlib import Path

import pytest

from inscl.config import kinds
from inscl.config.declared import entry_points


def install(site: Path, package: str, version: str, component: str) -> None:
    """What an installer writes for a package that brings one refiner."""
    folder = site / f"{package}-{version}.dist-info"
    folder.mkdir(parents=True)
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n")
    (folder / "entry_points.txt").write_text(f"[inscl.refiners]\n{component} = nowhere:{component}\n")


def changed(site: Path, when: int) -> None:
    """Give the folder a time of its own: two changes within one tick of the clock have the same."""
    os.utime(site, (when, when))


@pytest.mark.parametrize("kind", kinds.KINDS)
def test_they_are_those_of_importlib(kind: str) -> None:
    group = kinds.KINDS[kind].group
    found = {entry.name: entry for entry in entry_points(group)}
    assert found
    assert found == {entry.name: entry for entry in metadata.entry_points(group=group)}


def test_installed_packages_are_read_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    reads: list[None] = []
    read = metadata.entry_points

    def counted() -> object:
        reads.append(None)
        return read()

    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(metadata, "entry_points", counted)
    for kind in (*kinds.KINDS, *kinds.KINDS):
        assert kinds.names(kind)
    assert len(reads) == 1


def test_a_package_that_comes_or_goes_is_seen_at_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    before = kinds.names("refiners")
    site = tmp_path / "site"
    monkeypatch.setattr(sys, "path", [str(site), *sys.path])
    assert kinds.names("refiners") == before, "a folder that isn't there has nothing"
    install(site, "theirs", "1.2", "polish")
    changed(site, 1)
    assert kinds.names("refiners") == sorted([*before, "polish"])
    assert kinds.foreign("refiners", "polish") == "theirs 1.2"
    install(site, "others", "3", "sand")
    changed(site, 2)
    assert kinds.names("refiners") == sorted([*before, "polish", "sand"])
    monkeypatch.setattr(sys, "path", sys.path[1:])
    assert kinds.names("refiners") == before
    assert entry_points("inscl.nothing") == ()
