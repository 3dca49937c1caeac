# SPDX-License-Identifier: MIT
"""The benchmark: each contender delivers, and what is not what was sent is found."""

from __future__ import annotations

import contextlib
import io
import json
import sys
from pathlib import Path

from support import Case

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import bench  # noqa: E402


class Corrupting(bench.Pipe):
    """Sends one wrong bit to the child, or to the parent."""

    name = "corrupting"
    from_parent = True
    bit_of = 9  # which message

    def open(self, out: int) -> None:
        super().open(out)
        self.left = self.bit_of if self.from_parent == (out == 0) else 0

    def send(self, data: bytes) -> None:
        self.left -= 1
        if self.left == 0:
            data = data[:-1] + bytes([data[-1] ^ 1])
        super().send(data)


class CorruptingBack(Corrupting):
    from_parent = False


class Repeating(bench.Pipe):
    """Whose parent sends the message before."""

    before = b""

    def open(self, out: int) -> None:
        super().open(out)
        self.repeats = out == 0

    def send(self, data: bytes) -> None:
        super().send(self.before or data)
        self.before = data if self.repeats else b""


class CorruptingQueue(bench.Queue):
    def open(self, out: int) -> None:
        super().open(out)
        if out == 0:
            put = self.send
            self.send = lambda data: put(bytes(len(data)))  # type: ignore[method-assign]


class Bench(Case):
    def printed(self, *arguments: str) -> str:
        with contextlib.redirect_stdout(io.StringIO()) as out:
            bench.main(["--seconds", "0", *arguments])
        return out.getvalue()

    def test_each_contender_delivers(self) -> None:
        said = json.loads(self.printed("--json"))
        self.assertIn("CPython", said["machine"])
        rows = said["rows"]
        self.assertEqual(len(rows), 2 * 3 * len(bench.CONTENDERS))
        for row in rows:
            self.assertGreater(row["ns"], 0)
            self.assertEqual(row["trials"], 1)
            if row["contender"] == bench.REFERENCE:
                self.assertEqual((row["p10"], row["ratio"], row["p90"]), (1, 1, 1))

    def test_the_summary(self) -> None:
        times = {("stream", 16, "x"): [float(i) for i in range(11)]}
        times[("stream", 16, bench.REFERENCE)] = [2.0] * 11
        row = bench.summary(times)[0]
        self.assertEqual((row["ns"], row["ratio"], row["p10"], row["p90"]), (5, 2.5, 0.5, 4.5))
        rows = [
            {**row, "pattern": pattern, "size": size, "contender": c.name}
            for pattern in bench.PATTERNS
            for size in bench.SIZES
            for c in bench.CONTENDERS
        ]
        with contextlib.redirect_stdout(io.StringIO()) as out:
            bench.show(rows)
        line = "| os.pipe" + " | 0.0 us; 2.50 (0.50 to 4.50)" * 3 + " |"
        self.assertEqual(out.getvalue().splitlines().count(line), 2)

    def test_what_is_wrong_is_found(self) -> None:
        for cls in (Corrupting, CorruptingBack, CorruptingQueue):
            for size in bench.SIZES:
                with self.subTest(cls.__name__, size=size), self.assertRaises(bench.Wrong):
                    bench.trial(cls, "round trip", size, 100)
        for cls in (Corrupting, Repeating, CorruptingQueue):
            with self.subTest(cls.__name__), self.assertRaises(bench.Wrong):
                bench.trial(cls, "stream", 1024, 1000)

    def test_a_view_is_compared_as_a_whole(self) -> None:
        expected = bytearray(range(100))
        bench.check(memoryview(bytes(range(100))), expected)
        for wrong in (bytes(range(99)), bytes(100), bytes(range(99)) + b"x"):
            with self.assertRaises(bench.Wrong):
                bench.check(memoryview(wrong), expected)
