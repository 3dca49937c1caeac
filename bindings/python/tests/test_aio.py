# SPDX-License-Identifier: MIT
"""asyncio."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import sluice
import sluice.aio
from sluice import Event
from support import Case


class Asyncio(Case):
    def go(self, main: Callable[[], Awaitable[None]]) -> None:
        async def limited() -> None:
            async with asyncio.timeout(20):
                await main()

        self.queue(capacity=4096)
        asyncio.run(limited(), debug=False)

    def test_messages_come_while_other_tasks_run(self) -> None:
        async def main() -> None:
            async with sluice.aio.Consumer(self.name) as consumer:
                ticks = 0

                async def tick() -> None:
                    nonlocal ticks
                    while True:
                        await asyncio.sleep(0.001)
                        ticks += 1

                async def send() -> None:
                    async with sluice.aio.Producer(self.name) as producer:
                        for i in range(5):
                            await asyncio.sleep(0.02)
                            await producer.send(b"%d" % i)

                ticker, sender = asyncio.create_task(tick()), asyncio.create_task(send())
                received = [message async for message in consumer]
                self.assertEqual(received, [b"0", b"1", b"2", b"3", b"4"])
                self.assertGreater(ticks, 20)
                ticker.cancel()
                await sender

        self.go(main)

    def test_a_sender_waits_for_room_and_sends_any_length(self) -> None:
        async def main() -> None:
            async with sluice.aio.Consumer(self.name) as c, sluice.aio.Producer(self.name) as p:
                data = [bytes([i]) * 3000 for i in range(30)]
                senders = [asyncio.create_task(p.send(d)) for d in data]
                received = [await c.recv() for _ in data]
                self.assertEqual(sorted(received), data)
                await asyncio.gather(*senders)

        self.go(main)

    def test_a_wait_is_cancelled_and_another_goes_on(self) -> None:
        async def main() -> None:
            async with sluice.aio.Consumer(self.name) as consumer:
                for _ in range(3):
                    with self.assertRaises(TimeoutError):
                        async with asyncio.timeout(0.02):
                            await consumer.recv()
                with sluice.Producer(self.name) as producer:
                    producer.send(b"x")
                    self.assertEqual(await consumer.recv(), b"x")

        self.go(main)

    def test_an_end_is_told_once(self) -> None:
        async def main() -> None:
            async with sluice.aio.Consumer(self.name) as consumer:
                sluice.Producer(self.name).close()
                consumer.consumer.wait_for_peer(1)
                with self.assertRaises(sluice.EndOfStream):
                    await consumer.recv()
                waiting = asyncio.create_task(consumer.recv())
                await asyncio.sleep(0.25)
                self.assertFalse(waiting.done())
                with sluice.Producer(self.name) as producer:
                    producer.send(b"of the next")
                    self.assertEqual(await waiting, b"of the next")

        self.go(main)

    def test_a_full_queue_leaves_others_their_turn(self) -> None:
        async def main() -> None:
            async with sluice.aio.Consumer(self.name) as c, sluice.aio.Producer(self.name) as p:
                turns = 0

                async def other() -> None:
                    nonlocal turns
                    while True:
                        turns += 1
                        await asyncio.sleep(0)

                task = asyncio.create_task(other())
                for _ in range(300):
                    await p.send(b"x")
                    await c.recv()
                self.assertGreater(turns, 5)
                task.cancel()

        self.go(main)

    def test_close_ends_the_wait_of_a_task(self) -> None:
        async def main() -> None:
            consumer = sluice.aio.Consumer(self.name)
            waiting = asyncio.create_task(consumer.recv())
            await asyncio.sleep(0.05)
            consumer.close()
            self.assertTrue(consumer.closed)
            with self.assertRaises(sluice.HandleClosed):
                await waiting

        self.go(main)

    def test_a_group(self) -> None:
        async def main() -> None:
            async with sluice.aio.Group() as group:
                group.group.add(self.name)
                seen: list[bytes] = []

                def take(event: Event) -> bool:
                    if event.kind == Event.MESSAGE:
                        seen.append(bytes(event))
                    return event.kind == Event.ENDED

                serving = asyncio.create_task(group.serve(take))
                async with sluice.aio.Producer(self.name) as producer:
                    for i in range(200):
                        await producer.send(b"%d" % i)
                        if i % 50 == 0:
                            await asyncio.sleep(0.01)
                self.assertEqual(await serving, 200)
                self.assertEqual(seen, [b"%d" % i for i in range(200)])
                begin = time.monotonic()
                failing = asyncio.create_task(group.serve(lambda e: 1 // 0))
                with sluice.Producer(self.name) as other:
                    other.send(b"x")
                    with self.assertRaises(ZeroDivisionError):
                        await failing
                self.assertLess(time.monotonic() - begin, 10)

        self.go(main)

    def test_a_handle_that_is_not_pollable_has_no_descriptor(self) -> None:
        producer, consumer = self.pair()
        for call in (producer.fileno, consumer.fileno, consumer.arm, lambda: producer.arm(5)):
            with self.assertRaises(sluice.InvalidArgument):
                call()
        producer.disarm()
        consumer.disarm()
