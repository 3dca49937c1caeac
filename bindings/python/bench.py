# SPDX-License-Identifier: MIT
"""sluice beside what Python has itself, between two processes: round trips and a stream.

In each round the contenders take turns in random order; what is compared is the ratio to
multiprocessing.Pipe in the same round. Every payload is checked as a whole. Needs the standard
library and sluice. doc/python.md shows a run.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import random
import re
import signal
import socket
import statistics
import sys
import time
from collections import deque
from collections.abc import Sequence
from contextlib import ExitStack
from itertools import count
from typing import Any

import sluice

SIZES = (16, 1024, 64 * 1024)
PATTERNS = ("round trip", "stream")
RING = 1 << 18
LEAST = 16  # messages of a trial
TRIAL_S = 0.02
HANGS_S = 30
REFERENCE = "multiprocessing.Pipe"
PAYLOADS = 7  # different ones: a lost message is found, and one that came twice

_numbers = count()


class Wrong(Exception):
    """What was received is not what was sent."""


class Contender:
    """Two directions, [0] to the child and [1] to the parent. Made before the fork."""

    name = ""

    def open(self, out: int) -> None:
        """In each process, which sends in the direction `out`."""

    def send(self, data: bytes) -> None:
        raise NotImplementedError

    def receive(self, expected: bytearray) -> None:
        raise NotImplementedError

    def close(self) -> None:
        """In each process."""

    def remove(self) -> None:
        """In the parent, at last."""


def check(data: Any, expected: bytearray) -> None:
    if expected != data:  # of a bytearray this is memcmp(), also of a view
        raise Wrong(f"{len(data)} bytes, not those that were sent")


class Sluice(Contender):
    name = "sluice, recv"

    def __init__(self, size: int) -> None:
        number = next(_numbers)
        names = [f"python-bench-{os.getpid()}-{number}-{i}" for i in range(2)]
        self.queues = [sluice.Queue(name).create(capacity=RING) for name in names]

    def open(self, out: int) -> None:
        self.producer = sluice.Producer(self.queues[out].name)
        self.consumer = sluice.Consumer(self.queues[1 - out].name)
        self.send = self.producer.send  # type: ignore[method-assign,assignment]

    def receive(self, expected: bytearray) -> None:
        check(self.consumer.recv(), expected)

    def close(self) -> None:
        self.producer.close()
        self.consumer.close()

    def remove(self) -> None:
        for queue in self.queues:
            queue.remove()


class SluicePeek(Sluice):
    name = "sluice, peek"

    def receive(self, expected: bytearray) -> None:
        with self.consumer.peek() as message:
            check(message.data, expected)


class SluiceMany(Sluice):
    """A stream in batches of 32, or half a ring; a round trip is as without them."""

    name = "sluice, batches"

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.at_once = min(32, RING // 2 // size)

    def open(self, out: int) -> None:
        super().open(out)
        self.out: list[bytes] = []
        self.got: deque[bytes] = deque()
        self.send = self.collect  # type: ignore[method-assign]

    def collect(self, data: bytes) -> None:
        self.out.append(data)
        if len(self.out) == self.at_once:
            self.flush()

    def flush(self) -> None:
        if self.out:
            self.producer.send_many(self.out)
            self.out = []

    def receive(self, expected: bytearray) -> None:
        if not self.got:
            self.flush()
            self.got.extend(self.consumer.recv_many(self.at_once))
        check(self.got.popleft(), expected)

    def close(self) -> None:
        try:
            self.flush()
        finally:
            super().close()


class Pipe(Contender):
    name = REFERENCE

    def __init__(self, size: int) -> None:
        self.ends = multiprocessing.Pipe()

    def open(self, out: int) -> None:
        self.ends[1 - out].close()
        self.end = self.ends[out]

    def send(self, data: bytes) -> None:
        self.end.send_bytes(data)

    def receive(self, expected: bytearray) -> None:
        check(self.end.recv_bytes(), expected)

    def close(self) -> None:
        self.end.close()


class Queue(Contender):
    name = "multiprocessing.Queue"

    def __init__(self, size: int) -> None:
        self.queues: list[Any] = [multiprocessing.Queue(), multiprocessing.Queue()]

    def open(self, out: int) -> None:
        self.send = self.queues[out].put  # type: ignore[method-assign]
        self.get = self.queues[1 - out].get

    def receive(self, expected: bytearray) -> None:
        check(self.get(), expected)

    def close(self) -> None:
        for queue in self.queues:
            queue.close()
            queue.join_thread()


class Descriptors(Contender):
    name = "os.pipe"

    def __init__(self, size: int) -> None:
        self.size = size
        self.pipes = [os.pipe(), os.pipe()]

    def open(self, out: int) -> None:
        self.fds = (self.pipes[1 - out][0], self.pipes[out][1])
        os.close(self.pipes[out][0])
        os.close(self.pipes[1 - out][1])

    def send(self, data: bytes) -> None:
        sent = os.write(self.fds[1], data)
        while sent < len(data):
            sent += os.write(self.fds[1], data[sent:])

    def receive(self, expected: bytearray) -> None:
        data = os.read(self.fds[0], self.size)
        while len(data) < self.size:
            more = os.read(self.fds[0], self.size - len(data))
            if not more:
                break
            data += more
        check(data, expected)

    def close(self) -> None:
        for fd in self.fds:
            os.close(fd)


class Socket(Contender):
    name = "AF_UNIX, SOCK_SEQPACKET"

    def __init__(self, size: int) -> None:
        self.size = size
        self.ends = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)

    def open(self, out: int) -> None:
        self.ends[1 - out].close()
        self.end = self.ends[out]
        self.send = self.end.send  # type: ignore[method-assign,assignment]

    def receive(self, expected: bytearray) -> None:
        check(self.end.recv(self.size), expected)

    def close(self) -> None:
        self.end.close()


CONTENDERS: tuple[type[Any], ...] = (
    Sluice,
    SluicePeek,
    SluiceMany,
    Pipe,
    Queue,
    Descriptors,
    Socket,
)


# ---- A trial


def payloads(size: int) -> list[bytes]:
    return [random.Random(i).randbytes(size) for i in range(PAYLOADS)]


def serve(contender: Contender, pattern: str, n: int, sent: list[bytes]) -> None:
    """The child's part. What is wrong is answered with what is wrong."""
    expected = [bytearray(data) for data in sent]
    answers = sent
    contender.send(sent[0])  # it is there
    for i in range(n):
        try:
            contender.receive(expected[i % PAYLOADS])
        except Wrong:
            answers = [bytes(len(data)) for data in sent]
        if pattern == "round trip":
            contender.send(answers[i % PAYLOADS])
    if pattern == "stream":
        contender.send(answers[0])


