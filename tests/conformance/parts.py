"""Bodies as they come: credit for each frame, pieces put together, what is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from link import Link
from wire import *

MAX_PARTS = 64


class Parts(Link):
    """Bodies in the making, by source and handle."""

    def __init__(self) -> None:
        self.parts: dict[tuple[int, int], tuple[int, int, bytearray]] = {}
        super().__init__()

    def whole(self, frame: Frame, window: Any) -> tuple[bytes, int] | None:
        """A body once all of it is here, and what its last frame costs until it is taken (3.3, 8.3)."""
        cost = COST + len(frame.body)
        if not self.charge(frame.src, window, cost):
            self.parts.pop((frame.src, frame.handle), None)
            return self.spoil(frame, CONGESTED, "it was sent without credit")
        if frame.part is None:
            return frame.body, cost
        (total, offset), key = frame.part, (frame.src, frame.handle)
        part = self.parts.pop(key, None)
        if offset == 0:
            if total > self.limit or len(self.parts) >= MAX_PARTS:
                self.give_back(frame.src, window, cost)
                code = TOO_LARGE if total > self.limit else CONGESTED
                return self.spoil(frame, code, "the body is over the limit")
            part = (total, frame.reply_to, bytearray())
        if part is None:
            return self.give_back(frame.src, window, cost)
        known_total, reply_to, body = part
        fits = offset == len(body) and len(frame.body) <= total - offset and frame.body
        if total != known_total or reply_to != frame.reply_to or not fits:
            frame.part = None
            self.give_back(frame.src, window, cost)
            return self.spoil(frame, MALFORMED, "a piece of the body does not continue it")
        body += frame.body
        if len(body) == total:
            return bytes(body), cost
        self.parts[key] = part
        return self.give_back(frame.src, window, cost)

    def spoil(self, frame: Frame, code: int, text: str) -> None:
        """A body cannot be had: who sent it learns it, and who waits for it here."""
        self.refuse(frame, code, text)

    def decline(self, frame: Frame, code: int, text: str) -> None:
        """Refuses what has come here, and gives back what it cost (8.3)."""
        self.refuse(frame, code, text)
        if frame.handle < 1000 or frame.reply_to == NOBODY:
            window, cost = CALLS if frame.handle < 1000 else REPLIES, COST + len(frame.body)
            if self.charge(frame.src, window, cost):
                self.give_back(frame.src, window, cost)

    def decoded(self, frame: Frame, take: Callable[[Reader], Any]) -> Any:
        """What `take` makes of a body that is one value; None if it is no such value, which is dropped (5.1)."""
        try:
            body = Reader(frame.body)
            value = take(body)
            body.end()
            return value
        except Malformed:
            return None
