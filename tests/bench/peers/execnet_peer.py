"""execnet, asked the questions of the bench."""
import sys

import execnet

from questions import No, answer, median_seconds, memory, now

ECHO = 'for item in channel: channel.send(item)'
SOURCE = '''
size, count = channel.receive()
data = b'x' * size
for _ in range(count):
    channel.send(data)
'''
SINK = '''
count = channel.receive()
channel.send(sum(len(channel.receive()) for _ in range(count)))
'''
PID = 'import os; channel.send(os.getpid())'

group = execnet.Group()
places = {}
many = []


def place(hops):
    """A gateway with so many between; made once."""
    if hops not in places:
        if hops > 1:
            raise No('it knows no chain of gateways')
        spec = 'popen' if hops == 0 else 'popen//via=%s' % place(0).id
        places[hops] = group.makegateway(spec)
    return places[hops]


def round_trip(hops, n):
    n, channel = int(n), place(int(hops)).remote_exec(ECHO)
    channel.send(1)
    channel.receive()
    begun = now()
    for _ in range(n):
        channel.send(1)
        channel.receive()
    took = now() - begun
    channel.close()
    return 1e6 * took / n


def calls(hops, n, in_flight):
    n, in_flight, channel = int(n), int(in_flight), place(int(hops)).remote_exec(ECHO)
    begun = now()
    for number in range(n):
        if number >= in_flight:
            channel.receive()
        channel.send(1)
    for _ in range(min(n, in_flight)):
        channel.receive()
    took = now() - begun
    channel.close()
    return n / took


def bulk(hops, way, size, count):
    gateway, size, count = place(int(hops)), int(size), int(count)
    channel = gateway.remote_exec(SOURCE if way == 'up' else SINK)
    begun = now()
    if way == 'up':
        channel.send((size, count))
        total = sum(len(channel.receive()) for _ in range(count))
    else:
        channel.send(count)
        data = b'x' * size
        for _ in range(count):
            channel.send(data)
        total = channel.receive()
    took = now() - begun
    channel.waitclose()
    assert total == size * count
    return total / 1e6 / took


def start(n, spec='popen'):
    def one():
        own = execnet.Group()
        begun = now()
        own.makegateway(spec).remote_exec('channel.send(1)').receive()
        took = now() - begun
        own.terminate(1)
        return took
    return 1e3 * median_seconds(int(n), one)


def leaf_memory(what):
    return memory(place(0).remote_exec(PID).receive())[what]


def create(n):
    begun = now()
    many.extend(group.makegateway('popen') for _ in range(int(n)))
    return 1e3 * (now() - begun)


def broadcast():
    begun = now()
    for channel in [gateway.remote_exec('channel.send(None)') for gateway in many]:
        channel.receive()
    return 1e6 * (now() - begun) / len(many)


def start_ssh(n, config):
    return start(n, 'ssh=-F %s far//python=%s' % (config, sys.executable))


def end():
    begun = now()
    for gateway in many:
        gateway.exit()
    for gateway in many:
        gateway.join()
    many.clear()
    return 1e3 * (now() - begun)


answer({'round_trip': round_trip, 'calls': calls, 'bulk': bulk, 'start': start, 'start_ssh': start_ssh, 'memory': leaf_memory,
        'create': create, 'broadcast': broadcast, 'end': end})
group.terminate(1)
