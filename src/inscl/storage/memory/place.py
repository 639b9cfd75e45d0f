"""The location of a memory: a local folder, or a URI that Lance opens (``s3://``, ``gs://``, ``az://``)."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from inscl.errors import InsclError, WorkspaceError
from inscl.storage.files.atomic import write_text

__all__ = ["Place", "failures_told", "is_failure"]


class Place:
    """A folder for tables and one small file, local or on object storage.

    Args:
        path: A folder, or a URI. Nothing is made or opened yet.
    """

    def __init__(self, path: Path | str) -> None:
        text = str(path)
        self.local = None if "://" in text else Path(text)
        self.text = text.rstrip("/")

    def __str__(self) -> str:
        return self.text

    def table(self, name: str) -> str:
        """What Lance calls the table `name`."""
        return f"{self.text}/{name}.lance"

    def holds(self, name: str) -> bool:
        """Whether something stands where the table `name` would, whatever it is."""
        if self.local is not None:
            return (self.local / f"{name}.lance").exists()
        import lance

        try:
            lance.dataset(self.table(name))
        except ValueError:  # there is none
            return False
        return True

    def keep_only(self, name: str, files: Iterable[str]) -> bool:
        """Delete everything of the table `name` but some files; False, and nothing done, on object storage.

        Lance has a clean-up of its own, which knows what it wrote. Nothing that was erased may stay, so that here the
        files that count decide, whatever else is there: Lance's hint at the latest version goes too, which no checksum
        would guard, and which nothing needs, since the catalog names the version.
        """
        if self.local is None:
            return False
        kept = {self.local / file for file in files}
        for file in (self.local / f"{name}.lance").rglob("*"):
            if file not in kept and not file.is_dir():
                file.unlink(missing_ok=True)
        return True

    def discard(self, name: str) -> None:
        """Delete the table `name`, also one that a killed process had just begun."""
        if self.local is not None:
            # Lance deletes nothing that it can't open.
            with suppress(FileNotFoundError):
                shutil.rmtree(self.local / f"{name}.lance")
        elif self.holds(name):
            import lance

            lance.LanceDataset.drop(self.table(name))

    def read(self, name: str) -> bytes | None:
        """The content of the small file `name`; None if there is none.

        Raises:
            WorkspaceError: It can't be read.
        """
        try:
            if self.local is not None:
                return (self.local / name).read_bytes()
            session = self._session()
            if not session.contains(name):
                return None
            with tempfile.TemporaryDirectory() as folder:
                copy = Path(folder) / "copy"
                session.download_file(name, str(copy))
                return copy.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, ValueError) as error:
            raise WorkspaceError(f"can't read {self.text}/{name}: {error}") from error

    def write(self, name: str, text: str) -> None:
        """Replace the small file `name` in one step: a rename here, one put on object storage."""
        if self.local is not None:
            write_text(self.local / name, text)
            return
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder) / "copy"
            copy.write_text(text, encoding="utf-8")
            self._session().upload_file(str(copy), name)

    def clean(self, name: str) -> None:
        """Delete what writing the small file `name` left where a process was killed."""
        for path in self.local.glob(f".{name}.*.part") if self.local is not None else ():
            path.unlink(missing_ok=True)

    def _session(self) -> Any:
        from lance.file import LanceFileSession

        return LanceFileSession(self.text)


def is_failure(error: BaseException) -> bool:
    """Whether Lance or the disk failed; a panic in Lance's native code is no Exception, and told by its name."""
    return isinstance(error, (OSError, ValueError, RuntimeError)) or type(error).__name__ == "PanicException"


@contextmanager
def failures_told(place: Place) -> Iterator[None]:
    """Turn whatever Lance or the file system raises while a memory is written into a WorkspaceError that names it."""
    try:
        yield
    except InsclError:
        raise
    except BaseException as error:
        if not is_failure(error):
            raise
        raise WorkspaceError(
            f"the memory {place} can't be written: {error}. It is as it was before: free space or permissions there, "
            "then give the same command again."
        ) from error
