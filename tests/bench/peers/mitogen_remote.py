"""What runs in children of Mitogen; its importer brings it there."""
import os

import mitogen.core

sinks = {}


def noop():
    return None


def pid():
    return os.getpid()


@mitogen.core.takes_router
def open_sink(router):
    receiver = mitogen.core.Receiver(router)
    sinks[receiver.handle] = receiver
    return receiver.handle


def drain(handle, count):
    receiver = sinks.pop(handle)
    total = sum(len(receiver.get().data) for _ in range(count))
    receiver.close()
    return total


def source(sender, size, count):
    data = b'x' * size
    for _ in range(count):
        sender.context.send(mitogen.core.Message(data=data, handle=sender.dst_handle))
