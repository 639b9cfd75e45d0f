"""Commands in processes of their own, forked from one that has loaded the libraries: loading takes most of a command.

`run` and `Command` take what `subprocess.run` and `subprocess.Popen` take, as far as tests need it. What runs is a
process like any other, with its own id, signals, exit code, folder and environment; it skips loading torch. A test that
is about starting (what is imported, what variables do to libraries) uses `subprocess`.
"""

from __future__ import annotations

import array
import atexit
import contextlib
import gc
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import types
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

__all__ = ["Command", "run"]

Done = subprocess.CompletedProcess[str]
POSSIBLE = sys.platform == "linux"


def run(
    command: Sequence[str], *, env: Mapping[str, str] | None = None, cwd: Path | None = None, timeout: float = 300
) -> Done:
    """What a command printed, and its exit code; ``command`` begins with `sys.executable`."""
    if not POSSIBLE:
        return subprocess.run(command, env=env, cwd=cwd, timeout=timeout, capture_output=True, text=True, check=False)
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        with Command(command, stdout=out, stderr=err, env=env, cwd=cwd) as running:
            try:
                code = running.wait(timeout)
            except subprocess.TimeoutExpired:
                running.send_signal(signal.SIGKILL)
                raise
        for stream in (out, err):
            stream.seek(0)
        return subprocess.CompletedProcess(command, code, out.read(), err.read())


class Command:
    """A running command.

    Attributes:
        pid: Its process.
        returncode: Its exit code once it has been waited for; minus the signal that ended it.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        stdin: int = subprocess.DEVNULL,
        stdout: IO[Any],
        stderr: IO[Any],
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> None:
        program, *arguments = command
        assert (program, stdin) == (sys.executable, subprocess.DEVNULL)
        request = {
            "arguments": arguments,
            "cwd": str(cwd or Path.cwd()),
            "env": dict(os.environ if env is None else env),
        }
        self._answers, theirs = socket.socketpair()
        with theirs, Path(os.devnull).open() as nothing:
            _Server.of_this_process().ask(request, [theirs, nothing, stdout, stderr])
        self._lines = self._answers.makefile("rb", buffering=0)  # so that `select` knows what has been read
        self.pid = int(self._lines.readline())
        self.returncode: int | None = None

    def wait(self, timeout: float | None = None) -> int:
        """Its exit code, when it has ended.

        Raises:
            TimeoutExpired: It has not, after `timeout` seconds.
        """
        if self.returncode is None:
            ready, _, _ = select.select([self._answers], [], [], timeout)
            if not ready:
                raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0)
            self.returncode = int(self._lines.readline())
        return self.returncode

    def poll(self) -> int | None:
        """Its exit code, or None while it runs."""
        try:
            return self.wait(0)
        except subprocess.TimeoutExpired:
            return None

    def send_signal(self, number: int) -> None:
        """Send it a signal, if it still runs."""
        if self.returncode is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """End it at once."""
        self.send_signal(signal.SIGKILL)

    def __enter__(self) -> Command:
        return self

    def __exit__(self, *_: object) -> None:
        self._lines.close()
        self._answers.close()


class _Server:
    """The process that forks; one for each process of tests, started when it is first needed."""

    _one: _Server | None = None

    def __init__(self) -> None:
        self._socket, theirs = socket.socketpair()
        self._lock = threading.Lock()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, __file__, str(theirs.fileno())], pass_fds=[theirs.fileno()]
            )
        atexit.register(self._socket.close)

    @classmethod
    def of_this_process(cls) -> _Server:
        if cls._one is None:
            cls._one = cls()
        return cls._one

    def ask(self, request: Mapping[str, Any], files: Sequence[Any]) -> None:
        content = json.dumps(request).encode()
        numbers = array.array("i", [file.fileno() for file in files])
        with self._lock:
            head = len(content).to_bytes(4, "big")
            self._socket.sendmsg([head], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, numbers)])
            self._socket.sendall(content)


def _serve(requests: socket.socket) -> dict[str, Any] | None:
    """Fork for every request; returns it in the process that is to do it, and None when nobody asks any more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches it too; it ends when the tests do
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])  # for a new process waits until it has become the command
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the system forgets those that have ended
    while True:
        head, files, _, _ = socket.recv_fds(requests, 4, 4)
        if not head:
            return None
        content = b""
        while len(content) < (size := int.from_bytes(head, "big")):
            content += requests.recv(size - len(content))
        if os.fork() == 0:
            requests.close()
            return _watched(json.loads(content), files)
        for file in files:
            os.close(file)


def _watched(request: dict[str, Any], files: list[int]) -> dict[str, Any]:
    """Fork once more: one process does what is asked, and its parent tells how that ended."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # before its number is known to anyone who could send it
    answers, *streams = files
    child = os.fork()
    if child:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        for stream in streams:
            os.close(stream)
        os.write(answers, b"%d\n" % child)
        _, status = os.waitpid(child, 0)
        with contextlib.suppress(BrokenPipeError):  # nobody may want to know any more
            os.write(answers, b"%d\n" % os.waitstatus_to_exitcode(status))
        os._exit(0)
    os.close(answers)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    return request


def _become(request: dict[str, Any], path: list[str]) -> None:
    """What the interpreter does with its command line."""
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["env"])
    more = request["env"].get("PYTHONPATH")
    kind, *arguments = request["arguments"]
    first = "" if kind in ("-c", "-m") else str(Path(kind).resolve().parent)
    sys.path[:] = [first, *(more.split(os.pathsep) if more else []), *path]
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
    if kind == "-c":
        code, *arguments = arguments
        sys.argv[:] = ["-c", *arguments]
        module = sys.modules["__main__"] = types.ModuleType("__main__")
        exec(compile(code, "<string>", "exec"), vars(module))
    elif kind == "-m":
        sys.argv[:] = arguments
        runpy.run_module(arguments[0], run_name="__main__", alter_sys=True)
    else:
        sys.argv[:] = [kind, *arguments]
        runpy.run_path(kind, run_name="__main__")


def _main(number: int) -> None:
    from libraries import load_libraries

    mine = os.environ.pop("PYTHONPATH", "").split(os.pathsep)
    path = [place for place in sys.path[1:] if place not in mine]
    load_libraries()
    gc.collect()
    gc.freeze()
    if request := _serve(socket.socket(fileno=number)):
        _become(request, path)


if __name__ == "__main__":
    _main(int(sys.argv[1]))
