"""Limits that the system itself sets, and that libraries in other languages run into too."""

from __future__ import annotations

import os
import random
import resource
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from faults.children import Ended, in_child
from faults.strikes import Bench, Outcome

__all__ = ["limited"]

KIB = 1024


def limited(bench: Bench, chance: random.Random, take: int | None = None) -> Iterator[Callable[[], Outcome]]:
    """Runs whose files, whose disk or whose memory may not grow beyond some size; at most `take` of each."""
    size = sum(path.stat().st_size for path in bench.finished.rglob("*") if path.is_file()) // KIB
    largest = max(path.stat().st_size for path in bench.finished.rglob("*") if path.is_file())
    count = 12 if take is None else take
    for _ in range(count):
        yield partial(_resource, bench, "file size", resource.RLIMIT_FSIZE, chance.randrange(200, largest))
    for _ in range(count):
        yield partial(_small_disk, bench, chance.randrange(24, size))
    for _ in range(count):
        yield partial(_resource, bench, "address space", resource.RLIMIT_AS, _used() + chance.randrange(1, 40) * 2**20)


def _resource(bench: Bench, what: str, limit: int, value: int) -> Outcome:
    out = bench.new()

    def work() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(limit, (value, resource.RLIM_INFINITY))
        bench.run(out)

    # A library whose threads find no memory may wait for ever; then somebody ends the run.
    ended = in_child(work, bench.folder / "log", kill_after=10 + 3 * bench.seconds)
    return bench.gone_on(f"limit of {what}", f"{what} of at most {value} bytes", out, ended)


def _small_disk(bench: Bench, kibibytes: int) -> Outcome:
    """A file system of its own, too small for the run; then it grows."""
    out = bench.new()
    what = f"a disk of {kibibytes} KiB"
    if not _mount(out.parent, f"size={kibibytes}k"):
        return Outcome("small disk (not allowed here)", what, "not tried")
    try:
        ended: Ended = in_child(lambda: bench.run(out), bench.folder / "log")
        _mount(out.parent, "remount,size=64m")
        return bench.gone_on("small disk", what, out, ended)
    finally:
        subprocess.run(["umount", "-l", str(out.parent)], check=False, capture_output=True)
        shutil.rmtree(out.parent, ignore_errors=True)


def _mount(place: Path, options: str) -> bool:
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)], check=False, capture_output=True
    )
    return done.returncode == 0


def _used() -> int:
    """Bytes of address space that this process has, and so the one that is forked."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    return pages * os.sysconf("SC_PAGESIZE")
