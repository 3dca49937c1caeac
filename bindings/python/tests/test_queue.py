# SPDX-License-Identifier: MIT
"""Queues: made, removed, looked at; copies sent and received; errors."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import sluice
from sluice import _library
from support import Case


class Queues(Case):
    def test_create_stat_remove(self) -> None:
        with sluice.Queue(self.name).create(capacity=4096, mode=0o640) as queue:
            stat = queue.stat()
            self.assertEqual((stat.capacity, stat.mode & 0o777, stat.pending), (4096, 0o640, 0))
            self.assertEqual(os.path.basename(stat.name), self.name)
            self.assertFalse(stat.producer.held)
            with sluice.Producer(self.name) as producer:
                producer.send(b"12345")
                stat = queue.stat()
                self.assertTrue(stat.producer.held)
                self.assertEqual((stat.pending, stat.producer.messages), (1, 1))
                self.assertEqual(stat.producer.pid, os.getpid())
            self.assertIn(stat.name, [s.name for s in sluice.Queue.list()])
        with self.assertRaises(sluice.NotFound):
            queue.stat()

    def test_errors_are_of_their_own_and_of_python(self) -> None:
        with self.assertRaises(FileNotFoundError) as caught:
            sluice.Consumer(self.name)
        error = caught.exception
        self.assertIsInstance(error, sluice.NotFound)
        self.assertIsInstance(error, sluice.Error)
        self.assertEqual((error.errno, error.filename), (errno.ENOENT, self.name))
        self.assertIn("create it first", str(error))
        queue = self.queue()
        with self.assertRaises(FileExistsError):
            queue.create()
        with sluice.Producer(self.name), self.assertRaises(sluice.RoleTaken):
            sluice.Producer(self.name)
        with self.assertRaises(sluice.Incompatible):
            sluice.Producer(self.name, type_id=5, type_size=8)
        with self.assertRaises(sluice.InvalidArgument):
            sluice.Queue("other").create(capacity=1000)
        with self.assertRaises(sluice.NameInUse):
            Path(os.environ["SLUICE_DIR"], "other").mkdir()
            try:
                Path(os.environ["SLUICE_DIR"], "other/file").touch()
                sluice.Queue("other").create()
            finally:
                os.remove(os.path.join(os.environ["SLUICE_DIR"], "other/file"))
                os.rmdir(os.path.join(os.environ["SLUICE_DIR"], "other"))

    def test_arguments_that_do_not_fit(self) -> None:
        with self.assertRaises(TypeError):
            sluice.Queue(self.name).create(capacity="1024")  # type: ignore[arg-type]
        for wrong in (-1, 2**64 + 1024):
            with self.assertRaises(sluice.InvalidArgument):
                sluice.Queue(self.name).create(capacity=wrong)
        with self.assertRaises(ValueError):
            sluice.Queue("a\0b")
        producer, consumer = self.pair()
        with self.assertRaises(ValueError):
            consumer.recv(float("nan"))
        with self.assertRaises(TypeError):
            producer.send("text")
        with self.assertRaises(TypeError):
            producer.send(5)
        with self.assertRaises(ValueError):
            consumer.recv_many(0)
        with self.assertRaises(ValueError):
            consumer.peek_many(0)
        with self.assertRaises(ValueError):
            producer.reserve(-1)

    def test_a_limit_is_named(self) -> None:
        with self.assertRaises(sluice.Error) as caught:
            sluice.Queue(self.name).create(flags=sluice.HUGETLB, capacity=1 << 30)
        self.assertRegex(str(caught.exception), r"\[huge pages: .*/proc/sys/vm/")

    def test_messages_are_as_sent(self) -> None:
        producer, consumer = self.pair()
        for data in (b"", b"bytes", bytearray(b"array"), memoryview(b"view")[1:]):
            producer.send(data, tag=2**32 - 1)
            received = consumer.recv_message()
            self.assertEqual((received.data, received.tag), (bytes(data), 2**32 - 1))
        self.assertEqual((producer.messages, consumer.messages), (4, 4))
        self.assertEqual(producer.position, consumer.position)
        self.assertEqual(consumer.max_len, producer.max_len)

    def test_names_may_be_paths(self) -> None:
        path = Path(os.environ["SLUICE_DIR"], self.name)
        with sluice.Queue(path).create(), sluice.Producer(os.fsencode(path)) as producer:
            self.assertEqual(producer.name, str(path))

    def test_many(self) -> None:
        producer, consumer = self.pair(capacity=1 << 16)
        sent = [b"%d" % i for i in range(1000)]
        self.assertEqual(producer.send_many(sent, timeout=0), 1000)
        self.assertEqual(producer.pending, 1000)
        received: list[bytes] = []
        while len(received) < 1000:
            some = consumer.recv_many(300, timeout=0)
            self.assertLessEqual(len(some), 300)
            received += some
        self.assertEqual(received, sent)
        with self.assertRaises(sluice.WouldBlock):
            consumer.recv_many(timeout=0)

    def test_many_of_which_only_some_have_room(self) -> None:
        producer, consumer = self.pair(capacity=4096)
        sent = [bytes([i]) * 100 for i in range(100)]
        n = producer.send_many(sent, timeout=0.01)
        self.assertTrue(0 < n < 100)
        self.assertEqual(consumer.recv_many(), sent[:n])
        n = producer.send_many([b"short", bytes(4096)])
        self.assertEqual(n, 1)
        with self.assertRaises(sluice.MessageTooLong):
            producer.send(b"next")
        producer.send(b"next")
        self.assertEqual(consumer.recv_many(), [b"short", b"next"])
        with self.assertRaises(sluice.MessageTooLong):
            producer.send_many([bytes(4096)])
        while True:
            try:
                producer.send(bytes(100), timeout=0)
            except sluice.WouldBlock:
                break
        with self.assertRaises(sluice.Timeout):
            producer.send_many([bytes(1000)], timeout=0.01)

    def test_an_end_behind_many_is_told_by_the_next_call(self) -> None:
        producer, consumer = self.pair()
        producer.send(b"last")
        producer.close()
        self.assertEqual(consumer.recv_many(), [b"last"])
        with self.assertRaises(sluice.EndOfStream):
            consumer.recv_many(timeout=0)

    def test_offer_drops(self) -> None:
        producer, consumer = self.pair(capacity=4096)
        while producer.offer(bytes(500)):
            pass
        self.assertEqual(sluice.Queue(self.name).stat().dropped, 1)
        consumer.recv()
        with self.assertRaises(sluice.MessageTooLong):
            producer.offer(bytes(5000))

    def test_long_messages(self) -> None:
        producer, consumer = self.pair(capacity=4096)
        data = os.urandom(300_000)
        with self.assertRaises(sluice.MessageTooLong):
            producer.send(data)
        self.thread(lambda: producer.send_long(data, tag=9, timeout=10))
        received = consumer.recv_message(timeout=10)
        self.assertEqual((received.data, received.tag), (data, 9))

    def test_one_longer_than_max_message_is_dropped_and_the_next_comes(self) -> None:
        self.queue(capacity=4096)
        with sluice.Producer(self.name) as producer:
            with sluice.Consumer(self.name, max_message=1000) as consumer:
                producer.send(bytes(1001))
                producer.send(b"next")
                with self.assertRaises(sluice.MessageTooLong):
                    consumer.recv(0)
                self.assertEqual(consumer.recv(0), b"next")
                self.thread(lambda: (producer.send_long(bytes(50_000)), producer.send(b"last")))
                with self.assertRaises(sluice.MessageTooLong):
                    consumer.recv(10)
                self.assertEqual(consumer.recv(10), b"last")
        self.assertEqual(sluice.Queue(self.name).stat().torn, 1)

    def test_a_long_message_that_is_not_complete_goes_on(self) -> None:
        producer, consumer = self.pair(capacity=4096)
        with self.assertRaises(sluice.Timeout):
            producer.send_long(bytes(100_000), timeout=0.05)
        with self.assertRaises(sluice.WouldBlock):
            consumer.recv(0)
        producer.send(b"whole")  # gives the long one up
        self.assertEqual(consumer.recv(0), b"whole")


class Loading(Case):
    def fails(self, directory: str) -> str:
        process = self.program(
            f"import os; os.environ['SLUICE_LIBRARY_DIR'] = {directory!r}; import sluice"
        )
        error = process.communicate(timeout=20)[1]
        self.assertEqual(process.returncode, 1)
        return error

    def test_without_a_library_the_error_says_what_to_do(self) -> None:
        error = self.fails("/nonexistent")
        self.assertIn("ImportError: the library of sluice cannot be loaded", error)
        self.assertIn("SLUICE_LIBRARY_DIR", error)

    def test_another_version_is_refused(self) -> None:
        with self.assertRaisesRegex(ImportError, "libsluice is version 0.9.1"):
            _library._check_version("0.9.1")
        _library._check_version("0.2.99")

    def test_a_library_without_a_call_is_refused(self) -> None:
        with self.assertRaisesRegex(ImportError, "has no sluice_nothing: it is of another version"):
            _library._declare(_library.slow, {"sluice_nothing": (None, [])}, "lib")

    def test_groups_are_loaded_when_they_are_needed(self) -> None:
        process = self.program(
            "import sluice, sys; assert 'sluice._group' not in sys.modules; sluice.Group().close()"
        )
        self.assertEqual(process.communicate(timeout=20), ("", ""))
        with self.assertRaises(AttributeError):
            sluice.nothing

    def test_what_is_public_is_there(self) -> None:
        for name in sluice.__all__:
            self.assertTrue(hasattr(sluice, name), name)
