from __future__ import annotations

import io

import pytest
from rich.console import Console

from inscl.cli.progress import LineProgress, LiveProgress, display
from inscl.contract.scale import PERCENT, Scale


def use(progress: LineProgress | LiveProgress) -> None:
    progress.stage(2, 5, "Code\x1b[2J")
    progress.phase("train", 40)
    progress.advance(10, loss=1.2345, tokens_per_second=321.0)
    progress.score("Code", "rouge_l", 61.26, PERCENT)
    progress.note("something [bold]to[/bold] read")


def test_plain_lines_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    lines = LineProgress(every=0)
    use(lines)
    lines.score("Code", "answer_loss", 1.23456, Scale("nats", "lower"))
    text = capsys.readouterr().err
    assert "stage 2/5 Code\\x1b[2J" in text
    assert "train 10/40, loss 1.234, 321 tokens/s, 0:00 left" in text
    assert "Code rouge_l 61.3" in text
    assert "Code answer_loss 1.235" in text
    assert "\x1b" not in text


def test_a_live_display_on_a_terminal() -> None:
    live = LiveProgress()
    live.bars.live.console = Console(file=io.StringIO(), force_terminal=True, width=160)
    with live.bars:
        use(live)
    text = live.bars.console.file.getvalue()  # type: ignore[attr-defined]
    for shown in ("train", "10/40", "loss 1.234", "321 tokens/s", "so far 61.3", "[bold]to[/bold]", "\\x1b[2J"):
        assert shown in text, shown


def test_no_terminal_no_bars() -> None:
    with display() as progress:
        assert isinstance(progress, LineProgress)


def test_without_a_phase_there_is_nothing_to_count(capsys: pytest.CaptureFixture[str]) -> None:
    lines = LineProgress(every=0)
    lines.advance(1)
    assert capsys.readouterr().err == ""
    lines.phase("train", 4)
    lines.advance(1)
    assert "train 1/4" in capsys.readouterr().err
