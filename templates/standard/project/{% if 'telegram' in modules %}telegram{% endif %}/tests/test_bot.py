import json
import logging
import threading
import time
import unittest
import urllib.request

from bot.api import TelegramApi, TelegramError
from bot.conversation import Conversation
from bot.health import Health, make_server
from bot.loop import serve
from tests.fake_telegram import TOKEN, FakeTelegram

logging.disable(logging.CRITICAL)


def greeting(name: str) -> str:
    if name == "Nobody":
        raise OSError("the backend is away")
    return f"Hello, {name}!"


class BotTest(unittest.TestCase):
    def setUp(self) -> None:
        self.telegram = FakeTelegram()
        self.addCleanup(self.telegram.close)
        self.health = Health()
        self.stop = threading.Event()
        api = TelegramApi(self.telegram.url, TOKEN)
        self.thread = threading.Thread(
            target=serve, args=(api, Conversation(greeting), self.health, self.stop, 0, 0.01))
        self.thread.start()
        self.addCleanup(self.thread.join)
        self.addCleanup(self.stop.set)

    def test_answers(self) -> None:
        self.telegram.say("/start")
        self.telegram.say("good morning")
        texts = [message["text"] for message in self.telegram.wait_for(2)]
        self.assertEqual(texts, ["Hello, Ada!", "You said: good morning"])

    def test_goes_on_after_a_message_that_it_cannot_answer(self) -> None:
        self.telegram.say("/start", name="Nobody")
        self.telegram.say("still there?")
        self.assertEqual(self.telegram.wait_for(1)[0]["text"], "You said: still there?")

    def test_says_when_telegram_is_away_and_comes_back(self) -> None:
        server = make_server("127.0.0.1", 0, self.health)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        self.addCleanup(server.server_close)
        self.addCleanup(thread.join)
        self.addCleanup(server.shutdown)

        def status() -> str:
            url = f"http://127.0.0.1:{server.server_address[1]}/health"
            with urllib.request.urlopen(url, timeout=5) as answer:
                return json.load(answer)["status"]

        for failing, expected in ((True, "degraded"), (False, "ok")):
            self.telegram.failing = failing
            deadline = time.monotonic() + 10
            while status() != expected:
                self.assertLess(time.monotonic(), deadline, f"not {expected}")
                time.sleep(0.01)

    def test_keeps_the_token_out_of_errors(self) -> None:
        with self.assertRaises(TelegramError) as caught:
            TelegramApi(self.telegram.url, "456:wrong").send(7, "x")
        self.assertNotIn("456:wrong", str(caught.exception))


class ConversationTest(unittest.TestCase):
    def test_has_nothing_to_say_to_a_picture(self) -> None:
        self.assertIsNone(Conversation(greeting).reply({"photo": []}))


if __name__ == "__main__":
    unittest.main()
