from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from inscl.errors import WorkspaceError
from inscl.storage.files.lock import locked

HOLD = """
import sys, time
from pathlib import Path
from inscl.storage.files.lock import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_second_process_is_refused_and_told_who_holds_it(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(WorkspaceError, match=str(holder.pid)), locked(tmp_path):
            pass
        holder.kill()
        holder.wait()
        # A killed process keeps nothing.
        with locked(tmp_path):
            pass


def test_a_folder_that_cant_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(WorkspaceError, match="choose another"), locked(tmp_path / "file" / "run"):
        pass


def test_the_refusal_says_who_where_since_when_and_with_what_command(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        with pytest.raises(WorkspaceError) as refused, locked(tmp_path):
            pass
        holder.kill()
    message = str(refused.value)
    for told in (f"pid {holder.pid}", f"host {socket.gethostname()}", "since 20", "command -c"):
        assert told in message


LEAVE_A_CHILD = """
import os, sys, time
from pathlib import Path
from inscl.storage.files.lock import locked
with locked(Path(sys.argv[1])):
    if os.fork() == 0:
        print(os.getpid(), flush=True)
        time.sleep(60)
    os._exit(1)
"""


def test_a_dead_holders_lock_is_taken_though_its_child_lives_on(tmp_path: Path) -> None:
    command = [sys.executable, "-c", LEAVE_A_CHILD, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        orphan = int(holder.stdout.readline())
        holder.wait()
        try:
            with locked(tmp_path), pytest.raises(WorkspaceError, match=f"pid {os.getpid()}"), locked(tmp_path):
                pass
        finally:
            os.kill(orphan, signal.SIGKILL)


@pytest.mark.parametrize("content", [b"", b"\xff\x00{", b"[1]", b'{"pid": "many"}'])
def test_what_stands_in_the_lock_file_matters_to_nobody(tmp_path: Path, content: bytes) -> None:
    (tmp_path / ".lock").write_bytes(content)
    with locked(tmp_path):
        held = tmp_path / ".lock"
        held.write_bytes(content)
        with pytest.raises(WorkspaceError, match="in use by another inscl process"), locked(tmp_path):
            pass
