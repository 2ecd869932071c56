"""What the bot says; no network in here."""

from __future__ import annotations

from collections.abc import Callable


class Conversation:
    def __init__(self, greeting: Callable[[str], str]) -> None:
        self._greeting = greeting

    def reply(self, message: dict) -> str | None:
        """The answer to one message, or None."""
        text = message.get("text")
        if not text:
            return None
        if text.split()[0].split("@")[0] == "/start":
            return self._greeting(message.get("from", {}).get("first_name", ""))
        return f"You said: {text}"
