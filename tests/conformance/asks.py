"""Calls that this context makes itself, and how they end (6, 9.2)."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from parts import Parts
from wire import *

MAX_ABOVE = 64


@dataclass
class Call:
    """One that came in (6.1)."""

    src: int
    auth: int
    reply_to: int
    cost: int
    function: str
    deadline: float | None
    above: list[tuple[int, int]]
    chain: int | None
    ends: list[tuple[int, int, int]]
    arguments: Reader
    name: tuple[int, int] = (0, 0)
    """As it stands in the lists of those that wait for it: who waits, and where."""
    runs: bool = False
    cancelled: bool = False

    def is_over(self) -> bool:
        """Whether nobody waits for its result any more (6.1, 6.5)."""
        return self.cancelled or self.left() == 0

    def left(self) -> float | None:
        """The seconds to its deadline."""
        return None if self.deadline is None else max(0.0, self.deadline - time.monotonic())


class Failed(Exception):
    """A call of ours has failed; the words are for people."""


@dataclass
class Asked:
    """One that went out. `answer` is its reply, or why there will be none."""

    respondent: int
    answer: bytes | Failed | None = None
    given_up: bool = False


class Asks(Parts):
    """Who is asked, by the handle that waits (2.2)."""

    def __init__(self) -> None:
        self.asked: dict[int, Asked] = {}
        self.last_handle = 999
        super().__init__()

    def new_handle(self) -> int:
        """One that was never given to anything."""
        with self.lock:
            self.last_handle += 1
            return self.last_handle

    def ask(self, call: Call, dst: int, function: str, argument: Any, take: Callable[[Reader], Any]) -> Any:
        """Calls a function of another context while `call` runs, and waits for its value.

        Never on the thread that reads.
        """
        if dst == self.me:
            raise Failed("it asks itself")
        handle, asked = self.new_handle(), Asked(dst)
        left, above = call.left(), [*call.above, call.name][-MAX_ABOVE:]
        left_ms = None if left is None else int(1000 * left)
        body = encode([function, left_ms, above, None, []]) + encode(argument)
        waits = lambda: asked.answer is None and not call.is_over()
        with self.lock:
            self.asked[handle] = asked
            sent = self.charged(dst, CALL, handle, body, CALLS, waits, call.left)
            self.lock.wait_for(lambda: not waits(), call.left())
            if asked.answer is None and sent:
                # Kept until its answer comes (9.2), which the other side owes all the same (6.5).
                asked.given_up = True
                self.free(dst, CANCEL, NOBODY, [self.me, handle])
                raise Failed("it was cancelled")
            del self.asked[handle]
        return self.value_of(asked.answer or Failed("it was cancelled before it was sent"), take)

    def value_of(self, answer: bytes | Failed, take: Callable[[Reader], Any]) -> Any:
        """What a reply says (6.2)."""
        if isinstance(answer, Failed):
            raise answer
        try:
            body = Reader(answer)
            kind = body.variant()
            if kind == (1, 2):
                body.u32()
                text = body.text()
                body.end()
                raise Failed(text)
            if kind != (0, 1):
                raise Malformed("it is no reply")
            ends = body.items(lambda: read_end(body))
            value = take(body)
            body.end()
        except Malformed as error:
            raise Failed(f"the answer could not be read: {error}") from error
        for home, theirs, _ in ends:
            self.free(home, theirs, DEAD, [GONE, "nobody took this end"])
        return value

    def on_answer(self, frame: Frame) -> None:
        """A frame to a handle that waits, or that nobody has waited at for a while (6.2, 6.3)."""
        asked = self.asked[frame.handle]
        if frame.src != asked.respondent or asked.answer is not None:
            return self.decline(frame, NO_HANDLE, "another context is awaited here, or nobody any more")
        if arrived := self.whole(frame, REPLIES):
            self.give_back(frame.src, REPLIES, arrived[1])
            if arrived[0] != b"\x02":
                self.end_asked(frame.handle, arrived[0])
        return None

    def end_asked(self, handle: int, answer: bytes | Failed) -> None:
        """A call of ours is over."""
        asked = self.asked[handle]
        asked.answer = asked.answer or answer
        if asked.given_up:
            del self.asked[handle]
        self.lock.notify_all()

    def on_dead(self, frame: Frame) -> None:
        """A dead message is taken from the respondent alone (6.4)."""
        asked = self.asked.get(frame.handle)
        if asked and asked.respondent == frame.src and asked.answer is None:
            told = self.decoded(frame, lambda body: (body.array(2), body.u32(), body.text()))
            self.end_asked(frame.handle, Failed(told[2] if told else "a dead message that could not be read"))

    def spoil(self, frame: Frame, code: int, text: str) -> None:
        super().spoil(frame, code, text)
        asked = self.asked.get(frame.handle)
        if asked and asked.respondent == frame.src and asked.answer is None:
            self.end_asked(frame.handle, Failed(text))

    def forget_asked(self, gone: set[int]) -> None:
        """Who is gone answers nothing any more (9.3)."""
        for handle in [handle for handle, asked in self.asked.items() if asked.respondent in gone]:
            self.end_asked(handle, Failed(f"context {self.asked[handle].respondent} is gone"))
