"""The link of a leaf to its parent: greeting, frames in and out, credit."""

from __future__ import annotations

import os
import select
import struct
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from wire import *


@dataclass
class Window:
    """What a source may still send here (8.1), and what of it can be given back (8.3)."""

    used: int = 0
    owed: int = 0


class Link:
    """What this context has of its only link. `lock` guards all that threads share."""

    def __init__(self) -> None:
        self.lock = threading.Condition(threading.RLock())
        self.input, self.output = os.dup(0), os.dup(1)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(2, 1)
        self.first: deque[Frame] = deque()
        self.rest: deque[Frame] = deque()
        self.writing = self.pong_waits = False
        self.sending: dict[tuple[int, Any], int] = {}
        self.receiving: dict[tuple[int, Any], Window] = {}
        self.greet()

    def read(self, count: int, skip: bool = False) -> bytes:
        """Exactly so many bytes, in pieces as they come; asks for a PONG when none come for long (5.7)."""
        pieces, silent = [], 0
        while count:
            patience = self.ping_s or None
            if not select.select([self.input], [], [], patience)[0]:
                silent += 1
                if silent > 9:
                    raise LinkEnded("the parent is silent")
                self.control(self.parent, PING, None)
                continue
            piece, silent = os.read(self.input, min(count, 65_536)), 0
            if not piece:
                raise LinkEnded("the parent is gone")
            count -= len(piece)
            if not skip:
                pieces.append(piece)
        return b"".join(pieces)

    def next_frame(self) -> Frame:
        """The next frame; one that is too long without its body (2.5)."""
        magic, dst, src, auth, handle, reply_to, length = HEADER.unpack(self.read(HEADER.size))
        if magic not in (MAGIC, FRAGMENT) or 0 < reply_to < 1000 and reply_to != DEAD:
            raise LinkEnded("no frame of this protocol")
        frame = Frame(dst, src, auth, handle, reply_to, b"")
        if magic == FRAGMENT:
            if length < 8:
                raise LinkEnded("no fragment")
            if length <= MAX_BODY:
                total, offset = struct.unpack(">II", self.read(8))
                frame.part, length = (total, offset), length - 8
        frame.too_long = length > (MAX_CONTROL if frame.is_control() else MAX_BODY)
        frame.body = self.read(length, skip=frame.too_long)
        return frame

    def greet(self) -> None:
        """Opening, marker, SETUP, HELLO (1)."""
        self.ping_s = 0.0
        opening = self.read(42)
        if not opening.startswith(b"offshoot ") or not opening.endswith(b"\n"):
            raise LinkEnded("no parent has started this")
        nonce = bytes.fromhex(opening[9:41].decode())
        os.write(self.output, b"offshoot-up " + bytes(byte ^ 255 for byte in nonce).hex().encode() + b"\n")
        frame, body = self.next_frame(), Reader(b"")
        if frame.handle != SETUP or not frame.is_control():
            raise LinkEnded("the first frame is not SETUP")
        body = Reader(frame.body)
        body.array(10)
        if (version := body.u32()) != 1:
            raise LinkEnded(f"the parent speaks version {version}")
        body.u64()
        self.me, self.ancestors = body.u32(), body.items(body.u32)
        self.name, _one_way, self.limit = body.text(), body.truth(), body.u32()
        self.ping_s, _grace, self.log_level = body.u32() / 1000, body.u32(), body.of(0, 256)
        body.end()
        self.parent = self.ancestors[0]
        self.control(self.parent, HELLO, [1, 0, 0, os.getpid(), 0])

    def write(self) -> None:
        """The writing thread: control frames before all else (9.4)."""
        while True:
            with self.lock:
                self.writing = False
                self.lock.notify_all()
                self.lock.wait_for(lambda: self.first or self.rest)
                frame, self.writing = (self.first or self.rest).popleft(), True
                self.pong_waits = self.pong_waits and frame.handle != PONG
            data = frame.encoded()
            while data:
                try:
                    data = data[os.write(self.output, data) :]
                except OSError:
                    return  # Whoever reads finds the end, after what has come before it.

    def control(self, dst: int, handle: int, body: Any) -> None:
        """Queues a control frame (5.1)."""
        with self.lock:
            self.first.append(Frame(dst, self.me, self.me, handle, NOBODY, encode(body)))
            self.lock.notify_all()

    def free(self, dst: int, handle: int, reply_to: int, body: Any, src: int | None = None) -> None:
        """Queues data that costs nothing (8.2)."""
        with self.lock:
            speaker = self.me if src is None else src
            self.rest.append(Frame(dst, speaker, self.me, handle, reply_to, encode(body)))
            self.lock.notify_all()

    def charged(
        self,
        dst: int,
        handle: int,
        reply_to: int,
        body: bytes,
        window: Any,
        goes: Callable[[], bool],
        patience: Callable[[], float | None] = lambda: None,
    ) -> int:
        """Sends data as its window allows, in pieces where it must (3.2, 8.1); how much of it, should it be given up.

        Never on the thread that reads.
        """
        offset, key = 0, (dst, window)
        with self.lock:
            while goes():
                left, rest = self.sending.get(key, WINDOW) - COST, len(body) - offset
                if left < min(rest, 1024 if offset else 4096):
                    self.lock.wait(patience())
                    continue
                whole = offset == 0 and rest <= min(left, MAX_BODY)
                size = rest if whole else min(rest, left, MAX_PIECE)
                piece, part = body[offset : offset + size], None if whole else (len(body), offset)
                self.sending[key] = left - size
                self.rest.append(Frame(dst, self.me, self.me, handle, reply_to, piece, part))
                self.lock.notify_all()
                offset += size
                if offset == len(body):
                    break
        return offset

    def charge(self, src: int, window: Any, cost: int) -> bool:
        """Books what came; whether there was credit for it (8.1)."""
        account = self.receiving.setdefault((src, window), Window())
        if account.used + cost > WINDOW:
            return False
        account.used += cost
        return True

    def give_back(self, src: int, window: Any, cost: int) -> None:
        """CREDIT once half of a window has come back (8.3)."""
        account = self.receiving.get((src, window))
        if account is None:
            return
        account.owed += cost
        if account.owed >= WINDOW // 2:
            named = [2, window[1]] if isinstance(window, tuple) else window
            self.control(src, CREDIT, [named, account.owed])
            account.used, account.owed = account.used - account.owed, 0

    def refuse(self, frame: Frame, code: int, text: str) -> None:
        """Answers what is not taken, in the name of its dst (6.4)."""
        if frame.reply_to >= 1000 and frame.is_first():
            self.free(frame.src, frame.reply_to, DEAD, [code, text], src=frame.dst)
