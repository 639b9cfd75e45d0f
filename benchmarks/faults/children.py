"""Each run in a process of its own, forked from one that has imported everything."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inscl.errors import InsclError

__all__ = ["Ended", "in_child"]

_REFUSED, _INTERRUPTED, _DEFECT = 3, 130, 99


@dataclass(frozen=True)
class Ended:
    """How a child ended.

    Attributes:
        how: ``finished``, ``refused`` (an error of inscl's own), ``interrupted``, ``killed`` or ``defect`` (any other
            error: a traceback for the user).
        text: The error's message.
        seconds: How long it ran.
    """

    how: str
    text: str
    seconds: float


def in_child(work: Callable[[], Any], log: Path, kill_after: float | None = None, limit: float = 600.0) -> Ended:
    """Run `work` in a forked child.

    Args:
        work: What to do.
        log: Where its error goes.
        kill_after: Seconds after which it is killed.
        limit: Seconds after which it counts as hanging.

    Raises:
        TimeoutError: It hangs.
    """
    begun = time.monotonic()
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child == 0:
        _work(work, log)
    # Waiting costs nothing; a timer in a thread would have to be stopped before every fork.
    timer = _timer(child, limit if kill_after is None else kill_after)
    _, status = os.waitpid(child, 0)
    timer()
    seconds = time.monotonic() - begun
    if kill_after is None and seconds >= limit:
        raise TimeoutError(f"a run took more than {limit} s; its log is {log}")
    text = log.read_text(errors="replace") if log.exists() else ""
    log.unlink(missing_ok=True)
    if os.WIFSIGNALED(status):
        return Ended("killed", signal.Signals(os.WTERMSIG(status)).name, seconds)
    how = {0: "finished", _REFUSED: "refused", _INTERRUPTED: "interrupted"}.get(os.WEXITSTATUS(status), "defect")
    return Ended(how, text, seconds)


def _timer(child: int, seconds: float) -> Callable[[], None]:
    """Kill a process after so many seconds; returns what calls that off."""

    def strike(*_: Any) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)

    signal.signal(signal.SIGALRM, strike)
    signal.setitimer(signal.ITIMER_REAL, max(seconds, 1e-4))
    return lambda: signal.setitimer(signal.ITIMER_REAL, 0) and None


def _work(work: Callable[[], Any], log: Path) -> None:
    """In the child: never returns."""
    code = 0
    signal.signal(signal.SIGINT, signal.default_int_handler)
    quiet = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(quiet, stream)
    try:
        work()
    except InsclError as error:
        code, text = _REFUSED, str(error)
    except KeyboardInterrupt:
        code, text = _INTERRUPTED, "stopped"
    except MemoryError:  # the command line has a message for it
        code, text = _REFUSED, "out of memory"
    except BaseException:  # noqa: BLE001 - whatever it is, it is what is looked for
        code, text = _DEFECT, traceback.format_exc()
    if code:
        _lift_faults()
        log.write_text(text, encoding="utf-8", errors="replace")
    os._exit(code)


def _lift_faults() -> None:
    """So that the error can be told: no injected failure and no limit holds any more."""
    from faults import points

    points.disarm()
    for limit in (resource.RLIMIT_FSIZE, resource.RLIMIT_AS):
        resource.setrlimit(limit, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
