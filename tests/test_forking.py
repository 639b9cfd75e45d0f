"""A forked command is like one that is started: the same output, exit code, folder, variables and path."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

import forking

SHOWN = """
import json, os, signal, sys
handler = signal.getsignal(signal.SIGINT) is signal.default_int_handler
print(json.dumps([sys.argv, os.getcwd(), dict(os.environ), sys.path, __name__, handler, sys.stdin.read()]))
"""


@pytest.mark.parametrize(
    "code",
    [
        SHOWN,
        "import sys; sys.stderr.write('said'); sys.exit('a reason')",
        "import atexit; atexit.register(print, 'the end'); raise SystemExit(7)",
        "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
        "import os, signal; os.kill(os.getpid(), signal.SIGTERM)",
    ],
)
def test_it_is_as_if_it_were_started(tmp_path: Path, code: str) -> None:
    command = [sys.executable, "-c", code, "one", "--two"]
    env = {**os.environ, "PYTHONPATH": str(tmp_path / "more"), "OF_THE_TEST": "x"}
    started = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, env=env, cwd=tmp_path, check=False
    )
    forked = forking.run(command, env=env, cwd=tmp_path)
    assert (forked.returncode, forked.stdout, forked.stderr) == (started.returncode, started.stdout, started.stderr)


def test_scripts_and_modules_and_errors(tmp_path: Path) -> None:
    (tmp_path / "beside.py").write_text("NAME = 'beside'")
    (tmp_path / "script.py").write_text("import sys\nfrom beside import NAME\nprint(NAME, __name__, sys.argv[1:])\n")
    done = forking.run([sys.executable, str(tmp_path / "script.py"), "x"])
    assert (done.returncode, done.stdout) == (0, "beside __main__ ['x']\n")
    done = forking.run([sys.executable, "-m", "script", "x"], cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "beside __main__ ['x']\n")
    done = forking.run([sys.executable, "-c", "1 / 0"])
    assert done.returncode == 1
    assert done.stderr.endswith("ZeroDivisionError: division by zero\n")


@pytest.mark.skipif(not forking.POSSIBLE, reason="commands are started here")
def test_it_gets_signals_and_says_when_it_ended() -> None:
    code = "import signal; print('waits', flush=True); signal.pause()"
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        with forking.Command([sys.executable, "-c", code], stdout=out, stderr=err) as running:
            assert running.poll() is None
            with pytest.raises(subprocess.TimeoutExpired):
                running.wait(0.001)
            running.kill()
            assert running.wait(60) == running.poll() == -signal.SIGKILL
        with forking.Command([sys.executable, "-c", "import signal; signal.pause()"], stdout=out, stderr=err) as second:
            os.kill(second.pid, signal.SIGINT)
            assert second.wait(60) == -signal.SIGINT
