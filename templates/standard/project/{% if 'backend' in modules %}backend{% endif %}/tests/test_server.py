import json
import threading
import unittest
import urllib.error
import urllib.request

from app.greeting import LONGEST_NAME, greet
from app.server import make_server


class ServerTest(unittest.TestCase):
    def setUp(self) -> None:
        self.server = make_server("127.0.0.1", 0)
        thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        self.addCleanup(self.server.server_close)
        self.addCleanup(thread.join)
        self.addCleanup(self.server.shutdown)

    def get(self, path: str) -> tuple[int, dict]:
        url = f"http://127.0.0.1:{self.server.server_address[1]}{path}"
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)

    def test_is_healthy(self) -> None:
        self.assertEqual(self.get("/health"), (200, {"status": "ok"}))

    def test_greets(self) -> None:
        self.assertEqual(self.get("/api/greeting?name=Ada"), (200, {"greeting": "Hello, Ada!"}))

    def test_refuses_what_is_wrong(self) -> None:
        self.assertEqual(self.get("/api/greeting?name=" + "x" * (LONGEST_NAME + 1))[0], 400)

    def test_knows_no_other_path(self) -> None:
        self.assertEqual(self.get("/nowhere")[0], 404)


class GreetingTest(unittest.TestCase):
    def test_without_a_name(self) -> None:
        self.assertEqual(greet("  "), "Hello!")


if __name__ == "__main__":
    unittest.main()
