"""Objects under one address, read and written through fsspec, with patience where the server asks for it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

from inscl.config.confidential import secret_problems
from inscl.errors import ConfigError, MissingExtraError, WorkspaceError

__all__ = ["Bucket", "UnreachableError"]

T = TypeVar("T")

DELAYS = (1.0, 2.0, 4.0, 8.0, 16.0)
"""Seconds between tries of what failed and may pass: the server is busy, or doesn't answer."""
_LASTING = (PermissionError, FileNotFoundError, FileExistsError, NotImplementedError, ValueError, TypeError)
_S3 = ("s3", "s3a")


class UnreachableError(WorkspaceError):
    """Object storage that can't be read or written at the moment, or not by this user."""


class Bucket:
    """The objects under an address.

    Keys and endpoints come from the environment, as for any client of that storage; nothing of them is recorded.

    Args:
        address: As in ``s3://bucket/folder``.

    Raises:
        ConfigError: The address holds a name or a password, or nothing can open addresses of its kind.
        MissingExtraError: The package for its kind isn't installed.
    """

    def __init__(self, address: str) -> None:
        self.address, kind = address, address.partition("://")[0]
        if secret_problems({"address": address}):
            raise ConfigError("an address must hold no name or password: keys belong in the environment", "address")
        if kind in ("file", "local"):
            raise ConfigError("a folder is given by its path", address)
        if any(letter in address for letter in "*?[]"):
            raise ConfigError("an address must hold none of * ? [ ]", address)
        self._fs, self._root = _opened(address)
        self._whole = {"max_concurrency": 1} if kind in _S3 else {}  # small objects: one request, no look at the size

    def names(self, folder: str) -> dict[str, int]:
        """The names in a folder and their sizes in bytes; empty where there is none.

        Raises:
            UnreachableError: As for every method: the storage can't be read or written; the message says why.
        """

        def listed() -> dict[str, int]:
            self._fs.invalidate_cache()
            try:
                found = self._fs.ls(f"{self._root}/{folder}", detail=True)
            except FileNotFoundError:
                return {}
            return {str(one["name"]).rpartition("/")[2]: int(one["size"]) for one in found if one["type"] == "file"}

        return self._patiently(listed, folder)

    def read(self, name: str) -> bytes | None:
        """The content of an object; None if there is none."""

        def content() -> bytes | None:
            try:
                return bytes(self._fs.cat_file(self._path(name), **self._whole))
            except FileNotFoundError:
                return None

        return self._patiently(content, name)

    def write(self, name: str, content: bytes) -> None:
        """Make an object, or replace it."""
        self._patiently(lambda: self._fs.pipe_file(self._path(name), content), name)

    def create(self, name: str, content: bytes, mark: bytes) -> bool:
        """Make an object unless it exists; whether it is this call's.

        A server may have made it and failed to say so, and a try after that finds it made. So what it holds decides.

        Args:
            name: Its name.
            content: What it holds.
            mark: A part of it that no other call's has, and that stays if the object is replaced later.
        """

        def created() -> bool:
            try:
                self._fs.pipe_file(self._path(name), content, mode="create")
            except Exception as error:
                # Servers tell in several ways that it exists: 409, 412, with and without saying which condition failed.
                found = self.read(name)
                if found is None and not isinstance(error, FileExistsError):
                    raise
                return mark in (found or b"")
            # A server that doesn't know the condition may have let another replace it.
            return mark in (self.read(name) or b"")

        return self._patiently(created, name)

    def refuses(self, name: str) -> bool:
        """See that objects can be made and deleted; whether the storage refuses to make one that exists."""

        def refused() -> bool:
            self._fs.pipe_file(self._path(name), b"first")
            try:
                self._fs.pipe_file(self._path(name), b"second", mode="create")
            except Exception:
                if self._fs.cat_file(self._path(name), **self._whole) != b"first":
                    raise
                return True
            return False

        found = self._patiently(refused, name)
        self.delete([name])
        return found

    def upload(self, file: Path, name: str) -> None:
        """Make an object from a file; it is there as a whole or not at all."""
        self._patiently(lambda: self._fs.put_file(str(file), self._path(name)), name)

    def download(self, name: str, file: Path) -> bool:
        """Copy an object into a file; False if there is none."""

        def copied() -> bool:
            try:
                self._fs.get_file(self._path(name), str(file))
            except FileNotFoundError:
                return False
            return True

        return self._patiently(copied, name)

    def delete(self, names: Iterable[str]) -> None:
        """Delete objects; one that isn't there is deleted."""
        if paths := [self._path(name) for name in names]:

            def deleted() -> None:
                try:
                    self._fs.rm(paths)
                except FileNotFoundError:  # some kinds of storage say so
                    for path in paths:
                        if self._fs.exists(path):
                            self._fs.rm_file(path)

            self._patiently(deleted, "objects")

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}"

    def _patiently(self, call: Callable[[], T], name: str) -> T:
        """The result of a call; where it fails for a while, of a later try."""
        for delay in (*DELAYS, None):
            try:
                return call()
            except UnreachableError:
                raise
            except Exception as error:
                if delay is None or _lasts(error):
                    raise UnreachableError(_told(error, f"{self.address}/{name}")) from error
                time.sleep(delay)
        raise AssertionError  # the last try returns or raises


def _opened(address: str) -> tuple[Any, str]:
    """The file system of an address, and its path there."""
    try:
        import fsspec
    except ImportError:
        raise MissingExtraError(address, "objects", "fsspec") from None
    kind = address.partition("://")[0]
    try:
        fs, root = fsspec.core.url_to_fs(address, **({"use_listings_cache": False} if kind in _S3 else {}))
    except ImportError as error:
        if kind == "s3":
            raise MissingExtraError(address, "objects", "s3fs") from None
        raise ConfigError(f"{error}", address) from None
    except ValueError as error:
        raise ConfigError(f"{error}", address) from None
    return fs, str(root).rstrip("/")


def _lasts(error: Exception) -> bool:
    """Whether another try would fail likewise."""
    return isinstance(error, _LASTING) or "Credentials" in type(error).__name__


def _told(error: Exception, where: str) -> str:
    said = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, PermissionError) or "Credentials" in type(error).__name__:
        advice = "see that the keys in the environment are right and may list, read, write and delete there"
    elif isinstance(error, FileNotFoundError):
        advice = "see that the bucket exists, since none is made"
    elif isinstance(error, NotImplementedError):
        advice = "what is needed is storage that can be written"
    else:
        advice = "try again when the storage answers"
    return f"{where}: {said}; {advice}"
