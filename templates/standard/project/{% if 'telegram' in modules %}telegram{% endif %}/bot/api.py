"""Telegram's bot API over HTTP."""

from __future__ import annotations

import json
import urllib.error
import urllib.request


class TelegramError(Exception):
    pass


class TelegramApi:
    def __init__(self, url: str, token: str) -> None:
        self._base = f"{url.rstrip('/')}/bot{token}"

    def updates(self, after: int, wait: int) -> list[dict]:
        """New updates; waits up to `wait` seconds for one."""
        return self._call("getUpdates", {"offset": after + 1, "timeout": wait}, wait + 10)

    def send(self, chat: int, text: str) -> None:
        self._call("sendMessage", {"chat_id": chat, "text": text}, 20)

    def _call(self, method: str, arguments: dict, timeout: float) -> list | dict:
        request = urllib.request.Request(
            f"{self._base}/{method}",
            data=json.dumps(arguments).encode(),
            headers={"Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=timeout) as answer:
                body = json.load(answer)
        except urllib.error.HTTPError as error:
            # The URL holds the token: it stays out of every message.
            with error:
                raise TelegramError(f"{method}: HTTP {error.code}") from None
        except (OSError, ValueError) as error:
            raise TelegramError(f"{method}: {type(error).__name__}") from None
        if not body.get("ok"):
            raise TelegramError(f"{method}: {body.get('description', 'refused')}")
        return body["result"]
