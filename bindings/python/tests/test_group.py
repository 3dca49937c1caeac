# SPDX-License-Identifier: MIT
"""Groups: many queues, one thread."""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
import time

import sluice
from sluice import Event
from support import Case


class Groups(Case):
    def group(self) -> sluice.Group:
        group = sluice.Group()
        self.addCleanup(group.close)
        return group

    def directory(self) -> str:
        directory = os.path.join(os.environ["SLUICE_DIR"], self.name)
        os.mkdir(directory)
        self.addCleanup(os.rmdir, directory)
        return directory

    def test_members_and_their_events(self) -> None:
        group = self.group()
        told: list[tuple[object, ...]] = []
        member = group.add(self.name, create=True)
        member.data = "mine"
        self.addCleanup(sluice.Queue(self.name).remove)
        self.addCleanup(group.close)
        with sluice.Producer(self.name) as producer:
            producer.send(b"text", tag=6)
            producer.send(b"more")

            def take(event: Event) -> bool:
                self.assertIs(event.member, member)
                told.append((event.kind, bytes(event), event.tag))
                return event.kind == Event.ENDED

            self.assertEqual(group.serve(take, most=1), 1)
            self.assertEqual(group.serve(take, timeout=0.01), 1)
        group.serve(take, timeout=10)
        self.assertEqual(
            told,
            [(Event.JOINED, b"", 0), (0, b"text", 6), (0, b"more", 0), (Event.ENDED, b"", 0)],
        )
        self.assertEqual(os.path.basename(member.name), self.name)
        group.remove(member)
        with self.assertRaises(sluice.NotFound):
            group.remove(member)

    def one(self) -> tuple[sluice.Group, sluice.Producer]:
        group = self.group()
        producer = sluice.Producer(self.name, create=True, capacity=4096)
        self.addCleanup(sluice.Queue(self.name).remove)
        self.addCleanup(producer.close)
        group.add(self.name)
        self.addCleanup(group.close)
        return group, producer

    def test_what_a_handler_raises_serve_raises_and_the_message_comes_again(self) -> None:
        group, producer = self.one()
        producer.send(b"text")

        def fail(event: Event) -> None:
            if event.kind == Event.MESSAGE:
                raise KeyError("of the handler")

        for _ in range(2):
            with self.assertRaisesRegex(KeyError, "of the handler"):
                group.serve(fail, timeout=10)
        seen: list[bytes] = []
        self.assertEqual(group.serve(lambda e: seen.append(bytes(e)), most=1, timeout=10), 1)
        self.assertEqual(seen[-1], b"text")

    def test_data_is_invalid_afterwards_and_not_released_while_in_use(self) -> None:
        group, producer = self.one()
        producer.send(b"text")
        kept: list[memoryview] = []
        with self.assertRaises(BufferError):
            group.serve(lambda e: kept.append(e.data[1:]) if e.data else None, timeout=10)
        for refused in (lambda: group.serve(print, timeout=0), group.close):
            with self.assertRaises(BufferError):
                refused()
        kept.clear()
        group.serve(lambda e: kept.append(e.data), most=1, timeout=10)
        with self.assertRaises(ValueError):
            kept[-1][0]

    def test_long_messages_are_put_together(self) -> None:
        group, producer = self.one()
        data = os.urandom(50_000)
        self.thread(lambda: (producer.send_long(data, tag=3), producer.send(b"short")))
        seen: list[tuple[bytes, int]] = []
        self.assertEqual(group.serve(lambda e: seen.append((bytes(e), e.tag)), 2, 10), 2)
        self.assertEqual(seen[-2:], [(data, 3), (b"short", 0)])

    def test_one_that_is_too_long_is_dropped(self) -> None:
        group, producer = self.one()
        group._most = 10_000
        self.thread(lambda: (producer.send_long(bytes(50_000)), producer.send(b"next")))
        seen: list[bytes] = []
        group.serve(lambda e: seen.append(bytes(e)), 1, 10)
        self.assertEqual(seen[-1], b"next")

    def test_a_directory_of_channels(self) -> None:
        directory = self.directory()
        group = self.group()
        group.watch(directory, remove=True, channels=True)
        replies: list[bytes] = []

        def call() -> None:
            with sluice.Client(directory + "/", create=True) as client:
                replies.append(client.call(b"ping", 10))

        self.thread(call)

        def serve(event: Event) -> bool:
            if event.kind == Event.MESSAGE:
                event.member.set_priority(3)
                event.member.set_batch(5)
                with self.assertRaises(sluice.InvalidArgument):
                    event.member.set_priority(8)
                event.member.reply(event.tag, bytes(event) + b" pong")
            return event.kind == Event.ENDED

        self.assertEqual(group.serve(serve, timeout=10), 1)
        self.assertEqual(replies, [b"ping pong"])
        group.close()
        with self.assertRaises(sluice.NotFound):
            sluice.Group().watch(directory + "/nowhere")

    def test_calls_for_the_handler_are_refused_elsewhere(self) -> None:
        group, producer = self.one()
        member = group.add("other", create=True)
        self.addCleanup(sluice.Queue("other").remove)
        self.addCleanup(group.close)
        for call in (
            lambda: member.reply(1, b""),
            lambda: member.set_priority(1),
            lambda: member.set_batch(1),
        ):
            with self.assertRaises(sluice.InvalidArgument):
                call()
        with self.assertRaises(sluice.InvalidArgument):
            group.serve(lambda e: group.serve(print), timeout=10)
        with self.assertRaises(sluice.RoleTaken):
            group.serve(lambda e: group.close(), timeout=10)
        with self.assertRaises(ValueError):
            group.serve(print, most=0)
        with self.assertRaises(sluice.InvalidArgument):
            group.serve(lambda e: e.member.reply(1, b"") if e.data else None, timeout=0)
            producer.send(b"no channel")
            group.serve(lambda e: e.member.reply(1, b"") if e.data else None, timeout=10)

    def test_interrupt_and_close_from_another_thread(self) -> None:
        group, _ = self.one()
        threading.Timer(0.05, group.interrupt).start()
        with self.assertRaises(sluice.Interrupted):
            group.serve(lambda e: None)
        threading.Timer(0.05, group.close).start()
        with self.assertRaises(sluice.HandleClosed):
            group.serve(lambda e: None)
        for call in (group.interrupt, group.fileno, group.arm, lambda: group.add("x")):
            with self.assertRaises(sluice.HandleClosed):
                call()
        group.disarm()

    def test_a_forgotten_group_is_closed_with_a_warning(self) -> None:
        with self.assertWarnsRegex(ResourceWarning, "unclosed <sluice.Group>"):
            sluice.Group()
            gc.collect()

    def test_a_child_leaves_its_parents_group_alone(self) -> None:
        group, producer = self.one()
        pid = os.fork()
        if pid == 0:
            try:
                group.serve(print, timeout=0)
            except sluice.NotPermitted:
                group.close()
                os._exit(7)
            os._exit(1)
        self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), 7)
        producer.send(b"x")
        self.assertEqual(group.serve(lambda e: None, most=1, timeout=10), 1)

    def test_a_signal_at_any_moment_loses_no_message(self) -> None:
        """Control-C while messages stream: each comes once, and each signal is raised."""
        self.addCleanup(sluice.Queue(self.name).remove)
        sluice.Queue(self.name).create()
        group = self.group()
        group.add(self.name)

        class Rung(Exception):
            pass

        def ring(*_: object) -> None:
            raise Rung

        before = signal.signal(signal.SIGALRM, ring)
        self.addCleanup(signal.signal, signal.SIGALRM, before)
        noise: list[object] = []
        hook = sys.unraisablehook
        self.addCleanup(setattr, sys, "unraisablehook", hook)
        sys.unraisablehook = noise.append
        process = self.program(
            """
            import sys, sluice
            with sluice.Producer(sys.argv[1]) as producer:
                i = 0
                while not sys.stdin.closed and i < 1_000_000:
                    i += producer.send_many([b"%d" % n for n in range(i, i + 200)])
            """
        )
        seen: list[int] = []
        rung = 0

        def take(event: Event) -> None:
            if event.kind == Event.MESSAGE:
                seen.append(int(bytes(event)))

        end = time.monotonic() + 1.5
        while time.monotonic() < end:
            try:
                signal.setitimer(signal.ITIMER_REAL, 0.003)
                group.serve(take, timeout=0.5)
                signal.setitimer(signal.ITIMER_REAL, 0)
            except Rung:
                rung += 1
        process.kill()
        # One that was raised behind the append, and before it was released, comes again.
        again = sum(b == a for a, b in zip(seen, seen[1:]))
        self.assertEqual([n for i, n in enumerate(seen) if i == 0 or n != seen[i - 1]],
                         list(range(len(seen) - again)))
        self.assertGreater(rung, 50)
        self.assertEqual(noise, [])
        group.close()
