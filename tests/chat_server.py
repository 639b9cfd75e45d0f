"""A chat server on loopback that does what its script says, and the surroundings that tests of it need."""

from __future__ import annotations

import json
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest


class Handler(BaseHTTPRequestHandler):
    """Plays what the script of its server's owner says."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def do_POST(self):
        request, owner = json.loads(self.rfile.read(int(self.headers["Content-Length"]))), self.server.owner
        with owner._lock:
            entry = owner.script[min(len(owner.requests), len(owner.script) - 1)]
            owner.requests.append(request)
            owner.keys.append(self.headers["Authorization"])
        entry = entry(request) if callable(entry) else entry
        if isinstance(entry, str):
            self.close_connection = True
            getattr(self, entry)()
        else:
            self.answer(*entry)

    def answer(self, status, headers, body):
        payload = body if isinstance(body, bytes) else body.encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(payload)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(payload)

    def close(self):
        self.connection.shutdown(socket.SHUT_RDWR)

    def half(self):
        self.answer(200, {"Content-Type": "application/json", "Content-Length": "1000"}, '{"choices": [')

    def drip(self, status=200):
        self.answer(status, {"Content-Type": "application/json", "Content-Length": "1000000"}, "{")
        while not self.server.owner._over.wait(0.02):
            try:
                self.wfile.write(b" ")
            except OSError:
                return

    def drip_error(self):
        self.drip(500)

    def drip_head(self):
        self.connection.sendall(b"HTTP/1.1 200 OK\r\nX-Long: ")
        while not self.server.owner._over.wait(0.02):
            try:
                self.connection.sendall(b"x")
            except OSError:
                return

    def silence(self):
        self.server.owner._over.wait(30)


class Server:
    """A chat server that does whatever its script says: one entry a request, the last one for ever.

    An entry is (status, headers, body), "close" (breaks the connection), "half" (breaks it amid the body), "drip"
    (sends a body that never ends), "drip_head" (a header that never ends) or "silence"; or a function of the request
    that gives one of these.
    """

    def __init__(self):
        self.requests, self.keys, self.script = [], [], [(200, {}, '{"choices": [{"message": {"content": "ok"}}]}')]
        self._lock, self._over = threading.Lock(), threading.Event()
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.owner = self
        self.http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.http.server_port}/v1"
        threading.Thread(target=self.http.serve_forever, args=(0.02,), daemon=True).start()

    def end(self):
        self._over.set()
        self.http.shutdown()
        self.http.server_close()


@pytest.fixture
def server():
    running = Server()
    yield running
    running.end()


@pytest.fixture
def other_server():
    running = Server()
    yield running
    running.end()


@pytest.fixture(autouse=True)
def surroundings(monkeypatch, tmp_path, request):
    """A key in the environment, a cache of one's own, and no address of somebody's server."""
    monkeypatch.setenv("OPENAI_API_KEY", getattr(request.module, "KEY", "unused"))
    monkeypatch.setenv("INSCL_CACHE", str(tmp_path / "cache"))
    for name in ("OPENAI_BASE_URL", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def waits(monkeypatch):
    """Seconds that were waited between tries; nothing really waits."""
    from inscl.llm.endpoint import ChatEndpoint

    seconds = []
    monkeypatch.setattr(ChatEndpoint, "_pause", lambda self, wait: seconds.append(wait))
    return seconds
