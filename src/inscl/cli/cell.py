"""One cell in a process of its own: ``python -m inscl.cli.cell RUN.yaml SHARED``.

A process a cell, so that one that is killed for memory takes no other with it, and threads are divided fairly.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

__all__ = ["main"]


def main(config: str, shared: str, learn: Callable[..., Any] | None = None) -> int:
    """Run a cell; the exit code is that of ``inscl run``, and 0 where training diverged.

    Args:
        config: The file of its settings.
        shared: Folder of the scores that runs have in common.
        learn: What runs it in place of `inscl.pipeline.run`, called with the file, ``progress`` and ``shared``.
    """
    from inscl.cli.progress import LineProgress
    from inscl.errors import DivergedError, InsclError
    from inscl.pipeline import run

    _listen()
    threading.Thread(target=_follow, args=(os.getppid(),), daemon=True).start()
    try:
        (learn or run)(Path(config), progress=LineProgress(), shared=Path(shared))
    except DivergedError as error:
        # A result as well: it is recorded and counted, and would be the same another time.
        sys.stderr.write(f"error: {error}\n")
    except InsclError as error:
        sys.stderr.write(f"error: {error}\n")
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    return 0


def _listen() -> None:
    """Have Ctrl-C interrupt this process: workers of Ray block it, and hand that down to what they start."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def _follow(parent: int) -> None:
    """End when the parent process ends, for whatever reason; recorded work is kept."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(130)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2]))
