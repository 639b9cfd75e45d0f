from __future__ import annotations

from pathlib import Path

from inscl.storage.files.event_log import LOG, log_problem, note


def test_a_line_is_text_without_line_feeds_and_its_seal(tmp_path: Path) -> None:
    note(tmp_path, "learned: stage 1\n a  b \ud800")
    (line,) = (tmp_path / LOG).read_text().splitlines()
    assert line[:2] == "20"
    assert line[20:-12] == " learned: stage 1 a b \ufffd"
    assert line[-12:-9] == "  ["
    assert log_problem(tmp_path) == ""


def test_every_bit_is_guarded(tmp_path: Path) -> None:
    assert log_problem(tmp_path) == ""
    note(tmp_path, "one")
    note(tmp_path, "two")
    whole = (tmp_path / LOG).read_bytes()
    for place in range(len(whole)):
        for bit in range(8):
            (tmp_path / LOG).write_bytes(whole[:place] + bytes([whole[place] ^ 1 << bit]) + whole[place + 1 :])
            assert log_problem(tmp_path), (place, bit)
    (tmp_path / LOG).write_bytes(whole[:-1])
    assert "amid line 2" in log_problem(tmp_path)


def test_a_line_without_a_seal_is_named(tmp_path: Path) -> None:
    (tmp_path / LOG).write_text("2026-11-01T10:00:00Z made: model smollm2-135m, adapter keep\n")
    note(tmp_path, "learned: stage 1 routing")
    assert log_problem(tmp_path) == "isn't as it was written in line 1"


def test_what_a_loss_of_power_tore_keeps_a_line_of_its_own(tmp_path: Path) -> None:
    (tmp_path / LOG).write_text("2026-11-01T10:00:00Z made: mod")
    note(tmp_path, "learned: stage 1 routing")
    first, second = (tmp_path / LOG).read_text().splitlines()
    assert first.startswith("2026-11-01T10:00:00Z made: mod  [")
    assert "learned: stage 1 routing" in second
    assert log_problem(tmp_path) == ""
