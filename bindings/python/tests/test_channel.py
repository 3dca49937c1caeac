# SPDX-License-Identifier: MIT
"""Channels: request and reply."""

from __future__ import annotations

import gc
import os
import signal
import time

import sluice
from support import Case


class Channels(Case):
    def served(self, capacity: int = 0) -> sluice.Client:
        server = sluice.Server(self.name, create=True, capacity=capacity)

        def serve() -> None:
            with server:
                for request in server:
                    if request.data == b"slow":
                        time.sleep(0.2)
                    request.reply(request.data.upper(), 10)

        self.addCleanup(sluice.Client.remove, self.name)
        client = sluice.Client(self.name)
        self.thread(serve)
        self.addCleanup(client.close)
        return client

    def test_a_call_is_replied_to(self) -> None:
        client = self.served(4096)
        for request in (b"", b"ping", b"x" * 100_000):
            self.assertEqual(client.call(request, 10), request.upper())

    def test_a_late_reply_is_dropped(self) -> None:
        client = self.served()
        with self.assertRaises(sluice.Timeout):
            client.call(b"slow", 0.05)
        self.assertEqual(client.call(b"ping", 10), b"PING")

    def test_late_replies_that_fill_the_ring_do_not_stop_a_call(self) -> None:
        client = self.served(4096)
        for _ in range(20):
            try:
                client.call(b"x" * 1000, 0)
            except (sluice.WouldBlock, sluice.Timeout):
                pass
        self.assertEqual(client.call(b"y" * 20_000, 10), b"Y" * 20_000)

    def test_a_call_without_room_times_out(self) -> None:
        self.addCleanup(sluice.Client.remove, self.name)
        with sluice.Client(self.name, create=True, capacity=4096) as client:
            with self.assertRaises(sluice.Timeout):
                client.call(bytes(10_000), 0.05)
            with self.assertRaises(sluice.WouldBlock):
                client.call(bytes(10_000), 0)

    def test_a_server_that_died_is_told_and_its_successor_serves(self) -> None:
        self.addCleanup(sluice.Client.remove, self.name)
        with sluice.Client(self.name, create=True) as client:
            process = self.program(
                """
                import os, signal, sys, sluice
                server = sluice.Server(sys.argv[1])
                server.recv()
                os.kill(os.getpid(), signal.SIGKILL)
                """
            )
            with self.assertRaises(sluice.PeerDied):
                client.call(b"ping", 10)
            self.assertEqual(process.wait(10), -signal.SIGKILL)
            with sluice.Server(self.name) as server:
                self.thread(lambda: server.recv(10).reply(b"pong"))
                self.assertEqual(client.call(b"ping", 10), b"pong")

    def test_a_channel_of_its_own_in_a_directory(self) -> None:
        directory = os.path.join(os.environ["SLUICE_DIR"], self.name)
        os.mkdir(directory)
        self.addCleanup(os.rmdir, directory)
        client = sluice.Client(directory + "/", create=True)
        (entry,) = os.listdir(directory)
        with client, sluice.Server(os.path.join(directory, entry)):
            pass
        sluice.Client.remove(os.path.join(directory, entry))

    def test_close_interrupt_and_forgetting(self) -> None:
        client = self.served()
        client.interrupt()
        with self.assertRaises(sluice.Interrupted):
            client.call(b"slow", 10)
        thread = self.thread(lambda: (time.sleep(0.05), client.close()))
        with self.assertRaises(sluice.HandleClosed):
            client.call(b"slow", 10)
        thread.join(10)
        client.close()
        with self.assertWarnsRegex(ResourceWarning, "unclosed <sluice.Client"):
            sluice.Client(self.name)
            gc.collect()
        with self.assertRaises(sluice.NotFound):
            sluice.Client("nowhere")
        with self.assertRaises(sluice.NotFound):
            sluice.Client.remove("nowhere")
