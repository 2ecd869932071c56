"""The HTTP API: a table of routes, each a function from the query to a JSON answer."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from app.greeting import greet

Query = dict[str, list[str]]


def health(_: Query) -> dict:
    return {"status": "ok"}


def greeting(query: Query) -> dict:
    return {"greeting": greet(query.get("name", [""])[0])}


ROUTES: dict[str, Callable[[Query], dict]] = {
    "/health": health,
    "/api/greeting": greeting,
}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        route = ROUTES.get(url.path)
        if route is None:
            self.answer(HTTPStatus.NOT_FOUND, {"error": f"there is no {url.path}"})
            return
        try:
            self.answer(HTTPStatus.OK, route(parse_qs(url.query)))
        except ValueError as problem:
            self.answer(HTTPStatus.BAD_REQUEST, {"error": str(problem)})

    def answer(self, status: HTTPStatus, body: dict) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        logging.debug(format, *args)


class Server(ThreadingHTTPServer):
    daemon_threads = True


def make_server(host: str, port: int) -> Server:
    return Server((host, port), Handler)
