#!/usr/bin/env python3
"""A leaf of offshoot that shares no code with it, after docs/protocol.md: what it serves, and its beginning.

Its frames and bodies are in wire.py, its link in link.py, bodies in pieces in parts.py, its own calls in asks.py, all else
that a context does in context.py. The numbers in comments are clauses of the document.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any, NoReturn

sys.dont_write_bytecode = True  # Nothing is left behind.

from asks import Call  # noqa: E402
from context import Function, Leaf  # noqa: E402
from wire import LinkEnded, Reader  # noqa: E402


def argument(call: Call, take: Callable[[Reader], Any]) -> Any:
    """The only argument of a call."""
    value = take(call.arguments)
    call.arguments.end()
    return value


def add(_leaf: Leaf, call: Call) -> int:
    """Adds two numbers."""
    body = call.arguments
    body.array(2)
    return body.i64() + argument(call, Reader.i64)


def fail(_leaf: Leaf, call: Call) -> NoReturn:
    """Fails with this text."""
    raise RuntimeError(argument(call, Reader.text))


def total(leaf: Leaf, call: Call) -> int:
    """Adds up what comes."""
    total = 0
    for item in leaf.receive(call):
        total += item.u64()
        item.end()
    return total


def feed(leaf: Leaf, call: Call) -> None:
    """Sends so many numbers into the end of a stream."""
    call.arguments.array(2)
    handle, _ = leaf.take_end(call, receives=False)
    leaf.feed(handle, iter(range(argument(call, Reader.u64))))


def ask(leaf: Leaf, call: Call) -> str:
    """Asks another context for its name."""
    return leaf.ask(call, argument(call, Reader.u32), "name", None, Reader.text)


def wait_for(leaf: Leaf, call: Call) -> None:
    """Makes another context work so many milliseconds, and waits for it."""
    call.arguments.array(2)
    whom = call.arguments.u32()
    leaf.ask(call, whom, "work", argument(call, Reader.u64), Reader.null)


def work(leaf: Leaf, call: Call) -> None:
    """Takes so many milliseconds, unless it is cancelled."""
    seconds, left = argument(call, Reader.u64) / 1000, call.left()
    with leaf.lock:
        leaf.lock.wait_for(call.is_over, seconds if left is None else min(seconds, left))
        if call.is_over():
            raise RuntimeError("it was cancelled")


def shell(_leaf: Leaf, call: Call) -> int:
    """Runs a line of shell; its exit status."""
    return subprocess.run(["sh", "-c", argument(call, Reader.text)], check=False).returncode


FUNCTIONS: dict[str, tuple[Function, bool]] = {
    "add": (add, False),
    "echo": (lambda _, call: argument(call, Reader.text), False),
    "echo_bytes": (lambda _, call: argument(call, Reader.blob), False),
    "fail": (fail, False),
    "count": (lambda _, call: iter(range(argument(call, Reader.u64))), False),
    "sum": (total, False),
    "feed": (feed, False),
    "ask": (ask, False),
    "wait_for": (wait_for, False),
    "work": (work, False),
    "shell": (shell, False),
    "log": (lambda leaf, call: leaf.log(2, "tests", argument(call, Reader.text)), False),
    "name": (lambda leaf, call: (argument(call, Reader.null), leaf.name)[1], True),
}


def main() -> int:
    """Lives until the link is lost; `Leaf.finish` ends it where that was ordered."""
    try:
        leaf = Leaf(FUNCTIONS)
        threading.Thread(target=leaf.write, daemon=True).start()
        threading.Thread(target=leaf.work, daemon=True).start()
        leaf.capture(1, "stdout")
        leaf.capture(2, "stderr")
        leaf.serve()
    except LinkEnded as end:
        print(f"offshoot: {end}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    status = main()
    os._exit(status)
