"""Mitogen, asked the questions of the bench."""
import collections
import sys
import threading

import mitogen.core
import mitogen.utils

import mitogen_remote as remote
from questions import answer, median_seconds, memory, now

places = {}
many = []


def place(router, hops):
    """A context with so many between; made once."""
    if hops not in places:
        at = None
        for _ in range(hops + 1):
            at = router.local(python_path=sys.executable, **({'via': at} if at else {}))
        at.call(remote.noop)
        places[hops] = at
    return places[hops]


def table(router):
    def round_trip(hops, n):
        at, n = place(router, int(hops)), int(n)
        begun = now()
        for _ in range(n):
            at.call(remote.noop)
        return 1e6 * (now() - begun) / n

    def calls(hops, n, in_flight):
        at, n, in_flight = place(router, int(hops)), int(n), int(in_flight)
        waiting = collections.deque()
        begun = now()
        for _ in range(n):
            if len(waiting) == in_flight:
                waiting.popleft().get().unpickle()
            waiting.append(at.call_async(remote.noop))
        for one in waiting:
            one.get().unpickle()
        return n / (now() - begun)

    def bulk(hops, way, size, count):
        at, size, count = place(router, int(hops)), int(size), int(count)
        # Messages as they are, without pickle: its fastest way. It has no flow control for them.
        if way == 'up':
            receiver = mitogen.core.Receiver(router)
            begun = now()
            done = at.call_async(remote.source, receiver.to_sender(), size, count)
            total = sum(len(receiver.get().data) for _ in range(count))
            took = now() - begun
            done.get().unpickle()
            receiver.close()
        else:
            handle = at.call(remote.open_sink)
            data = b'x' * size
            begun = now()
            done = at.call_async(remote.drain, handle, count)
            for _ in range(count):
                at.send(mitogen.core.Message(data=data, handle=handle))
            total = done.get().unpickle()
            took = now() - begun
        assert total == size * count
        return total / 1e6 / took

    def start(n, way=router.local, **words):
        def one():
            begun = now()
            at = way(python_path=sys.executable, **words)
            at.call(remote.noop)
            took = now() - begun
            at.shutdown(wait=True)
            return took
        return 1e3 * median_seconds(int(n), one)

    def start_ssh(n, config):
        # What it would set itself is in the configuration.
        return start(n, router.ssh, hostname='far', ssh_args=['-F', config], check_host_keys='ignore')

    def leaf_memory(what):
        return memory(place(router, 0).call(remote.pid))[what]

    def latch(n):
        n, there, back = int(n), mitogen.core.Latch(), mitogen.core.Latch()

        def other():
            for _ in range(n):
                back.put(there.get())
        thread = threading.Thread(target=other)
        thread.start()
        begun = now()
        for number in range(n):
            there.put(number)
            back.get()
        took = now() - begun
        thread.join()
        return 1e6 * took / n

    def create(n):
        begun = now()
        many.extend(router.local(python_path=sys.executable) for _ in range(int(n)))
        return 1e3 * (now() - begun)

    def broadcast():
        begun = now()
        for one in [at.call_async(remote.noop) for at in many]:
            one.get().unpickle()
        return 1e6 * (now() - begun) / len(many)

    def end():
        begun = now()
        for ending in [at.shutdown(wait=False) for at in many]:
            ending.get()
        many.clear()
        return 1e3 * (now() - begun)

    return {'round_trip': round_trip, 'calls': calls, 'bulk': bulk, 'start': start, 'start_ssh': start_ssh, 'memory': leaf_memory,
            'latch': latch, 'create': create, 'broadcast': broadcast, 'end': end}


@mitogen.utils.run_with_router
def main(router):
    answer(table(router))
