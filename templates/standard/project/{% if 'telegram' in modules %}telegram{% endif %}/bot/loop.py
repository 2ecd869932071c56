"""Takes updates from Telegram and answers them, one after the other."""

from __future__ import annotations

import logging
import threading

from bot.api import TelegramApi, TelegramError
from bot.conversation import Conversation
from bot.health import Health

LONG_POLL = 30  # seconds
PAUSE = 3.0


def serve(api: TelegramApi, conversation: Conversation, health: Health, stop: threading.Event,
          wait: int = LONG_POLL, pause: float = PAUSE) -> None:
    last = 0
    while not stop.is_set():
        try:
            updates = api.updates(last, wait)
            health.well()
        except TelegramError as error:
            logging.warning("no updates: %s", error)
            health.ill(str(error))
            stop.wait(pause)
            continue
        for update in updates:
            last = max(last, update["update_id"])
            message = update.get("message")
            if message:
                answer(api, conversation, message)


def answer(api: TelegramApi, conversation: Conversation, message: dict) -> None:
    try:
        text = conversation.reply(message)
        if text:
            api.send(message["chat"]["id"], text)
    except Exception:  # one message must not end the bot
        logging.exception("a message was not answered")
