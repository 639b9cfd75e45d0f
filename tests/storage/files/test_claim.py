from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from inscl.storage.files.claim import claimed

HOLD = """
import sys, pathlib
from inscl.storage.files.claim import claimed
with claimed(pathlib.Path(sys.argv[1]), wait=False) as ours:
    print(ours, flush=True)
    input()
"""


@contextmanager
def another(path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that holds the claim until it reads a line."""
    with subprocess.Popen([sys.executable, "-c", HOLD, str(path)], stdin=-1, stdout=-1, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "True\n"
        yield process
        process.kill()


def test_a_claim_is_one_process_s_and_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "new" / "thing.making"
    with another(path) as process:
        with claimed(path, wait=False) as ours:
            assert not ours
        assert path.exists()
        process.communicate("\n", timeout=30)
    assert not path.exists()
    with claimed(path, wait=False) as ours, claimed(path, wait=False) as again:
        assert ours
        assert not again
    assert not path.exists()


def test_the_claim_of_a_killed_process_is_free(tmp_path: Path) -> None:
    path = tmp_path / "thing.making"
    with another(path) as process:
        threading.Timer(0.5, process.kill).start()
        with claimed(path, wait=True) as ours:
            assert ours
            assert process.wait(30) == -signal.SIGKILL


def test_those_who_wait_come_one_after_the_other(tmp_path: Path) -> None:
    inside, most = 0, 0
    guard = threading.Lock()

    def enter() -> None:
        nonlocal inside, most
        for _ in range(20):
            with claimed(tmp_path / "thing.making", wait=True):
                with guard:
                    inside += 1
                    most = max(most, inside)
                with guard:
                    inside -= 1

    threads = [threading.Thread(target=enter) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert most == 1


def test_where_no_file_can_be_made_there_is_no_claim(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"), claimed(tmp_path / "file" / "x", wait=True):
        pass
