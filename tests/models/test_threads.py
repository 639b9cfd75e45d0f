from __future__ import annotations

import threading
import time

import pytest

from inscl.models.threads import balanced, in_parallel


@pytest.fixture(autouse=True)
def four_threads():
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(4)
    yield
    torch.set_num_threads(before)


def test_pieces_run_at_once_with_a_share_of_the_threads_and_the_callers_modes() -> None:
    import torch

    meeting = threading.Barrier(2, timeout=60)

    def piece(number: int):
        meeting.wait()  # passes only if both are running
        modes = torch.is_inference_mode_enabled(), torch.is_autocast_enabled("cpu"), torch.get_autocast_dtype("cpu")
        return number, torch.get_num_threads(), *modes

    with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16):
        found = in_parallel([lambda: piece(1), lambda: piece(2)])
    assert found == [(1, 2, True, True, torch.bfloat16), (2, 2, True, True, torch.bfloat16)]
    with torch.no_grad():
        assert in_parallel([torch.is_grad_enabled, torch.is_inference_mode_enabled]) == [False, False]
    assert in_parallel([torch.is_grad_enabled] * 2) == [True, True]
    assert torch.get_num_threads() == 4
    assert in_parallel([threading.get_ident]) == [threading.get_ident()]
    assert in_parallel([]) == []


def test_the_first_failure_is_raised_when_all_have_ended() -> None:
    import torch

    ended = []

    def fail() -> None:
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        in_parallel([fail, lambda: ended.append(1), fail])
    assert ended == [1]
    assert torch.get_num_threads() == 4


def test_ctrl_c_while_a_thread_starts_still_waits_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    start, began, ended = threading.Thread.start, threading.Event(), []

    def interrupted(thread: threading.Thread) -> None:
        start(thread)
        assert began.wait(60)
        raise KeyboardInterrupt  # before the pool has noted the thread that it starts

    def piece() -> None:
        began.set()
        time.sleep(0.2)
        ended.append(1)

    monkeypatch.setattr(threading.Thread, "start", interrupted)
    with pytest.raises(KeyboardInterrupt):
        in_parallel([piece, piece])
    assert ended == [1]  # the one that had begun; the other never begins
    assert torch.get_num_threads() == 4


@pytest.mark.parametrize(
    ("sizes", "most", "shares"),
    [
        ([9, 1, 8, 2], 2, [[0, 1], [2, 3]]),
        ([1, 1, 7], 2, [[2], [0, 1]]),
        ([0, 0, 0], 3, [[0], [1], [2]]),
        ([5], 4, [[0]]),
        ([], 4, []),
        ([3, 2], 1, [[0, 1]]),
    ],
)
def test_shares_are_about_equal(sizes: list[int], most: int, shares: list[list[int]]) -> None:
    assert balanced(sizes, most) == shares
