# SPDX-License-Identifier: MIT
"""What the tests share: a queue with a name of its own, and nothing left behind."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import threading
import time
import unittest
from collections.abc import Callable

import sluice


class Case(unittest.TestCase):
    def setUp(self) -> None:
        # A test that hangs shows where.
        self.name = self.id().rpartition(".")[2]
        self.addCleanup(self._nothing_is_left)

    def _nothing_is_left(self) -> None:
        left = os.listdir(os.environ["SLUICE_DIR"])
        for name in left:
            try:
                sluice.Queue(name).remove()
            except OSError:
                sluice.Client.remove(name)
        self.assertEqual(left, [])

    def queue(self, **options: int) -> sluice.Queue:
        queue = sluice.Queue(self.name).create(**options)
        self.addCleanup(queue.remove)
        return queue

    def pair(self, **options: int) -> tuple[sluice.Producer, sluice.Consumer]:
        self.queue(**options)
        producer, consumer = sluice.Producer(self.name), sluice.Consumer(self.name)
        self.addCleanup(consumer.close)
        self.addCleanup(producer.close)
        return producer, consumer

    def until(self, condition: Callable[[], object]) -> None:
        end = time.monotonic() + 10
        while not condition():
            self.assertLess(time.monotonic(), end, "waited in vain")
            time.sleep(0.001)

    def thread(self, function: Callable[[], object]) -> threading.Thread:
        thread = threading.Thread(target=function, daemon=True)
        thread.start()
        self.addCleanup(thread.join, 10)
        return thread

    def program(self, text: str) -> subprocess.Popen[str]:
        """Another process, which has the queue's name in sys.argv[1]."""
        process = subprocess.Popen(
            [sys.executable, "-W", "error", "-c", textwrap.dedent(text), self.name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

        def end() -> None:
            process.kill()
            process.communicate()

        self.addCleanup(end)
        return process
