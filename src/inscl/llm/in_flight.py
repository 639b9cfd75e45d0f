"""Several questions to one model at a time: what is on its way is kept when one fails or somebody interrupts."""

from __future__ import annotations

from collections.abc import Callable, Generator, Hashable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, TimeoutError, as_completed
from contextlib import suppress
from typing import TypeVar

from inscl.contract.chat import ChatModel

__all__ = ["in_flight"]

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")

_WAIT = 1.0  # seconds


def in_flight(
    model: ChatModel, keys: Sequence[Key], ask: Callable[[Key], Value], concurrency: int, tell: Callable[[str], None]
) -> Generator[tuple[Key, Value], None, None]:
    """Keys with what `ask` finds for them, as the answers come; the model is entered and left here.

    Args:
        model: Who is asked. After a failure it is told to give up: no new requests and no more tries.
        keys: What is asked for, each once.
        ask: Asks for one of them; called from several threads. It keeps what it finds.
        concurrency: Concurrent requests.
        tell: Told when an interrupted call waits for answers that are on their way.

    Raises:
        Exception: What the first call of `ask` that failed raised, after those under way have ended.
        KeyboardInterrupt: Likewise; a second one ends at once.
    """
    pool = ThreadPoolExecutor(concurrency, thread_name_prefix="inscl-questions")
    futures: dict[Future[Value], Key] = {}
    failed: list[Exception] = []

    def unless_failed(key: Key) -> Value:
        # The thread of a failed question knows that before the one that waits does.
        if failed:
            raise failed[0]
        try:
            return ask(key)
        except Exception as error:
            failed.append(error)
            raise

    with model:
        try:
            futures = {pool.submit(unless_failed, key): key for key in keys}
            for future in _as_they_come(futures):
                yield futures[future], future.result()
        except BaseException:  # an interrupt, or a caller that goes away, too
            # No new requests and no more tries, but the answers that are on their way are kept: they are paid for.
            model.give_up()
            if waited := sum(future.running() for future in futures):
                tell(f"waiting for {waited} answers that are on their way, to keep them; Ctrl-C ends at once")
            pool.shutdown(wait=False, cancel_futures=True)
            for _ in _as_they_come(future for future in futures if not future.done()):
                pass
            raise
        finally:
            # Interrupted while it waits, it leaves the model, which breaks what is under way.
            pool.shutdown(wait=False, cancel_futures=True)


def _as_they_come(futures: Iterable[Future[Value]]) -> Iterator[Future[Value]]:
    """Futures as they are done; a signal that comes just before a wait isn't seen in it, so that waits are short."""
    waiting = set(futures)
    while waiting:
        with suppress(TimeoutError):
            for future in as_completed(waiting, timeout=_WAIT):
                waiting.discard(future)
                yield future
