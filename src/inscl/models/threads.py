"""Independent pieces of a model's work on several threads at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor
from threading import Condition
from typing import Any, TypeVar

__all__ = ["balanced", "hooked", "in_parallel"]

Found = TypeVar("Found")


def in_parallel(pieces: Sequence[Callable[[], Found]]) -> list[Found]:
    """Do each piece of work on a thread of its own, and wait for all of them.

    torch's own threads are divided among the pieces. Each thread has the caller's inference mode, gradient mode and
    autocast, which torch keeps for each thread separately. torch releases Python's lock while it computes, so the
    pieces do run at once.

    Args:
        pieces: Functions that share nothing that any of them changes.

    Returns:
        What they return, in order.

    Raises:
        Exception: What the first of them that failed raised, after all have ended.
        KeyboardInterrupt: On Ctrl-C, after all that had begun have ended; the others don't begin.
    """
    import torch

    threads = torch.get_num_threads()
    own = max(1, threads // max(1, len(pieces)))
    inference, gradients = torch.is_inference_mode_enabled(), torch.is_grad_enabled()
    cast, precision = torch.is_autocast_enabled("cpu"), torch.get_autocast_dtype("cpu")

    # A pool forgets a thread when Ctrl-C comes while it starts that thread, and doesn't wait for it. So we count.
    changed, running, over = Condition(), 0, False

    def run(piece: Callable[[], Found]) -> Found:
        nonlocal running
        with changed:
            if over:
                raise CancelledError
            running += 1
        try:
            torch.set_num_threads(own)
            autocast = torch.autocast("cpu", dtype=precision, enabled=cast)
            with torch.inference_mode(inference), torch.set_grad_enabled(gradients), autocast:
                return piece()
        finally:
            with changed:
                running -= 1
                changed.notify_all()

    if len(pieces) < 2:
        return [piece() for piece in pieces]
    try:
        with ThreadPoolExecutor(len(pieces)) as pool:
            return list(pool.map(run, pieces))
    finally:
        with changed:
            over = True
            changed.wait_for(lambda: not running)
        torch.set_num_threads(threads)  # the number is the process's as well as the thread's


def balanced(sizes: Sequence[int], most: int) -> list[list[int]]:
    """Divide things among at most `most` shares of about the same size: the largest first, each to the smallest share.

    Args:
        sizes: Of n things.
        most: At least 1.

    Returns:
        The shares, none empty: places in `sizes`, ascending within a share.
    """
    shares: list[list[int]] = [[] for _ in range(min(most, len(sizes)))]
    totals = [0] * len(shares)
    for place in sorted(range(len(sizes)), key=lambda one: (-sizes[one], one)):
        # The number of things breaks ties, so that no share stays empty where some have no size.
        smallest = min(range(len(shares)), key=lambda one: (totals[one], len(shares[one]), one))
        shares[smallest].append(place)
        totals[smallest] += sizes[place]
    return [sorted(share) for share in shares]


def hooked(model: Any) -> bool:
    """Whether a pass through `model` calls anybody's hooks, which may keep what they see."""
    kinds = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    return any(getattr(module, kind, None) for module in model.modules() for kind in kinds)
