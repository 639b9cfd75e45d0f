"""A server that speaks S3, on loopback, which can be told to fail: moto's, behind a few lines that strike."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

DENIED = (
    '<?xml version="1.0" encoding="UTF-8"?><Error><Code>{code}</Code><Message>{code} it is.</Message>'
    "<RequestId>1</RequestId></Error>"
)


@dataclass
class Strike:
    """Something that happens to requests.

    Attributes:
        method: The requests' method.
        part: What their path holds.
        skip: How many of them go by first.
        times: How many are struck then.
        status: What the server answers in place of what was asked for; None answers as it should.
        before: Called before the request is served.
        after: Called after it was served, before it is answered.
        lost: The request is served, and the answer is `status` all the same.
    """

    method: str
    part: str
    skip: int = 0
    times: int = 1
    status: int | None = None
    before: Callable[[], None] = lambda: None
    after: Callable[[], None] = lambda: None
    lost: bool = False


@dataclass
class ObjectServer:
    """A running server.

    Attributes:
        address: Where it is.
        requests: Method and path of each request since `strike` or `quiet` was entered.
    """

    address: str = ""
    requests: list[tuple[str, str]] = field(default_factory=list)
    _strikes: list[Strike] = field(default_factory=list)
    _keys: tuple[str, ...] = ("testing",)

    @contextmanager
    def strike(self, *strikes: Strike) -> Iterator[None]:
        """Strike while the block runs."""
        self.requests.clear()
        self._strikes = list(strikes)
        try:
            yield
        finally:
            self._strikes = []

    @contextmanager
    def running(self) -> Iterator[ObjectServer]:
        """Serve while the block runs."""
        from moto.server import DomainDispatcherApplication, create_backend_app
        from werkzeug.serving import make_server

        logging.getLogger("werkzeug").setLevel(logging.WARNING)  # it would tell of every request
        app = DomainDispatcherApplication(create_backend_app)
        # One request at a time: what is promised of a conditional put is the server's part.
        lock = threading.Lock()

        def served(environ: dict[str, Any], start: Any) -> Iterable[bytes]:
            with lock:
                return self._serve(app, environ, start)

        server = make_server("127.0.0.1", 0, served, threaded=True)
        self.address = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            server.shutdown()
            thread.join()

    def _serve(self, app: Any, environ: dict[str, Any], start: Any) -> Iterable[bytes]:
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        self.requests.append((method, path))
        key = environ.get("HTTP_AUTHORIZATION", "").partition("Credential=")[2].partition("/")[0]
        if key not in self._keys and not path.startswith("/moto-api"):
            return _refused(start, "403 FORBIDDEN", "InvalidAccessKeyId")
        strike = self._struck(method, path)
        if strike is None:
            return list(app(environ, start))
        strike.before()
        if strike.status is not None and not strike.lost:
            return _refused(start, f"{strike.status} STRUCK", _CODES[strike.status])
        told: list[Any] = []
        body = list(app(environ, lambda *said: told.extend(said)))
        strike.after()
        if strike.status is not None:
            return _refused(start, f"{strike.status} STRUCK", _CODES[strike.status])
        start(*told[:2])
        return body

    def _struck(self, method: str, path: str) -> Strike | None:
        for strike in self._strikes:
            if strike.method != method or strike.part not in path:
                continue
            if strike.skip:
                strike.skip -= 1
            elif strike.times:
                strike.times -= 1
                return strike
        return None


_CODES = {403: "AccessDenied", 500: "InternalError", 503: "ServiceUnavailable"}


def _refused(start: Any, status: str, code: str) -> list[bytes]:
    body = DENIED.format(code=code).encode()
    start(status, [("Content-Type", "application/xml"), ("Content-Length", str(len(body)))])
    return [body]
