"""An HTTP client that no server can keep waiting or fill the memory of."""

from __future__ import annotations

import contextlib
import importlib
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["TOO_LARGE", "limited_client"]

_LARGEST_ANSWER = 2 * 1024 * 1024  # bytes

TOO_LARGE = "sent more than 2 MiB as one answer"
"""What the error says that ends an answer of more."""


def limited_client(timeout: float) -> Any:
    """An HTTP client that follows no redirect and reads a body neither for ever nor beyond the largest answer.

    Closing it breaks the requests that other threads wait for.

    Args:
        timeout: Seconds for the head of an answer, and again for its body.
    """
    import openai

    # openai stands on httpx or, since its third major version, on httpx2.
    library = importlib.import_module(openai.DefaultHttpxClient.__mro__[1].__module__.split(".")[0])
    limited = _limited_body(library, timeout)
    under_way: set[_Deadline] = set()
    closed = threading.Event()

    class LimitedClient(openai.DefaultHttpxClient):  # type: ignore[misc]
        def send(self, request: Any, *, stream: bool = False, **options: Any) -> Any:
            deadline = _Deadline(timeout)
            under_way.add(deadline)
            try:
                if closed.is_set():
                    raise library.ConnectError("the client was closed")
                return self._sent(deadline, request, stream, options)
            finally:
                under_way.discard(deadline)

        def close(self) -> None:
            closed.set()
            for deadline in tuple(under_way):
                deadline.cut()
            super().close()

        def _sent(self, deadline: _Deadline, request: Any, stream: bool, options: Mapping[str, Any]) -> Any:
            request.extensions = {**request.extensions, "trace": deadline.watch}
            try:
                with deadline:
                    response = super().send(request, stream=True, **options)
            except library.TransportError as error:
                if deadline.passed:
                    raise library.ReadTimeout("the head of the answer doesn't end") from error
                raise
            response.headers.pop("content-encoding", None)  # none was asked for: nothing is unpacked
            response.stream = limited(response.stream)
            try:
                if not stream:
                    response.read()
            except BaseException:
                response.close()
                raise
            return response

    # A connection of its own for each question: the deadline cuts that one, and no other question's.
    return LimitedClient(follow_redirects=False, timeout=timeout, limits=library.Limits(max_keepalive_connections=0))


def _limited_body(library: Any, timeout: float) -> Any:
    """The class of a body that is read neither for ever nor beyond the largest answer."""

    class Limited(library.SyncByteStream):  # type: ignore[misc]
        def __init__(self, body: Any) -> None:
            self.body, self.end = body, time.monotonic() + timeout

        def __iter__(self) -> Iterator[bytes]:
            size = 0
            for chunk in self.body:
                size += len(chunk)
                if size > _LARGEST_ANSWER:
                    raise library.ReadError(TOO_LARGE)
                if time.monotonic() > self.end:
                    raise library.ReadTimeout("the answer doesn't end")
                yield chunk

        def close(self) -> None:
            self.body.close()

    return Limited


class _Deadline:
    """Breaks a connection whose answer hasn't begun in time, however busily its server sends headers."""

    def __init__(self, seconds: float) -> None:
        self.passed = False
        self._socket: Any = None
        self._timer = threading.Timer(seconds, self.cut)
        self._timer.daemon = True

    def watch(self, event: str, facts: Mapping[str, Any]) -> None:
        """See the extension `trace` of the HTTP client: learn which socket is used."""
        if event.endswith(("connect_tcp.complete", "start_tls.complete")):
            self._socket = facts["return_value"].get_extra_info("socket")
            if self.passed:
                self.cut()

    def __enter__(self) -> None:
        self._timer.start()

    def __exit__(self, *error: object) -> None:
        self._timer.cancel()

    def cut(self) -> None:
        """Break it now."""
        self.passed = True
        if self._socket is not None:
            with contextlib.suppress(OSError):  # closed meanwhile
                self._socket.shutdown(socket.SHUT_RDWR)
