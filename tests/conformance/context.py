"""What a leaf is on its link: where frames go, calls that come, streams, logs, the end.

Three kinds of threads: the main one reads the link and never waits for anything else, one writes it, one runs calls in
the order in which they came. Streams that go out have a thread each.
"""

from __future__ import annotations

import math
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from asks import Asks, Call
from wire import *

MAX_CALLS, MAX_CHAINS, MAX_GRANTS = 65_536, 1_024, 4_096
STARTED_S = 0.02


@dataclass
class Stream:
    """Our end of one (7): `theirs` is its handle at the peer, which a home learns by the holder's first frame."""

    peer: int
    theirs: int | None
    receives: bool
    items: deque[tuple[bytes, int]] = field(default_factory=deque)
    fault: str | None = None
    we_closed: bool = False
    they_closed: bool = False
    is_home: bool = False


Function = Callable[["Leaf", Call], Any]


class Leaf(Asks):
    """The state of this context, and the threads that move it."""

    def __init__(self, functions: dict[str, tuple[Function, bool]]) -> None:
        self.functions, self.closing, self.end_by = functions, False, math.inf
        self.calls: deque[Call] = deque()
        self.running: Call | None = None
        self.chains: dict[tuple[int, int], str] = {}
        self.over: dict[tuple[int, int], bool] = {}
        self.spilled: dict[int, int] = {}
        self.grants: set[tuple[str, int]] = set()
        self.streams: dict[int, Stream] = {}
        super().__init__()

    # What comes.

    def serve(self) -> None:
        """Reads until the link is lost."""
        while True:
            frame = self.next_frame()
            with self.lock:
                self.take(frame)
                self.lock.notify_all()

    def take(self, frame: Frame) -> None:
        """Where a frame goes (9.1)."""
        if self.me in (frame.src, frame.auth):
            return
        if frame.is_control() and frame.handle not in END_TO_END:
            if not frame.too_long and not frame.part and (frame.src, frame.dst) == (self.parent, self.me):
                self.on_neighbour(frame)
        elif frame.dst != self.me:
            self.refuse(frame, NO_ROUTE, f"context {self.me} is a leaf")
        elif frame.is_control():
            if not frame.too_long:
                self.on_control(frame)
        elif frame.reply_to == DEAD:
            self.on_dead(frame)
        elif frame.too_long:
            self.spoil(frame, TOO_LARGE, "a frame is longer than any frame may be")
        elif frame.handle == CANCEL:
            self.on_cancel(frame)
        elif frame.handle == CHAIN_END:
            self.decoded(frame, lambda body: self.end_chain((frame.src, body.u32())))
        elif frame.handle in (CALL, PING, GRANT):
            self.on_called(frame)
        elif frame.handle == CREATE_CHILD and frame.auth not in self.ancestors:
            self.decline(frame, POLICY, "only ancestors may make children of it")
        elif frame.handle in self.streams:
            self.on_stream(frame, self.streams[frame.handle])
        elif frame.handle in self.asked:
            self.on_answer(frame)
        else:
            self.decline(frame, NO_HANDLE, f"context {self.me} has no handle {frame.handle}")

    def on_neighbour(self, frame: Frame) -> None:
        """What the parent alone says (5.1)."""
        if frame.handle in (SETUP, HELLO):
            raise LinkEnded("a second greeting")  # 1.3
        if frame.handle == PING and not self.pong_waits:
            self.pong_waits = True
            self.control(self.parent, PONG, None)
        if frame.handle == DEL_ROUTE:
            fields = lambda body: (body.array(4), body.items(body.u32), body.u32(), body.text(), body.text())
            gone = self.decoded(frame, fields)
            self.forget(set(gone[1]) if gone else set())

    def forget(self, gone: set[int]) -> None:
        """Contexts are gone for good, and with them all that waits for them (9.3)."""
        for call in [*self.calls, *filter(None, [self.running])]:
            if call.src in gone:
                call.cancelled, call.reply_to = True, NOBODY
        for stream in self.streams.values():
            if stream.peer in gone:
                stream.we_closed = stream.they_closed = True
                stream.fault = f"context {stream.peer} is gone"
        for source in gone:
            self.spilled.pop(source, None)
        self.forget_asked(gone)
        for table in (self.sending, self.receiving, self.parts, self.chains, self.over):
            for key in [key for key in table if key[0] in gone]:
                del table[key]  # type: ignore[attr-defined]

    def on_control(self, frame: Frame) -> None:
        """What any context may say to any other (5.8 to 5.10)."""
        body = Reader(frame.body)
        try:
            body.array(1 if frame.handle == SHUTDOWN else 2)
            if frame.handle == CREDIT:
                index, fields = body.variant()
                window: Any = (2, body.u32()) if (index, fields) == (2, 1) else index
                more, key = body.u32(), (frame.src, window)
                body.end()
                if key in self.sending and self.sending[key] + more < 2**31:  # 8.3
                    self.sending[key] += more
            elif frame.auth in self.ancestors and frame.handle == REBIND:
                stream, holder = self.streams.get(body.u32()), body.u32()
                if stream and stream.theirs is None:
                    stream.peer = holder
            elif frame.auth in self.ancestors:
                left = body.u32() / 1000
                body.end()
                self.begin_to_end(left)
        except Malformed:
            pass

    def begin_to_end(self, left: float) -> None:
        """The end is ordered, and perhaps not for the first time: the shortest order counts (5.10)."""
        self.end_by = min(self.end_by, time.monotonic() + left * 15 / 16)
        if not self.closing:
            self.closing = True
            threading.Thread(target=self.finish, daemon=True).start()

    def finish(self) -> None:
        """The end that was ordered (5.10): calls that came before it are answered, what is held goes out."""
        with self.lock:
            busy = lambda: self.calls or self.running or self.first or self.rest or self.writing
            while busy() and (rest := self.end_by - time.monotonic()) > 0:
                self.lock.wait(rest)
            os._exit(0)

    # Calls.

    def on_called(self, frame: Frame) -> None:
        """A call of a function, GRANT, or PING with a reply_to (5.7, 6.1, 6.6)."""
        if frame.is_first() and frame.handle == GRANT and frame.auth not in self.ancestors:
            return self.decline(frame, POLICY, "only ancestors may grant its functions")
        if frame.is_first() and frame.handle == CALL and self.closing:
            return self.decline(frame, SHUTTING_DOWN, f"context {self.me} is ending")
        arrived = self.whole(frame, CALLS)
        if arrived is None:
            return None
        body, cost = Reader(arrived[0]), arrived[1]
        try:
            function, left, above, chain, ends = read_head(body)
        except Malformed:
            self.refuse(frame, MALFORMED, "the head of the call could not be read")
            return self.give_back(frame.src, CALLS, cost)
        deadline = None if left is None else time.monotonic() + left / 1000
        call = Call(frame.src, frame.auth, frame.reply_to, cost, function, deadline, above, chain, ends, body)
        # One that nobody waits for has a name all the same (6.1).
        call.name = (call.src, call.reply_to) if call.reply_to else (self.me, self.new_handle())
        if frame.handle == CALL and self.running and self.running.name in above:
            self.give_back(frame.src, CALLS, cost)
            self.refuse_ends(call.src, call.ends)
            return self.turn_away(call, WOULD_WAIT, "its only worker waits for this call")
        if frame.handle == CALL and len(self.calls) < MAX_CALLS:
            return self.calls.append(call)
        self.give_back(frame.src, CALLS, cost)
        if frame.handle == CALL:
            return self.refuse(frame, CONGESTED, "too many calls wait")
        grant = None
        try:
            if frame.handle == GRANT:
                body.array(2)
                grant = body.text(), body.u32()
            else:
                body.null()
            body.end()
        except Malformed:
            return self.answer_later(call, [1, ARGUMENTS, "they could not be read"])
        if grant and len(self.grants) < MAX_GRANTS:
            self.grants.add(grant)
        return self.answer_later(call, [0, []], b"\xf6")

    def answer_later(self, call: Call, head: list[Any], value: bytes = b"") -> None:
        """Answers without making the reading thread wait for credit."""
        threading.Thread(target=self.reply, args=[call, head, value], daemon=True).start()

    def work(self) -> None:
        """The thread that runs calls, in the order in which they came."""
        while True:
            with self.lock:
                self.running = None
                self.forget_over()
                self.lock.notify_all()
                self.lock.wait_for(lambda: self.calls)
                call = self.running = self.calls.popleft()
                self.give_back(call.src, CALLS, call.cost)
                function, anyone = self.functions.get(call.function, (None, True))
                may = anyone or call.auth in self.ancestors
                may = may or call.src == call.auth and (call.function, call.auth) in self.grants
                error = self.failed_chain(call)
                late = call.deadline is not None and call.deadline <= time.monotonic()
            if call.cancelled or late or not may:
                code = CANCELLED if call.cancelled else TOO_LATE if late else POLICY
                self.turn_away(call, code, "it is not run")
            elif error is not None:
                self.reply(call, [1, CHAIN, error])
            elif function is None:
                self.fail(call, NO_FUNCTION, call.function)
            else:
                self.run(call, function)
            self.refuse_ends(call.src, call.ends)

    def run(self, call: Call, function: Function) -> None:
        """Runs one call, and answers it."""
        call.runs = True
        started = threading.Timer(STARTED_S, self.tell_started, [call])
        started.daemon = True
        started.start()
        try:
            value = function(self, call)
            if isinstance(value, Iterator):
                handle = self.open_stream(Stream(call.src, None, receives=False, is_home=True))
                self.reply(call, [0, [[self.me, handle, 1]]], encode(0))
                threading.Thread(target=self.feed, args=[handle, value], daemon=True).start()
            else:
                self.reply(call, [0, []], encode(value))
        except Malformed as error:
            self.fail(call, ARGUMENTS, str(error))
        except Exception as error:  # Whatever a function does is told to its caller.
            self.fail(call, ERROR, str(error))
        finally:
            started.cancel()

    def tell_started(self, call: Call) -> None:
        """Whoever waits for a call learns that it runs (6.3), unless it is answered before there is credit for that."""
        self.charged(call.src, call.reply_to, NOBODY, b"\x02", REPLIES, lambda: call.runs and call.reply_to != NOBODY)

    def fail(self, call: Call, failure: int, text: str) -> None:
        """A call failed, and with it those that follow it in its chain (6.1)."""
        self.fail_chain(call.src, call.chain, text)
        self.reply(call, [1, failure, cut(text, 16_384)])

    def fail_chain(self, source: int, chain: int | None, text: str) -> None:
        """Remembers the first error of a chain."""
        with self.lock:
            known = sum(src == source for src, _ in self.chains)
            if chain is not None and (known < MAX_CHAINS or (source, chain) in self.chains):
                self.chains.setdefault((source, chain), cut(text, 16_384))
            elif chain is not None:
                self.spilled[source] = max(chain, self.spilled.get(source, 0))

    def failed_chain(self, call: Call) -> str | None:
        """Why its chain has failed (6.1)."""
        if call.chain is None:
            return None
        is_spilled = call.chain <= self.spilled.get(call.src, -1)
        return self.chains.get((call.src, call.chain), "too many have failed" if is_spilled else None)

    def end_chain(self, key: tuple[int, int]) -> None:
        """No more calls of a chain follow: its error is forgotten with the last of those that are here (6.5)."""
        self.over[key] = True
        self.forget_over()

    def forget_over(self) -> None:
        """Forgets the chains that are over and of which no call is here."""
        here = {(call.src, call.chain) for call in [*self.calls, *filter(None, [self.running])]}
        for key in [key for key in self.over if key not in here]:
            del self.over[key]
            self.chains.pop(key, None)

    def turn_away(self, call: Call, code: int, text: str) -> None:
        """A call has no answer (6.4)."""
        call.runs = False
        self.fail_chain(call.src, call.chain, text)
        if call.reply_to:
            self.free(call.src, call.reply_to, DEAD, [code, text])

    def reply(self, call: Call, head: list[Any], value: bytes = b"") -> None:
        """The only answer (6.2)."""
        with self.lock:
            call.runs = False
        body = encode(head) + value
        if len(body) > self.limit:
            self.turn_away(call, TOO_LARGE, "the answer is over the limit")
        elif call.reply_to:
            self.charged(call.src, call.reply_to, NOBODY, body, REPLIES, lambda: call.reply_to != NOBODY)

    def on_cancel(self, frame: Frame) -> None:
        """Nobody waits for a call any more (6.5)."""
        named = self.decoded(frame, lambda body: (body.array(2), body.u32(), body.u32()))
        if named is None or named[1] != frame.src:
            return
        part = self.parts.get((frame.src, CALL))
        if part and part[1] == named[2]:
            del self.parts[frame.src, CALL]
            text, body = "it was cancelled before it had arrived", Reader(bytes(part[2]))
            try:
                *_, chain, ends = read_head(body)
                self.refuse_ends(frame.src, ends)
                self.fail_chain(frame.src, chain, text)
            except Malformed:
                pass  # Not all of it has come.
            return self.free(frame.src, named[2], DEAD, [CANCELLED, text])
        for call in [*self.calls, *filter(None, [self.running])]:
            if (call.src, call.reply_to) == (frame.src, named[2]):
                call.cancelled = True
                if call is not self.running:
                    self.calls.remove(call)
                    self.give_back(call.src, CALLS, call.cost)
                    self.turn_away(call, CANCELLED, "it was cancelled before it ran")
                    self.refuse_ends(call.src, call.ends)
        self.forget_over()

    # Streams.

    def open_stream(self, stream: Stream) -> int:
        """Gives a new end its handle."""
        with self.lock:
            self.streams[handle := self.new_handle()] = stream
            return handle

    def take_end(self, call: Call, receives: bool) -> tuple[int, Stream]:
        """The end of a stream that is the next value of an argument (6.1, 7.1): our handle for it, which is open now."""
        place = call.arguments.u32()
        home, theirs, direction = call.ends[place] if place < len(call.ends) else (0, 0, 2)
        if direction != int(receives) or theirs < 1000 or home != call.src and call.src not in self.ancestors:
            raise Malformed("no such end")
        call.ends[place] = (home, 0, direction)  # It is taken.
        handle = self.open_stream(stream := Stream(home, theirs, receives))
        self.free(home, theirs, handle, 0)
        return handle, stream

    def receive(self, call: Call) -> Iterator[Reader]:
        """The items of the stream whose end is the only argument."""
        handle, stream = self.take_end(call, receives=True)
        call.arguments.end()
        try:
            while True:
                with self.lock:
                    self.lock.wait_for(lambda: stream.items or stream.they_closed or call.is_over(), call.left())
                    if call.is_over():
                        raise RuntimeError("it was cancelled")
                    if not stream.items:
                        break
                    item, cost = stream.items.popleft()
                    self.give_back(stream.peer, (2, handle), cost)
                yield Reader(item)
            if stream.fault is not None:
                raise RuntimeError(stream.fault)
        finally:
            self.close_stream(handle)

    def feed(self, handle: int, items: Iterator[Any]) -> None:
        """Sends the items of a stream to whoever holds its other end, once that one has shown itself (7.2)."""
        stream = self.streams[handle]
        with self.lock:
            self.lock.wait_for(lambda: stream.theirs is not None or stream.they_closed)
        goes = lambda: not stream.they_closed and not stream.we_closed
        for item in items:
            if not goes():
                break
            body = encode([1, []]) + encode(item)
            self.charged(stream.peer, stream.theirs or 0, handle, body, (2, stream.theirs), goes)
        self.close_stream(handle)

    def on_stream(self, frame: Frame, stream: Stream) -> None:
        """A frame of a stream, from whoever has its other end (7.2)."""
        known = stream.theirs in (None, frame.reply_to)
        if frame.reply_to == NOBODY:
            return
        if frame.src != stream.peer or not known:
            return self.refuse(frame, NO_HANDLE, "another context has the other end")
        if stream.they_closed:
            return
        try:
            body = Reader(frame.body)
            kind, fields = (1, 1) if frame.part else body.variant()
            if (kind, fields) not in ((0, 0), (1, 1), (2, 0), (3, 1)) or kind == 1 and not stream.receives:
                raise Malformed("no frame of a stream")
            stream.theirs = frame.reply_to
            if kind == 1 and (arrived := self.whole(frame, (2, frame.handle))):
                item = Reader(arrived[0])
                if item.variant() != (1, 1):
                    raise Malformed("no item")
                ends = item.items(lambda: read_end(item))
                self.refuse_ends(frame.src, ends)
                if not stream.we_closed:
                    stream.items.append((arrived[0][item.at :], arrived[1]))
            elif kind != 1:
                stream.fault = body.text() if kind == 3 else stream.fault
                if kind != 0:
                    stream.they_closed = True
                    self.close_stream(frame.handle)
        except Malformed:
            self.break_stream(frame.handle, "a frame of it could not be read")

    def spoil(self, frame: Frame, code: int, text: str) -> None:
        super().spoil(frame, code, text)
        stream = self.streams.get(frame.handle)
        if stream and (stream.peer, stream.theirs) == (frame.src, frame.reply_to):
            self.break_stream(frame.handle, text)

    def break_stream(self, handle: int, why: str) -> None:
        """A stream that cannot go on: both ends learn it."""
        stream = self.streams[handle]
        stream.they_closed, stream.fault = True, why
        self.close_stream(handle, [3, why])

    def close_stream(self, handle: int, how: Any = 2) -> None:
        """Says once that this side is done; the handle is free when both are (7.3)."""
        with self.lock:
            stream = self.streams.get(handle)
            if stream is None:
                return
            if not stream.we_closed and stream.theirs is not None:
                stream.we_closed = True
                self.free(stream.peer, stream.theirs, handle, how)
            if stream.they_closed and (stream.we_closed or stream.theirs is None):
                del self.streams[handle]
                self.sending.pop((stream.peer, (2, stream.theirs)), None)
                self.receiving.pop((stream.peer, (2, handle)), None)
            self.lock.notify_all()

    def refuse_ends(self, giver: int, ends: list[tuple[int, int, int]]) -> None:
        """Ends that came and nobody took: their homes learn it (7.1)."""
        for home, handle, _ in ends:
            if handle >= 1000 and (home == giver or giver in self.ancestors):
                self.free(home, handle, DEAD, [GONE, "nobody took this end"])

    def on_dead(self, frame: Frame) -> None:
        """A dead message ends a stream of whom it speaks for too (6.4, 7.3)."""
        super().on_dead(frame)
        stream = self.streams.get(frame.handle)
        if stream and stream.peer == frame.src:
            code = self.decoded(frame, lambda body: (body.array(2), body.u32(), body.text()))
            if code and code[1] == GONE and frame.auth == frame.src and stream.is_home and stream.theirs:
                return  # Its holder has opened it, and so has taken it (7.1).
            stream.they_closed, stream.fault = True, "the other end is gone"
            self.close_stream(frame.handle)

    # Logs.

    def log(self, level: int, target: str, text: str) -> None:
        """A record for the root, if it wants such (6.7)."""
        if level <= self.log_level:
            for line in text.splitlines() or [""]:
                body = encode([level, cut(target, 256), cut(line, 8192)])
                self.charged(self.ancestors[-1], FORWARD_LOG, NOBODY, body, CALLS, lambda: True)

    def capture(self, fd: int, target: str) -> None:
        """What is written to a descriptor from now on becomes records (1.4)."""
        ours, theirs = os.pipe()
        os.dup2(theirs, fd)
        os.close(theirs)

        def forward() -> None:
            with open(ours, errors="replace") as lines:
                while line := lines.readline(8192):
                    self.log(3, target, line.rstrip("\n"))

        threading.Thread(target=forward, daemon=True).start()
