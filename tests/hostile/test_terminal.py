"""Text that would move the cursor, change colours, turn a line around, hide, or be taken for markup."""

from __future__ import annotations

import io
import string
import sys
from pathlib import Path

import pytest
from rich.console import Console

from bench.cells import record
from inscl.bench.numbers.summary import summarise
from inscl.bench.show.render import print_table
from inscl.cli import app as application
from inscl.cli.progress import LineProgress, LiveProgress
from inscl.cli.tables import print_plan, print_tags
from inscl.cli.terminal import cell, plain
from inscl.contract.plan import ReplayPlan
from inscl.contract.scale import PERCENT
from inscl.planning.tags import TaggedInstruction

OBEYED = "\x1b[2J\x1b]0;owned\x07\x1b]8;;http://evil\x1b\\\x9b31m\r\x08\x7f\0"
TURNED = "\u202e\u2066\u200f\u061c\u2028\u2029"
HIDDEN = "\u200b\u2060\ufeff\U000e0041\U000e007f"
MARKUP = "[bold]loud[/bold][link=http://evil]click[/link][/][red]"
HOSTILE = f"a{OBEYED}{TURNED}{HIDDEN}{MARKUP}"


def harmless(shown: str) -> None:
    """Nothing in it is obeyed, and the markup stands there as text."""
    assert not set(shown) & (set(OBEYED + TURNED + HIDDEN) - set(string.printable))
    assert not any(ord(character) < 32 and character not in "\n\t" for character in shown)
    assert "\\x1b" in shown
    assert "[bold]loud[/bold]" in shown


def test_what_is_obeyed_or_hidden_is_written_out() -> None:
    assert plain(OBEYED[:4]) == "\\x1b[2J"
    for character in TURNED + HIDDEN:
        assert plain(f"a{character}b") == f"a\\x{ord(character):02x}b"
    assert plain("é 漢 🙂 نام\u200cه 👩\u200d🔬\n\t") == "é 漢 🙂 نام\u200cه 👩\u200d🔬\n\t"
    harmless(plain(HOSTILE))


def test_an_error_message(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "argv", ["inscl", "report", str(tmp_path / HOSTILE.replace("\0", "").replace("/", ""))])
    with pytest.raises(SystemExit):
        application.main()
    shown = capsys.readouterr().err
    assert "\x1b" not in shown
    assert "\u202e" not in shown
    assert "\\x1b[2J" in shown


def test_progress_in_lines_and_live(capsys: pytest.CaptureFixture[str]) -> None:
    lines = LineProgress()
    lines.stage(1, 2, HOSTILE)
    lines.note(HOSTILE)
    lines.score(HOSTILE, "rouge_l", 1.0, PERCENT)
    for line in capsys.readouterr().err.splitlines():
        harmless(line)
    live = LiveProgress()
    live.bars.console.file = io.StringIO()
    with live.bars:
        live.stage(1, 2, HOSTILE)
        live.phase(HOSTILE, 3)
        live.score(HOSTILE, "rouge_l", 1.0, PERCENT)
        live.note(HOSTILE)
    harmless(live.bars.console.file.getvalue())


def test_tables_of_plans_and_tags(capsys: pytest.CaptureFixture[str]) -> None:
    print_tags([TaggedInstruction(HOSTILE, HOSTILE, 1, (HOSTILE,), 1.0)])
    shown = capsys.readouterr().out  # folded and cut to the width of a pipe
    assert not set(shown) & (set(OBEYED + TURNED + HIDDEN) - set(string.printable)) - {"\n"}
    assert "\x1b" not in shown
    assert "\\x1b[2J" in shown
    print_plan(ReplayPlan(HOSTILE, "inscl", (), (), (HOSTILE,)))
    harmless(capsys.readouterr().out)
    assert cell(HOSTILE).spans == []


def test_the_table_of_a_grid() -> None:
    console = Console(file=io.StringIO(), width=240, force_terminal=True, color_system=None)
    print_table(summarise([record("random"), record(f"x{HOSTILE}", label=HOSTILE)]), console)
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    for character in TURNED + HIDDEN + "\x07\x08\x9b\x7f\0":
        assert character not in shown
    assert "owned" in shown
