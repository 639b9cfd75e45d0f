"""A run in a process of its own, which tells how far it is in lines of JSON."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from inscl.config.settings import RunConfig
from inscl.contract.scale import Scale
from inscl.contract.seams import Progress
from inscl.data.yaml_values import dump_yaml
from inscl.demonstration.both_runs import Passed
from inscl.errors import InsclError, UserError
from inscl.pipeline import Run, run

__all__ = ["SecondRun", "main"]

_CHILD = "import sys; from inscl.demonstration.second_run import main; sys.exit(main(sys.argv[1]))"
_TRIES = 10  # to end it in good order


class SecondRun:
    """A run beside another one, whose first stage it copies. Ended, if need be, with the block it is used in.

    Loading the libraries keeps one core busy for seconds, in each of the two processes; `prepare` has them do it at the
    same time.

    Args:
        settings: Of the run.
        beside: The folder of the other run.
        progress: Where to tell how far it is; called from another thread.
    """

    def __init__(self, settings: RunConfig, beside: Path, progress: Progress) -> None:
        self._settings, self._beside, self._progress = settings, beside, progress
        self._process: subprocess.Popen[bytes] | None = None
        self._begun = False
        self._listener: threading.Thread | None = None
        self._error: InsclError | None = None
        # Beside the run folder, not in it: a folder that holds anything else is no run's.
        folder = Path(settings.output_dir)
        self._log = folder.with_name(f"{folder.name}.log")
        self._made: list[Path] = []  # folders that were made for the log, the innermost first

    def __enter__(self) -> SecondRun:
        """It doesn't begin yet."""
        return self

    def prepare(self) -> None:
        """Have its process load the libraries and wait for `start`."""
        if self._process is not None:
            return
        self._made = [folder for folder in self._log.parents if not folder.exists()]
        self._log.parent.mkdir(parents=True, exist_ok=True)
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _CHILD, str(self._beside)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env={**os.environ, "TOKENIZERS_PARALLELISM": "false"},
                start_new_session=True,  # so that Ctrl-C reaches it once, from here
            )

    def start(self) -> None:
        """Begin, once."""
        if self._begun:
            return
        self.prepare()
        self._begun = True
        assert self._process is not None  # prepared
        given, told = self._process.stdin, self._process.stdout
        assert given is not None  # both are pipes
        assert told is not None
        with suppress(BrokenPipeError), given:  # where it has ended already, `finished` says so
            given.write(dump_yaml(self._settings.model_dump(mode="json")).encode())
        self._listener = threading.Thread(target=self._listen, args=(told,), daemon=True)
        self._listener.start()

    def finished(self) -> Run:
        """Wait for its end; where it has not begun, it is learned in this process.

        Raises:
            InsclError: It failed.
        """
        code = 0
        if not self._begun:
            self._drop()
        elif self._process is not None and self._listener is not None:
            code = self._process.wait()
            self._listener.join()
        if self._error is not None:
            raise self._error
        if code < 0:
            raise InsclError(
                f"the run in {self._settings.output_dir} was killed by {signal.Signals(-code).name}; if memory ran "
                "out, free some, then give the same command again: finished stages are kept"
            )
        if code:
            raise InsclError(f"the run in {self._settings.output_dir} failed; {self._log} says why")
        self._log.unlink(missing_ok=True)
        # What is complete is only read.
        return run(self._settings, progress=self._progress, beside=self._beside)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Interrupt it where it is still at work; what it has recorded stays."""
        if not self._begun:
            self._drop()
        if self._process is None or self._process.poll() is not None:
            return
        for _ in range(_TRIES):  # libraries swallow an interruption that comes while they are imported
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(timeout=2)
                return
            except subprocess.TimeoutExpired:
                pass
        self._process.kill()
        self._process.wait()

    def _drop(self) -> None:
        """End a process that was prepared and has nothing to do, and leave nothing of it."""
        if self._process is None:
            return
        self._process.kill()
        self._process.communicate()
        self._process = None
        self._log.unlink(missing_ok=True)
        with suppress(OSError):  # the first run has put something there, or there was something before
            for folder in self._made:
                folder.rmdir()

    def _listen(self, told: IO[bytes]) -> None:
        with told:
            for line in told:
                method, arguments, facts = json.loads(line)
                if method == "error":
                    text, mistake = arguments
                    self._error = UserError(text) if mistake else InsclError(text)
                elif method == "score":
                    task, metric, mean, scale = arguments
                    self._progress.score(task, metric, mean, Scale(**scale))
                else:
                    getattr(self._progress, method)(*arguments, **facts)


def main(beside: str) -> int:
    """The run whose settings stand on standard input; the exit code is that of ``inscl run``."""
    import yaml

    lines, sys.stdout = sys.stdout, sys.stderr  # so that nobody else prints among the lines

    def say(method: str, *arguments: Any, **facts: Any) -> None:
        lines.write(json.dumps([method, arguments, facts], default=Scale.to_json) + "\n")
        lines.flush()

    try:
        _load_libraries()
        settings = yaml.safe_load(sys.stdin)
        if settings is None:  # the process that would have said them has ended
            return 130
        run(settings, progress=Passed(say), beside=Path(beside))
    except InsclError as error:
        say("error", str(error), isinstance(error, UserError))
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the process that listened has ended
        os.dup2(os.open(os.devnull, os.O_WRONLY), lines.fileno())
        return 130
    return 0


def _load_libraries() -> None:
    """What a run needs sooner or later, while nothing else can be done; what is missing the run itself names."""
    with suppress(ImportError):
        import peft  # noqa: F401 - loaded, not used
        from transformers import AutoModelForCausalLM, AutoTokenizer, Trainer  # noqa: F401 - likewise
