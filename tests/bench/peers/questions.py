"""Reads questions from stdin, one a line, and answers each with `is FIGURE` or `no REASON`."""
import os
import statistics
import sys
import time

now = time.perf_counter


class No(Exception):
    """The peer has nothing of the kind."""


def memory(pid):
    """The figures of a process, in KiB."""
    with open('/proc/%d/smaps_rollup' % pid) as lines:
        words = [line.split() for line in lines]
    return {line[0].rstrip(':'): int(line[1]) for line in words if line[-1] == 'kB'}


def median_seconds(n, one):
    """The median of n values."""
    return statistics.median(one() for _ in range(n))


def answer(table):
    """Until the end of the input."""
    # What others print must not get between the answers.
    out = os.fdopen(os.dup(1), 'w', buffering=1)
    os.dup2(2, 1)
    for line in sys.stdin:
        name, *words = line.split()
        try:
            if name not in table:
                raise No('it has nothing of the kind')
            out.write('is %r\n' % float(table[name](*words)))
        except No as reason:
            out.write('no %s\n' % reason)
        except Exception as error:
            out.write('no %s\n' % ' '.join(repr(error).split()))
