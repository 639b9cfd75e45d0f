"""Where a folder is worked in that was given by its path or by an address, and who holds it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from inscl.data.places import address_of
from inscl.errors import UserError
from inscl.storage.files.lock import is_held, locked
from inscl.storage.objects.bucket import UnreachableError
from inscl.storage.objects.working_copy import WorkingCopy

__all__ = ["called", "held", "local_folder", "publish", "published"]


def local_folder(place: Path | str, *, new: bool = False) -> Path:
    """The folder to read or write in for a path or an address: the path itself, or a local copy, brought up to date.

    Args:
        place: A path, or an address such as ``s3://bucket/support``.
        new: Something may be made there; otherwise it must be there already.

    Raises:
        UserError: Nothing is at the address.
        ConfigError: It isn't an address that can be opened.
        MissingExtraError: The package for this kind of storage isn't installed.
        UnreachableError: The storage can't be read.
        ConflictError: This machine has work that the address lacks, and another writer's state counts there.
    """
    if (address := address_of(place)) is None:
        return Path(place)
    copy = WorkingCopy.at(address)
    copy.refresh(partial(is_held, copy.folder))
    if new:
        copy.make()
    elif not copy.exists():
        raise UserError(f"nothing is at {address}: see that the bucket and the name are right, or make it first")
    return copy.folder


@contextmanager
def held(folder: Path, note: Callable[[str], None] = lambda message: None) -> Iterator[None]:
    """Hold a folder for writing while the block runs; a local copy is brought up to date first, and published last.

    Where the block fails, what was published before counts, and the rest stays in the copy.

    Args:
        folder: What `local_folder` gave.
        note: Told what the user should know of the storage.

    Raises:
        WorkspaceError: As for `locked`, and as for `WorkingCopy`: another writer's state counts, the storage can't be
            read or written, or it is damaged.
    """
    with locked(folder):
        if (copy := WorkingCopy.of(folder)) is None:
            yield
            return
        copy.refresh()
        if not copy.check_writable():
            note(
                f"the storage of {copy.address} replaces objects that were to be created only, so of two writers at "
                "the same instant both would believe that theirs counts (docs/scale.md, object storage)"
            )
        yield
        copy.publish()


def publish(folder: Path, note: Callable[[str], None]) -> None:
    """Make a local copy that is held count at its address, as it is; nothing for other folders.

    Storage that doesn't answer stops no work: what is done counts there with the next call that reaches it.

    Args:
        folder: The folder that is held.
        note: Told that the storage didn't answer.

    Raises:
        ConflictError: Another writer's state counts.
    """
    if (copy := WorkingCopy.of(folder)) is None:
        return
    try:
        copy.publish()
    except UnreachableError as error:
        note(f"not yet at {copy.address}, work goes on: {error}")


@contextmanager
def published(folder: Path) -> Iterator[None]:
    """Have what the block writes into a local copy count at its address; nothing for other folders.

    Where another process holds the copy, it is published together with that process's work.
    """
    if WorkingCopy.of(folder) is None or is_held(folder):
        yield
        return
    with held(folder):
        yield


def called(folder: Path) -> str:
    """What a folder is called wherever it is: the address of a local copy, and the whole path of any other folder."""
    copy = WorkingCopy.of(folder)
    return copy.address if copy else str(folder.resolve())
