"""A Telegram on loopback: gives out updates, keeps what is sent."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TOKEN = "123:test"


class FakeTelegram(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.updates: list[dict] = []
        self.sent: list[dict] = []
        self.failing = False
        self.changed = threading.Condition()
        self.thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def say(self, text: str, name: str = "Ada") -> None:
        with self.changed:
            self.updates.append({
                "update_id": len(self.updates) + 1,
                "message": {"text": text, "chat": {"id": 7}, "from": {"first_name": name}},
            })

    def wait_for(self, count: int) -> list[dict]:
        with self.changed:
            if not self.changed.wait_for(lambda: len(self.sent) >= count, timeout=10):
                raise AssertionError(f"{len(self.sent)} messages were sent, expected {count}")
            return list(self.sent)

    def close(self) -> None:
        self.shutdown()
        self.thread.join()
        self.server_close()


class Handler(BaseHTTPRequestHandler):
    server: FakeTelegram

    def do_POST(self) -> None:
        arguments = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        _, token, method = self.path.split("/")
        if self.server.failing or token != f"bot{TOKEN}":
            self.send_error(502 if self.server.failing else 401)
            return
        result: object = True
        with self.server.changed:
            if method == "getUpdates":
                result = [u for u in self.server.updates if u["update_id"] >= arguments["offset"]]
            else:
                self.server.sent.append(arguments)
                self.server.changed.notify_all()
        data = json.dumps({"ok": True, "result": result}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        pass
