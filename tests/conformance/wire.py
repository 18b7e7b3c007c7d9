"""Frames and bodies of offshoot, from docs/protocol.md: the numbers in comments are its clauses."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

MAGIC, FRAGMENT = 0x4D49, 0x4F46
HEADER = struct.Struct(">HIIIIII")
MAX_BODY, MAX_PIECE, MAX_CONTROL, COST, WINDOW = 131_080, 131_072, 4_096, 128, 16_384
NOBODY, DEAD = 0, 999
CALL, FORWARD_LOG, ADD_ROUTE, DEL_ROUTE, ALLOCATE_ID, SHUTDOWN = 101, 102, 103, 104, 105, 106
SETUP, HELLO, PING, PONG, CREDIT, CANCEL = 200, 201, 202, 203, 204, 205
REBIND, CREATE_CHILD, GRANT, CHAIN_END = 207, 208, 209, 210
CONTROL = {ADD_ROUTE, DEL_ROUTE, ALLOCATE_ID, SHUTDOWN, SETUP, HELLO, PING, PONG, CREDIT, REBIND}
END_TO_END = {SHUTDOWN, CREDIT, REBIND}
NO_ROUTE, NO_HANDLE, POLICY, TOO_LARGE, CONGESTED, GONE, CANCELLED = 0, 1, 2, 4, 5, 6, 7
SHUTTING_DOWN, WOULD_WAIT, MALFORMED, TOO_LATE = 8, 10, 11, 12
ERROR, NO_FUNCTION, ARGUMENTS, CHAIN = 0, 2, 3, 5
CALLS, REPLIES = 0, 1


class LinkEnded(Exception):
    """The link is lost, or can be trusted no more (1.3, 2.3, 2.4, 3.1)."""


class Malformed(Exception):
    """A body is not what it should be (4)."""


class Reader:
    """Takes values out of a body, exactly as they are announced (4)."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def take(self, count: int) -> bytes:
        """So many bytes, no fewer."""
        piece = self.data[self.at : self.at + count]
        if len(piece) != count:
            raise Malformed("it ends too early")
        self.at += count
        return piece

    def head(self) -> tuple[int, int]:
        """Major type and argument, in the shortest form (4.1)."""
        major, low = divmod(self.take(1)[0], 32)
        if low < 24:
            return major, low
        if low > 27 or major > 5:
            raise Malformed("a form that is not used")
        value = int.from_bytes(self.take(1 << (low - 24)), "big")
        if value < (24 if low == 24 else 1 << (8 << (low - 25))):
            raise Malformed("a number that could be shorter")
        return major, value

    def of(self, major: int, limit: int = 2**64) -> int:
        """The argument of a value of this type."""
        is_major, value = self.head()
        if is_major != major or value >= limit:
            raise Malformed("another type, or out of range")
        return value

    def u32(self) -> int:
        """A number of 32 bits."""
        return self.of(0, 2**32)

    def u64(self) -> int:
        """A number of 64 bits."""
        return self.of(0)

    def i64(self) -> int:
        """A signed number of 64 bits (4.2)."""
        major, value = self.head()
        if major > 1 or value >= 2**63:
            raise Malformed("no number of this range")
        return -1 - value if major else value

    def text(self) -> str:
        """A text (4.4)."""
        try:
            return self.take(self.of(3)).decode()
        except UnicodeDecodeError as error:
            raise Malformed("no UTF-8") from error

    def blob(self) -> bytes:
        """Bytes (4.4)."""
        return self.take(self.of(2))

    def truth(self) -> bool:
        """True or false (4.3)."""
        byte = self.take(1)[0]
        if byte not in (0xF4, 0xF5):
            raise Malformed("neither true nor false")
        return byte == 0xF5

    def null(self) -> None:
        """The empty value (4.3)."""
        if self.take(1) != b"\xf6":
            raise Malformed("not null")

    def optional(self, item: Callable[[], Any]) -> Any:
        """Null, or a value that begins with neither null nor a tag (4.6)."""
        if self.data[self.at : self.at + 1] == b"\xf6":
            return self.null()
        return item()

    def array(self, count: int) -> None:
        """The head of a struct or tuple (4.5)."""
        if self.of(4) != count:
            raise Malformed("another number of fields")

    def items(self, item: Callable[[], Any]) -> list[Any]:
        """A list (4.5): each element takes a byte at least, so it cannot be longer than what is left."""
        return [item() for _ in range(self.of(4, len(self.data) - self.at))]

    def variant(self) -> tuple[int, int]:
        """The index of an enum's variant, and how many fields follow (4.7)."""
        major, value = self.head()
        if major == 0:
            return value, 0
        if major != 4 or value < 2:
            raise Malformed("no enum")
        return self.u32(), value - 1

    def end(self) -> None:
        """Nothing may be left (4.8)."""
        if self.at != len(self.data):
            raise Malformed("bytes are left")


def encode(value: Any) -> bytes:
    """A value in its only form (4)."""

    def head(major: int, number: int) -> bytes:
        if number < 24:
            return bytes([major << 5 | number])
        power = next(power for power in range(4) if number < 1 << (8 << power))
        return bytes([major << 5 | 24 + power]) + number.to_bytes(1 << power, "big")

    if value is None:
        return b"\xf6"
    if isinstance(value, bool):
        return b"\xf5" if value else b"\xf4"
    if isinstance(value, int):
        return head(0, value) if value >= 0 else head(1, -1 - value)
    if isinstance(value, bytes):
        return head(2, len(value)) + value
    if isinstance(value, str):
        text = value.encode(errors="replace")
        return head(3, len(text)) + text
    return head(4, len(value)) + b"".join(map(encode, value))


def read_end(body: Reader) -> tuple[int, int, int]:
    """The end of a stream: home, handle, direction (7.1)."""
    body.array(3)
    return body.u32(), body.u32(), body.of(0, 2)


def read_head(body: Reader) -> tuple[str, int | None, list[tuple[int, int]], int | None, list[tuple[int, int, int]]]:
    """The head of a call: function, time left, what waits for it, chain, ends (6.1)."""
    body.array(5)
    function, left = body.text(), body.optional(body.u32)
    above = body.items(lambda: (body.array(2), body.u32(), body.u32())[1:])
    return function, left, above, body.optional(body.u32), body.items(lambda: read_end(body))


def cut(text: str, limit: int) -> str:
    """At most so many bytes of it."""
    return text.encode(errors="replace")[:limit].decode(errors="ignore")


@dataclass
class Frame:
    """One message (2.1); `part` is the total and the offset of a fragment (3.1)."""

    dst: int
    src: int
    auth: int
    handle: int
    reply_to: int
    body: bytes
    part: tuple[int, int] | None = None
    too_long: bool = False

    def is_control(self) -> bool:
        """Whether it is outside credit, and in front of all else (2.2)."""
        return self.handle in CONTROL and self.reply_to == NOBODY

    def is_first(self) -> bool:
        """Whether a body begins here: one frame of a body is answered (6.4)."""
        return self.part is None or self.part[1] == 0

    def encoded(self) -> bytes:
        """Its bytes (2.1, 3.1)."""
        front = b"" if self.part is None else struct.pack(">II", *self.part)
        magic, length = (FRAGMENT if self.part else MAGIC), len(front) + len(self.body)
        fields = (self.dst, self.src, self.auth, self.handle, self.reply_to)
        return HEADER.pack(magic, *fields, length) + front + self.body
