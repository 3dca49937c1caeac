# SPDX-License-Identifier: MIT
"""One sender, several queues."""

from __future__ import annotations

import os
import signal
import threading
import time
import unittest.mock
from collections.abc import Callable

import sluice
from support import Case

N = 3


class Fanouts(Case):
    def opened(
        self, capacity: int = 1024, pollable: bool = False
    ) -> tuple[sluice.Fanout, list[sluice.Consumer]]:
        names = [f"{self.name}{i}" for i in range(N)]
        fanout = sluice.Fanout.open(names, create=True, capacity=capacity, pollable=pollable)
        consumers = []
        for name in names:
            self.addCleanup(sluice.Queue(name).remove)
            consumers.append(sluice.Consumer(name, pollable=pollable))
            self.addCleanup(consumers[-1].close)
        self.addCleanup(fanout.close)
        return fanout, consumers

    def received(self, consumers: list[sluice.Consumer]) -> list[list[bytes]]:
        return [self.drained(consumer) for consumer in consumers]

    def drained(self, consumer: sluice.Consumer) -> list[bytes]:
        return [consumer.recv(0) for _ in range(consumer.pending)]

    def fill(self, producer: sluice.Producer) -> None:
        while producer.offer(b""):
            pass

    def until_asleep(self, producer: sluice.Producer) -> None:
        assert producer.name is not None
        queue = sluice.Queue(producer.name)
        self.until(lambda: queue.stat().producer.asleep)

    def test_a_key_has_its_queue_and_keys_are_spread(self) -> None:
        fanout, consumers = self.opened(1 << 16)
        for key in list(range(300)) + [2**64 - 1]:
            fanout.send_key(key, b"%d" % key, tag=key % 7)
            fanout.send_key(key, b"%d" % key)
        got = self.received(consumers)
        for each in got:
            self.assertEqual(each[0::2], each[1::2])
            self.assertTrue(120 < len(each) < 280, len(each))
        self.assertEqual(sum(map(len, got)), 602)
        for key in (-1, 2**64):
            with self.assertRaisesRegex(ValueError, "a key is"):
                fanout.send_key(key, b"")
        with self.assertRaises(TypeError):
            fanout.send_key(1.5, b"")  # type: ignore[arg-type]

    def test_each_in_turn_which_is_kept_after_an_error(self) -> None:
        fanout, consumers = self.opened()
        for i in range(4):
            fanout.send_next(b"%d" % i, tag=i)
        self.assertEqual([c.recv_message(0).tag for c in consumers], [0, 1, 2])
        self.assertEqual(self.received(consumers), [[b"3"], [], []])
        self.fill(fanout.producers[1])
        with self.assertRaises(sluice.WouldBlock) as caught:
            fanout.send_next(b"4", timeout=0)
        names = ", ".join(str(p.name) for p in fanout.producers)
        self.assertEqual(caught.exception.filename, names)
        begin = time.monotonic()
        with self.assertRaises(sluice.Timeout):
            fanout.send_next(b"4", timeout=0.15)
        self.assertGreaterEqual(time.monotonic() - begin, 0.15)
        self.drained(consumers[1])
        fanout.send_next(b"5", timeout=0)
        self.assertEqual(self.received(consumers), [[], [b"5"], []])

    def test_the_first_that_has_room(self) -> None:
        fanout, consumers = self.opened()
        self.assertEqual([fanout.send_any(b"%d" % i) for i in range(4)], [0, 1, 2, 0])
        self.fill(fanout.producers[1])
        self.assertEqual(fanout.send_any(b"4", timeout=0), 2)
        for producer in fanout.producers:
            self.fill(producer)
        with self.assertRaises(sluice.WouldBlock):
            fanout.send_any(b"5", timeout=0)
        with self.assertRaises(sluice.Timeout):
            fanout.send_any(b"5", timeout=0.01)
        with self.assertRaises(sluice.MessageTooLong):
            fanout.send_any(bytes(2000))

    def test_room_in_any_is_waited_for(self) -> None:
        for pollable in (False, True):
            with self.subTest(pollable=pollable):
                fanout, consumers = self.opened(pollable=pollable)
                for producer in fanout.producers:
                    self.fill(producer)
                sent: list[int] = []
                thread = self.thread(lambda: sent.append(fanout.send_any(b"x", timeout=10)))
                if pollable:
                    self.until_asleep(fanout.producers[2])
                time.sleep(0.12)  # into the second slice
                self.drained(consumers[2])
                thread.join(10)
                self.assertEqual(sent, [2])
                self.doCleanups()

    def test_all_or_none(self) -> None:
        fanout, consumers = self.opened()
        fanout.send_all(bytearray(b"one"), tag=3)
        for consumer in consumers:
            received = consumer.recv_message(0)
            self.assertEqual((received.data, received.tag), (b"one", 3))
        self.fill(fanout.producers[2])
        for timeout, error in ((0, sluice.WouldBlock), (0.01, sluice.Timeout)):
            with self.assertRaises(error):
                fanout.send_all(b"two", timeout=timeout)
        self.assertEqual([c.pending for c in consumers[:2]], [0, 0])
        thread = self.thread(lambda: fanout.send_all(b"three", timeout=10))
        self.until_asleep(fanout.producers[2])
        self.drained(consumers[2])
        thread.join(10)
        self.assertEqual(self.received(consumers), [[b"three"]] * 3)

    def test_what_was_reserved_by_itself_is_not_lost(self) -> None:
        fanout, consumers = self.opened()
        with fanout.producers[1].reserve(3) as place:
            for send in (fanout.send_all, fanout.send_any, fanout.send_next):
                with self.assertRaises(sluice.InvalidArgument):
                    send(b"x")
            place.data[:] = b"abc"
            place.stage()
        fanout.send_all(b"x")
        self.assertEqual(self.received(consumers), [[b"x"], [b"abc", b"x"], [b"x"]])

    def test_the_end_of_a_consumer_is_told_when_its_queue_is_full(self) -> None:
        fanout, consumers = self.opened()
        consumers[0].close()
        fanout.send_all(b"x")
        self.fill(fanout.producers[0])
        for _ in range(2):
            with self.assertRaises(sluice.PeerClosed):
                fanout.send_all(b"x", timeout=10)
        self.assertEqual(fanout.send_any(b"x", timeout=10), 1)
        self.thread(lambda: (time.sleep(0.05), consumers.append(sluice.Consumer(self.name + "0"))))
        fanout.producers[0].wait_for_peer(10)
        self.until(lambda: len(consumers) == 4)
        self.drained(consumers[3])
        fanout.send_all(b"y", timeout=10)
        self.assertEqual(consumers[3].recv(0), b"y")
        consumers[3].close()

    def waits(self, fanout: sluice.Fanout, error: type[Exception]) -> threading.Thread:
        self.fill(fanout.producers[2])

        def wait() -> None:
            with self.assertRaises(error):
                fanout.send_all(b"x")
            ended.append(True)

        ended: list[bool] = []
        thread = self.thread(wait)
        self.addCleanup(lambda: self.assertEqual(ended, [True]))
        self.until_asleep(fanout.producers[2])
        return thread

    def test_interrupt_and_close_end_a_wait(self) -> None:
        fanout, _ = self.opened()
        thread = self.waits(fanout, sluice.Interrupted)
        fanout.interrupt()
        thread.join(10)
        with self.assertRaises(sluice.Timeout):  # once
            fanout.send_all(b"x", timeout=0.01)
        thread = self.waits(fanout, sluice.HandleClosed)
        fanout.producers[0].close()
        thread.join(10)
        self.assertFalse(fanout.closed)
        with self.assertRaises(sluice.HandleClosed):
            fanout.send_any(b"x")

    def test_control_c_ends_a_wait(self) -> None:
        self.queue(capacity=1024)
        process = self.program(
            """
            import sys, sluice
            with sluice.Fanout.open(sys.argv[1:], pollable=True) as fanout:
                try:
                    while True:
                        fanout.send_any(b"")
                except KeyboardInterrupt:
                    print("interrupted")
            """
        )
        self.until(lambda: sluice.Queue(self.name).stat().producer.asleep)
        process.send_signal(signal.SIGINT)
        self.assertEqual(process.communicate(timeout=10), ("interrupted\n", ""))

    def test_threads_that_share_producers_do_not_block_each_other(self) -> None:
        fanout, consumers = self.opened(1 << 16)
        other = sluice.Fanout(reversed(fanout.producers))

        def send(send_all: Callable[[bytes], None]) -> None:
            for _ in range(10):
                send_all(b"x")

        begin = sluice.Producer._begin

        def begin_slowly(producer: sluice.Producer, until: int) -> None:
            begin(producer, until)
            time.sleep(0.001)  # one thread is between the locks of the other

        patch = unittest.mock.patch.object(sluice.Producer, "_begin", begin_slowly)
        patch.start()
        self.addCleanup(patch.stop)
        threads = [
            self.thread(lambda: send(fanout.send_all)),
            self.thread(lambda: send(other.send_all)),
        ]
        for thread in threads:
            thread.join(20)
            self.assertFalse(thread.is_alive())
        self.assertEqual([len(each) for each in self.received(consumers)], [20] * 3)

    def test_a_child_of_fork_is_refused(self) -> None:
        fanout, consumers = self.opened()
        pid = os.fork()
        if pid == 0:
            try:
                fanout.send_next(b"x")
            except sluice.NotPermitted:
                os._exit(0)
            os._exit(1)
        self.assertEqual(os.waitpid(pid, 0)[1], 0)
        self.assertEqual(self.received(consumers), [[], [], []])

    def test_opening_and_closing(self) -> None:
        fanout, _ = self.opened()
        names = [str(p.name) for p in fanout.producers]
        self.assertEqual(repr(fanout), f"<sluice.Fanout {names}>")
        place = fanout.producers[0].reserve(1)
        part = place.data[:]
        with self.assertRaises(BufferError):
            fanout.close()
        self.assertEqual([p.closed for p in fanout.producers], [False, True, True])
        part.release()
        fanout.close()
        self.assertTrue(fanout.closed)
        self.assertEqual(repr(fanout), f"<sluice.Fanout {names} closed>")
        with self.assertRaises(sluice.NotFound):
            sluice.Fanout.open([names[0], "nowhere"])
        with sluice.Fanout.open(names) as fanout:  # none was left open
            with self.assertRaisesRegex(ValueError, "twice"):
                sluice.Fanout(fanout.producers * 2)
        self.assertTrue(fanout.closed)
        with self.assertRaisesRegex(ValueError, "needs a queue"):
            sluice.Fanout([])
