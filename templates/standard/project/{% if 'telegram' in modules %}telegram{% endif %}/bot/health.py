"""GET /health: whether Telegram answers."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Health:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._problem = ""

    def well(self) -> None:
        self.ill("")

    def ill(self, problem: str) -> None:
        with self._lock:
            self._problem = problem

    def report(self) -> dict:
        with self._lock:
            return {"status": "degraded", "problem": self._problem} if self._problem else {"status": "ok"}


def make_server(host: str, port: int, health: Health) -> ThreadingHTTPServer:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = self.path == "/health"
            data = json.dumps(health.report() if found else {"error": f"there is no {self.path}"}).encode()
            self.send_response(200 if found else 404)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: object) -> None:
            pass

    return ThreadingHTTPServer((host, port), Handler)
