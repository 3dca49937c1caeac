# SPDX-License-Identifier: MIT
"""Without a copy: what a view of the ring may do, and that it ends."""

from __future__ import annotations

import gc
import os
import pickle
import struct
import warnings

import sluice
from support import Case


class Reading(Case):
    def test_a_message_is_read_in_place_and_released(self) -> None:
        producer, consumer = self.pair()
        producer.send(b"hello", tag=3)
        with consumer.peek() as m:
            self.assertEqual((bytes(m), len(m), m.tag, m.kind), (b"hello", 5, 3, sluice.WHOLE))
            self.assertTrue(m.data.readonly)
            self.assertEqual(consumer.messages, 0)
            data = m.data
        self.assertEqual(consumer.messages, 1)
        with self.assertRaisesRegex(ValueError, "released"):
            data[0]
        with self.assertRaises(sluice.InvalidArgument):
            m.release()

    def test_it_is_not_released_while_something_was_made_from_it(self) -> None:
        producer, consumer = self.pair()
        producer.send(b"0123456789")
        makers = {
            "slice": lambda d: d[2:4],
            "slice of a slice": lambda d: d[2:8][1:2],
            "cast": lambda d: d.cast("b"),
            "view": memoryview,
            "export": pickle.PickleBuffer,
        }
        for what, make in makers.items():
            m = consumer.peek()
            derived = make(m.data)
            with self.subTest(what), self.assertRaisesRegex(BufferError, "still in use"):
                m.release()
            self.assertEqual(consumer.messages, 0)
            self.assertEqual(len(bytes(derived)) > 0, True)
            del derived
            m.release()
            producer.send(b"0123456789")
            self.assertEqual(consumer.messages, 1)
            consumer, producer = self.again(consumer, producer)

    def again(
        self, consumer: sluice.Consumer, producer: sluice.Producer
    ) -> tuple[sluice.Consumer, sluice.Producer]:
        consumer.close()
        producer.close()
        queue = sluice.Queue(self.name)
        queue.remove()
        queue.create()
        producer, consumer = sluice.Producer(self.name), sluice.Consumer(self.name)
        self.addCleanup(consumer.close)
        self.addCleanup(producer.close)
        producer.send(b"0123456789")
        return consumer, producer

    def test_a_block_that_raises_keeps_the_message(self) -> None:
        producer, consumer = self.pair()
        producer.send(b"first")
        producer.send(b"second")
        with self.assertRaises(ZeroDivisionError), consumer.peek() as m:
            1 // 0
        with self.assertRaises(ValueError):
            m.data[0]
        with consumer.peek(0) as m:
            self.assertEqual(bytes(m), b"first")
        with self.assertRaises(ZeroDivisionError), consumer.peek():
            1 // 0
        self.assertEqual(consumer.recv(0), b"second")

    def test_a_block_that_raises_with_a_slice_keeps_its_exception(self) -> None:
        producer, consumer = self.pair()
        producer.send(b"first")
        with self.assertRaises(ZeroDivisionError), consumer.peek() as m:
            part = m.data[1:3]
            1 // 0
        with self.assertRaises(BufferError):
            consumer.recv(0)
        self.assertEqual(bytes(part), b"ir")
        del part
        self.assertEqual(consumer.recv(0), b"first")

    def test_no_copy_is_received_while_a_message_is_lent(self) -> None:
        producer, consumer = self.pair()
        producer.send(b"first")
        m = consumer.peek()
        for call in (consumer.recv, consumer.peek, consumer.peek_many):
            with self.assertRaises(sluice.InvalidArgument):
                call()
        m.release()

    def test_latest(self) -> None:
        producer, consumer = self.pair()
        producer.send_many([b"1", b"2", b"3"])
        with consumer.peek_latest() as m:
            self.assertEqual(bytes(m), b"3")
        self.assertEqual(consumer.messages, 3)

    def test_a_loop_in_place(self) -> None:
        producer, consumer = self.pair()
        producer.send_many([b"1", b"2", b"3"])
        producer.close()
        seen = []
        for m in consumer.in_place():
            seen.append(bytes(m))
            if len(seen) == 2:
                break
        gc.collect()
        self.assertEqual((seen, consumer.messages), ([b"1", b"2"], 1))
        self.assertEqual([bytes(m) for m in consumer.in_place()], [b"2", b"3"])

    def test_a_batch(self) -> None:
        producer, consumer = self.pair()
        producer.send_many([b"one", b"two", b"three"])
        with consumer.peek_many(0x100) as batch:
            self.assertEqual([bytes(m) for m in batch], [b"one", b"two", b"three"])
            self.assertEqual(bytes(batch[-1]), b"three")
            self.assertEqual([bytes(m) for m in batch[:2]], [b"one", b"two"])
            with self.assertRaises(IndexError):
                batch[3]
            with self.assertRaises(sluice.InvalidArgument):
                batch[0].release()
            with batch[1] as m:
                view = m.data
            self.assertEqual((bytes(view), consumer.messages), (b"two", 0))
        self.assertEqual(consumer.messages, 3)
        for stale in (lambda: view[0], lambda: batch[0].data[0], batch.release, batch.runs):
            with self.assertRaises(ValueError):
                stale()  # type: ignore[operator]

    def test_a_batch_whose_block_raises_is_given_again(self) -> None:
        producer, consumer = self.pair()
        producer.send_many([b"one", b"two"])
        with self.assertRaises(ZeroDivisionError), consumer.peek_many(1) as batch:
            self.assertEqual(bytes(batch[0]), b"one")
            1 // 0
        with self.assertRaises(sluice.InvalidArgument):
            consumer.recv(0)
        with consumer.peek_many() as batch:
            self.assertEqual([bytes(m) for m in batch], [b"one"])
        self.assertEqual(consumer.recv(0), b"two")

    def test_runs_have_equal_lengths_and_distances(self) -> None:
        producer, consumer = self.pair(capacity=4096)
        sent = [struct.pack("<IQ", i, i * i) for i in range(5)] + [b"other"] * 2
        for _ in range(40):  # across the end of the ring, too
            producer.send_many(sent)
            got: list[bytes] = []
            while len(got) < len(sent):
                with consumer.peek_many() as batch:
                    for run in batch.runs():
                        for i in range(run.number):
                            at = i * run.stride
                            got.append(run.data[at : at + run.itemsize].tobytes())
            self.assertEqual(got, sent)
        producer.send_many([b"same size"] * 10)
        with consumer.peek_many() as batch:
            self.assertEqual(sum(run.number for run in batch.runs()), 10)
            self.assertLessEqual(len(batch.runs()), 3)


