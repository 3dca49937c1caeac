# SPDX-License-Identifier: MIT
"""Waiting: time, signals, threads, ends and successors."""

from __future__ import annotations

import os
import signal
import time
from typing import Any

import sluice
from support import Case


class Time(Case):
    def test_timeouts(self) -> None:
        producer, consumer = self.pair(capacity=4096)
        begin = time.monotonic()
        with self.assertRaises(TimeoutError):
            consumer.recv(0.15)
        self.assertGreaterEqual(time.monotonic() - begin, 0.15)
        with self.assertRaises(BlockingIOError):
            consumer.peek(0)
        with self.assertRaises(BlockingIOError):
            consumer.peek(-1)
        producer.send(b"x", timeout=float("inf"))
        self.assertEqual(consumer.recv(float("inf")), b"x")

    def test_a_message_ends_a_long_wait(self) -> None:
        producer, consumer = self.pair()
        received: list[bytes] = []
        thread = self.thread(lambda: received.append(consumer.recv()))
        self.until(lambda: sluice.Queue(self.name).stat().consumer.asleep)
        time.sleep(0.12)  # into the second slice
        producer.send(b"x")
        thread.join(10)
        self.assertEqual(received, [b"x"])


class Signals(Case):
    def waiting(self, call: str) -> Any:
        process = self.program(
            f"""
            import signal, sys, sluice
            signal.signal(signal.SIGUSR1, lambda *_: print("handled", flush=True))
            with sluice.Consumer(sys.argv[1]) as consumer, sluice.Group() as group:
                try:
                    print("ready", flush=True)
                    {call}
                except KeyboardInterrupt:
                    print("interrupted")
            """
        )
        self.assertEqual(process.stdout.readline(), "ready\n")
        return process

    def test_control_c_ends_a_wait(self) -> None:
        self.queue()
        for call in ("consumer.recv()", "consumer.wait_for_peer()", "group.serve(print)"):
            with self.subTest(call):
                process = self.waiting(call)
                if call == "consumer.recv()":
                    self.until(lambda: sluice.Queue(self.name).stat().consumer.asleep)
                begin = time.monotonic()
                process.send_signal(signal.SIGINT)
                self.assertEqual(process.communicate(timeout=10), ("interrupted\n", ""))
                self.assertLess(time.monotonic() - begin, 3)

    def test_a_handler_that_returns_does_not_end_it(self) -> None:
        self.queue()
        process = self.waiting("print(consumer.recv().decode())")
        self.until(lambda: sluice.Queue(self.name).stat().consumer.asleep)
        process.send_signal(signal.SIGUSR1)
        self.assertEqual(process.stdout.readline(), "handled\n")
        with sluice.Producer(self.name) as producer:
            producer.send(b"text")
            self.assertEqual(process.communicate(timeout=10), ("text\n", ""))

    def test_a_handler_may_close_what_waits(self) -> None:
        _, consumer = self.pair()
        before = signal.signal(signal.SIGALRM, lambda *_: consumer.close())
        self.addCleanup(signal.signal, signal.SIGALRM, before)
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        with self.assertRaises(sluice.HandleClosed):
            consumer.recv(10)

    def test_interrupt(self) -> None:
        _, consumer = self.pair()
        consumer.interrupt()
        with self.assertRaises(sluice.Interrupted):
            consumer.recv(10)
        before = signal.signal(signal.SIGALRM, lambda *_: consumer.interrupt())
        self.addCleanup(signal.signal, signal.SIGALRM, before)
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        with self.assertRaises(sluice.Interrupted):
            consumer.recv(10)
        consumer.close()
        with self.assertRaises(sluice.HandleClosed):
            consumer.interrupt()


