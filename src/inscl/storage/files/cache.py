"""A cache on disk from content to bytes, safe for several processes, so that nothing is computed twice."""

from __future__ import annotations

import hashlib
import os
import sqlite3
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from inscl.errors import WorkspaceError
from inscl.storage.files.claim import claimed

__all__ = ["Cache", "cache_dir", "forget"]

# SQLite allows 999 variables a statement in its older versions.
_KEYS_A_QUERY = 500


def cache_dir() -> Path:
    """Where embeddings, tags and converted models are kept: ``$INSCL_CACHE``, else ``~/.cache/inscl``."""
    given = os.environ.get("INSCL_CACHE")
    if given:
        return Path(given)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "inscl"


class Cache:
    """Values by (producer's fingerprint, text), in one SQLite file. Each `put` is durable when it returns.

    Args:
        path: The file; made when needed.
        fingerprint: Names whatever produced the values (a model's digest, a prompt's), so that another never answers.

    Raises:
        WorkspaceError: The file can't be opened, read or written.
    """

    def __init__(self, path: Path, fingerprint: str) -> None:
        self.path, self.fingerprint = path, fingerprint

    def get(self, texts: Iterable[str]) -> dict[str, bytes]:
        """The values that are there, by text."""
        wanted = {self._key(text): text for text in texts}
        if not self.path.exists():
            return {}
        found: dict[str, bytes] = {}
        with self._open() as connection:
            keys = list(wanted)
            for start in range(0, len(keys), _KEYS_A_QUERY):
                part = keys[start : start + _KEYS_A_QUERY]
                marks = ",".join("?" * len(part))
                query = f"SELECT key, value FROM cache WHERE key IN ({marks})"
                found.update({wanted[key]: value for key, value in connection.execute(query, part)})
        return found

    def put(self, values: Mapping[str, bytes]) -> None:
        """Keep values by text; all of them or, on an error, none."""
        rows = [(self._key(text), value) for text, value in values.items()]
        with self._open() as connection, connection:
            connection.executemany("INSERT OR REPLACE INTO cache VALUES (?, ?)", rows)
            connection.execute("INSERT OR IGNORE INTO producers VALUES (?)", (self.fingerprint,))

    @contextmanager
    def alone(self, *, wait: bool = True) -> Iterator[bool]:
        """Wait until no other process makes values of this producer, and keep others waiting while the block runs.

        Look again inside for what is still missing: the other may have made it.

        Args:
            wait: False doesn't wait where another process does so; the block then gets False.

        Raises:
            WorkspaceError: Nothing can be written beside the cache's file.
        """
        digest = hashlib.sha256(self.fingerprint.encode(errors="surrogatepass")).hexdigest()[:16]
        with ExitStack() as held:
            try:
                claim = claimed(self.path.with_name(f".{self.path.name}-{digest}.making"), wait=wait)
                alone = held.enter_context(claim)
            except OSError as error:
                raise self._unusable(error) from error
            yield alone

    def _key(self, text: str) -> str:
        content = f"{self.fingerprint}\0{text}".encode(errors="surrogatepass")
        return hashlib.sha256(content).hexdigest()

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """A connection that is closed at the end; whatever goes wrong in between is a WorkspaceError."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with closing(sqlite3.connect(self.path, timeout=60)) as connection:
                connection.execute(
                    "CREATE TABLE IF NOT EXISTS cache (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID"
                )
                connection.execute("CREATE TABLE IF NOT EXISTS producers (fingerprint TEXT PRIMARY KEY) WITHOUT ROWID")
                yield connection
        except (OSError, sqlite3.Error) as error:
            raise self._unusable(error) from error

    def _unusable(self, error: Exception) -> WorkspaceError:
        return WorkspaceError(
            f"can't use the cache {self.path}: {error}. It holds nothing that can't be computed again: "
            "delete the file, or choose another place with INSCL_CACHE."
        )


def forget(
    path: Path,
    texts: Collection[str],
    goes: Callable[[bytes], bool] | None = None,
) -> int:
    """Delete what a cache file holds of some texts, whoever produced it, so that the file's bytes hold it no more.

    Args:
        path: The file; one that isn't there holds nothing.
        texts: The texts.
        goes: Says of a value whether it goes too, whatever its text.

    Returns:
        How many entries went.

    Raises:
        WorkspaceError: The file can't be read or written.
    """
    if not path.exists():
        return 0
    cache = Cache(path, "")
    with cache._open() as connection:
        producers = [row[0] for row in connection.execute("SELECT fingerprint FROM producers")]
        keys = {Cache(path, producer)._key(text) for producer in producers for text in texts}
        if goes is not None:
            keys |= {key for key, value in connection.execute("SELECT key, value FROM cache") if goes(value)}
        connection.execute("PRAGMA secure_delete = ON")
        with connection:
            before = connection.total_changes
            connection.executemany("DELETE FROM cache WHERE key = ?", [(key,) for key in sorted(keys)])
            gone = connection.total_changes - before
        connection.execute("VACUUM")
    return gone