class Writing(Case):
    def test_a_message_is_written_in_place(self) -> None:
        producer, consumer = self.pair()
        with producer.reserve(100, tag=4) as room:
            room.data[:5] = b"hello"
            room.length = 5
            data = room.data
        received = consumer.recv_message(0)
        self.assertEqual((received.data, received.tag), (b"hello", 4))
        with self.assertRaisesRegex(ValueError, "released"):
            data[0] = 1
        with self.assertRaises(sluice.InvalidArgument):
            room.commit()

    def test_a_block_that_raises_sends_nothing(self) -> None:
        producer, consumer = self.pair()
        with self.assertRaises(ZeroDivisionError), producer.reserve(10) as room:
            part = room.data[:5]
            1 // 0
        with self.assertRaises(BufferError):
            producer.send(b"next")
        del part
        producer.send(b"next")
        self.assertEqual(consumer.recv_many(), [b"next"])

    def test_it_is_not_sent_while_something_could_still_write(self) -> None:
        producer, consumer = self.pair()
        room = producer.reserve(8)
        part = room.data[2:4]
        with self.assertRaises(BufferError):
            room.commit()
        with self.assertRaises(BufferError):
            room.abort()
        del part
        with self.assertRaises(sluice.InvalidArgument):
            producer.send(b"beside")
        with self.assertRaises(ValueError):
            room.commit(9)
        room.commit(0)
        self.assertEqual(consumer.recv(0), b"")

    def test_stage_publish_abort(self) -> None:
        producer, consumer = self.pair()
        for text in (b"one", b"two"):
            room = producer.reserve(3)
            room.data[:] = text
            room.stage()
        with self.assertRaises(sluice.WouldBlock):
            consumer.recv(0)
        producer.reserve(5).abort()
        with producer.reserve(5) as room:
            room.abort()
        producer.publish()
        self.assertEqual(consumer.recv_many(), [b"one", b"two"])


class Endings(Case):
    def test_close_is_refused_while_something_is_in_use(self) -> None:
        producer, consumer = self.pair()
        producer.send(b"text")
        part = consumer.peek().data[1:]
        with self.assertRaises(BufferError):
            consumer.close()
        self.assertFalse(consumer.closed)
        self.assertEqual(bytes(part), b"ext")
        del part
        consumer.close()

    def test_a_forgotten_handle_is_closed_with_a_warning(self) -> None:
        self.queue()
        with self.assertWarnsRegex(ResourceWarning, "unclosed <sluice.Producer"):
            sluice.Producer(self.name)
            gc.collect()
        sluice.Producer(self.name).close()

    def test_one_in_use_is_closed_when_that_is_gone(self) -> None:
        producer, _ = self.pair()
        producer.close()
        sluice.Queue(self.name).stat()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            part = sluice.Producer(self.name).reserve(5).data[1:3]
            gc.collect()
            part[:] = b"ab"
            with self.assertRaises(sluice.RoleTaken):
                sluice.Producer(self.name)
            del part
            gc.collect()
        sluice.Producer(self.name).close()

    def test_a_with_that_raises_leaves_closing_to_the_last_user(self) -> None:
        self.queue()
        with self.assertRaises(ZeroDivisionError), sluice.Producer(self.name) as producer:
            part = producer.reserve(5).data[1:3]
            1 // 0
        self.assertEqual(len(part), 2)
        del part
        producer.close()
        self.assertTrue(producer.closed)

    def test_in_a_child_the_views_are_invalid_and_calls_are_refused(self) -> None:
        producer, consumer = self.pair()
        producer.send(b"text")
        m = consumer.peek()
        reader, writer = os.pipe()
        pid = os.fork()
        if pid == 0:
            said = []
            for call in (lambda: m.data[0], lambda: producer.send(b"x"), consumer.recv):
                try:
                    call()
                    said.append("done")
                except Exception as error:
                    said.append(type(error).__name__)
            consumer.close()
            os.write(writer, " ".join(said).encode())
            os._exit(0)
        os.close(writer)
        with os.fdopen(reader) as pipe:
            self.assertEqual(pipe.read(), "ValueError NotPermitted NotPermitted")
        self.assertEqual(os.waitpid(pid, 0)[1], 0)
        self.assertEqual(bytes(m), b"text")
        m.release()