class Threads(Case):
    def test_close_ends_the_wait_of_another_thread(self) -> None:
        _, consumer = self.pair()
        raised: list[BaseException] = []

        def wait() -> None:
            try:
                consumer.recv()
            except sluice.HandleClosed as error:
                raised.append(error)

        thread = self.thread(wait)
        self.until(lambda: sluice.Queue(self.name).stat().consumer.asleep)
        consumer.close()
        thread.join(10)
        self.assertEqual(len(raised), 1)
        with self.assertRaises(ValueError):
            consumer.recv()

    def test_the_gil_is_free_and_a_second_thread_has_its_time(self) -> None:
        producer, consumer = self.pair()
        self.thread(lambda: consumer.recv())
        self.until(lambda: sluice.Queue(self.name).stat().consumer.asleep)
        with self.assertRaises(sluice.Timeout):
            consumer.recv(0.05)
        with self.assertRaises(sluice.WouldBlock):
            consumer.recv(0)
        producer.send(b"x")

    def test_several_threads_send(self) -> None:
        producer, consumer = self.pair(capacity=4096)

        def send(number: int) -> None:
            for _ in range(100):
                producer.send_long(bytes([number]) * 5000)

        for number in range(3):
            self.thread(lambda number=number: send(number))  # type: ignore[misc]
        counts = [0, 0, 0]
        for _ in range(300):
            data = consumer.recv(10)
            self.assertEqual(data, data[:1] * 5000)
            counts[data[0]] += 1
        self.assertEqual(counts, [100, 100, 100])


class Ends(Case):
    def test_a_loop_ends_with_its_producer(self) -> None:
        producer, consumer = self.pair()
        producer.send_many([b"1", b"2"])
        producer.close()
        self.assertEqual(list(consumer), [b"1", b"2"])

    def test_an_end_is_told_once_then_a_successor_is_waited_for(self) -> None:
        producer, consumer = self.pair()
        producer.close()
        with self.assertRaises(EOFError):
            consumer.recv()
        begin = time.monotonic()
        with self.assertRaises(sluice.EndOfStream):  # in the place of Timeout
            consumer.recv(0.25)
        self.assertGreaterEqual(time.monotonic() - begin, 0.25)
        with self.assertRaises(sluice.EndOfStream):
            consumer.recv(0)

        def succeed() -> None:
            time.sleep(0.25)
            with sluice.Producer(self.name) as other:
                other.send(b"of the next")

        self.thread(succeed)
        self.assertEqual(consumer.recv(10), b"of the next")
        with self.assertRaises(sluice.EndOfStream):
            consumer.recv(10)

    def test_the_end_of_a_successor_without_a_message_is_told(self) -> None:
        producer, consumer = self.pair()
        producer.close()
        with self.assertRaises(sluice.EndOfStream):
            consumer.recv()
        sluice.Producer(self.name).close()
        begin = time.monotonic()
        with self.assertRaises(sluice.EndOfStream):
            consumer.recv(10)
        self.assertLess(time.monotonic() - begin, 5)

    def test_a_producer_is_told_and_fills_the_ring_for_a_successor(self) -> None:
        producer, consumer = self.pair(capacity=4096)
        consumer.close()
        told = 0
        while told < 2:
            try:
                producer.send(bytes(500), timeout=0.01)
            except sluice.PeerClosed as error:
                self.assertNotIsInstance(error, sluice.EndOfStream)
                told += 1
        with sluice.Consumer(self.name) as consumer:
            self.thread(lambda: producer.send(b"last", timeout=10))
            while consumer.recv(10) != b"last":
                pass

    def test_death_is_told(self) -> None:
        self.queue()
        process = self.program(
            """
            import sys, sluice
            producer = sluice.Producer(sys.argv[1])
            producer.send(b"last words")
            sys.stdin.read()
            """
        )
        with sluice.Consumer(self.name) as consumer:
            self.assertEqual(consumer.recv(10), b"last words")
            process.kill()
            with self.assertRaises(sluice.PeerDied) as caught:
                consumer.recv(10)
            self.assertIsInstance(caught.exception, ConnectionError)

    def test_wait_for_peer(self) -> None:
        self.queue()
        with sluice.Consumer(self.name) as consumer:
            with self.assertRaises(sluice.WouldBlock):
                consumer.wait_for_peer(0)
            with self.assertRaises(sluice.Timeout):
                consumer.wait_for_peer(0.15)
            with sluice.Producer(self.name) as producer:
                consumer.wait_for_peer(10)
                producer.wait_for_peer(10)

    def test_a_queue_that_is_removed(self) -> None:
        queue = sluice.Queue(self.name).create()
        with sluice.Consumer(self.name) as consumer:
            thread = self.thread(lambda: (time.sleep(0.05), queue.remove()))
            with self.assertRaises(sluice.QueueRemoved):
                consumer.recv(10)
            thread.join()