def measure(contender: Contender, pattern: str, n: int, sent: list[bytes]) -> float:
    """The parent's part: nanoseconds for each message."""
    expected = [bytearray(data) for data in sent]
    contender.receive(expected[0])
    begin = time.perf_counter_ns()
    for i in range(n):
        contender.send(sent[i % PAYLOADS])
        if pattern == "round trip":
            contender.receive(expected[i % PAYLOADS])
    if pattern == "stream":
        contender.receive(expected[0])
    return (time.perf_counter_ns() - begin) / n


def child(contender: Contender, pattern: str, n: int, sent: list[bytes]) -> None:
    """Does not return."""
    code = 1
    try:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(HANGS_S)
        contender.open(1)
        serve(contender, pattern, n, sent)
        contender.close()
        code = 0
    except Exception as error:
        print(f"{contender.name}: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
    finally:
        os._exit(code)


def hangs(*_: object) -> None:
    raise TimeoutError(f"nothing for {HANGS_S} s")


def trial(cls: type[Any], pattern: str, size: int, n: int) -> float:
    """Nanoseconds for each message. Wrong: a payload was not what was sent, in either process."""
    sent = payloads(size)
    contender = cls(size)
    with ExitStack() as stack:
        stack.callback(contender.remove)
        pid = os.fork()
        if pid == 0:
            child(contender, pattern, n, sent)
        failed = True

        def reap() -> None:
            signal.alarm(0)
            signal.signal(signal.SIGALRM, before)
            if failed:
                os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)

        before = signal.signal(signal.SIGALRM, hangs)
        signal.alarm(HANGS_S)
        try:
            contender.open(0)
            stack.callback(contender.close)
            ns = measure(contender, pattern, n, sent)
            failed = False
        finally:
            reap()
    return ns


# ---- Rounds


def calibrate(cls: type[Any], pattern: str, size: int, trial_s: float) -> int:
    """How many messages take about so long."""
    n = LEAST
    while True:
        # The best of some, so that one that was preempted does not make all others short.
        seconds = min(trial(cls, pattern, size, n) for _ in range(3)) * n / 1e9
        if seconds >= trial_s / 2:
            return max(LEAST, int(n * trial_s / seconds))
        n *= 4


Times = dict[tuple[str, int, str], list[float]]


def run(seconds: float) -> Times:
    cells = [(pattern, size) for pattern in PATTERNS for size in SIZES]
    trial_s = min(TRIAL_S, seconds / 200)
    end = time.monotonic() + seconds
    n = {(c, *cell): calibrate(c, *cell, trial_s) for cell in cells for c in CONTENDERS}
    times: Times = {(*cell, c.name): [] for cell in cells for c in CONTENDERS}
    while True:
        for cell in random.sample(cells, len(cells)):
            for c in random.sample(CONTENDERS, len(CONTENDERS)):
                times[(*cell, c.name)].append(trial(c, *cell, n[(c, *cell)]))
        if time.monotonic() >= end:
            return times


def summary(times: Times) -> list[dict[str, Any]]:
    rows = []
    for (pattern, size, name), ns in times.items():
        ratios = sorted(a / b for a, b in zip(ns, times[(pattern, size, REFERENCE)]))
        last = len(ratios) - 1
        rows.append(
            {
                "pattern": pattern,
                "size": size,
                "contender": name,
                "ns": statistics.median(ns),
                "ratio": statistics.median(ratios),
                "p10": ratios[round(last * 0.1)],
                "p90": ratios[round(last * 0.9)],
                "trials": len(ratios),
            }
        )
    return rows


def machine() -> str:
    with open("/proc/cpuinfo") as file:
        text = file.read()
    words = ("model name", "cpu family", "model", "stepping")
    found = {w: re.search(rf"^{w}\s*: (.*)$", text, re.M) for w in words}
    processor = ", ".join(f"{w} {m[1]}" for w, m in found.items() if m)
    return (
        f"{processor or platform.machine()}; {os.cpu_count()} processors; Linux "
        f"{platform.release()}; {platform.python_implementation()} {platform.python_version()}; "
        f"sluice {sluice.__version__}"
    )


def show(rows: list[dict[str, Any]]) -> None:
    by = {(r["pattern"], r["size"], r["contender"]): r for r in rows}
    for pattern in PATTERNS:
        print(f"\n| {pattern} | " + " | ".join(f"{size} B" for size in SIZES) + " |")
        print("|---" * (len(SIZES) + 1) + "|")
        for c in CONTENDERS:
            print(f"| {c.name}", end="")
            for size in SIZES:
                r = by[(pattern, size, c.name)]
                print(f" | {r['ns'] / 1000:.1f} us; {r['ratio']:.2f}", end="")
                print(f" ({r['p10']:.2f} to {r['p90']:.2f})", end="")
            print(" |")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="sluice beside what Python has itself")
    parser.add_argument("--seconds", type=float, default=60, help="of all rounds; 60")
    parser.add_argument("--json", action="store_true", help="in place of tables")
    args = parser.parse_args(arguments)
    rows = summary(run(args.seconds))
    if args.json:
        said = {"machine": machine(), "seconds": args.seconds, "rows": rows}
        print(json.dumps(said, indent=1))
        return
    print(machine())
    print(
        f"{rows[0]['trials']} rounds. The median time of a message; the median, p10 and p90 of "
        f"its ratio to {REFERENCE} in the same round: below 1 is faster."
    )
    show(rows)


if __name__ == "__main__":
    main()
