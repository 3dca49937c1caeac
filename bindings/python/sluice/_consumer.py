# SPDX-License-Identifier: MIT
"""The receiving end."""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, overload

from . import _abi
from ._endpoint import Endpoint, deadline
from ._errors import EndOfStream, Error, MessageTooLong, Timeout, WouldBlock
from ._lend import Lent
from ._library import fast, make_error, slow

_BUFFER = 64 * 1024
_MAX_MESSAGE = 16 * 1024 * 1024
_RECV = (fast.sluice_recv_long, slow.sluice_recv_long)
_PEEK = (fast.sluice_peek, slow.sluice_peek)
_LATEST = (fast.sluice_peek_latest, slow.sluice_peek_latest)
_PEEK_MANY = (fast.sluice_peek_many, slow.sluice_peek_many)


class Received(NamedTuple):
    """A copy of a message. `position` is its identity: the same if it comes again."""

    data: bytes
    tag: int
    position: int


class Message:
    """A message in the ring, read-only, until it is released; then `data` raises ValueError.

    As a context manager it is released behind the block. If the block raises, it is kept, and
    the next peek shows it again. kind: WHOLE, or a piece of a long one: FIRST, MIDDLE, LAST.
    """

    __slots__ = ("_consumer", "data", "tag", "kind", "position")

    def __init__(self, consumer: Consumer | None, data: memoryview, m: Any) -> None:
        self._consumer = consumer
        self.data = data
        self.tag: int = m.tag
        self.kind: int = m.kind
        self.position: int = m.position

    def __len__(self) -> int:
        return self.data.nbytes

    def __bytes__(self) -> bytes:
        return self.data.tobytes()

    def release(self) -> None:
        """BufferError: something that was made from `data` is in use; it is not released."""
        if self._consumer is None:
            raise make_error(-errno.EINVAL, None)
        self._consumer.release()

    def __enter__(self) -> Message:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if self._consumer is None:
            return
        if kind is None:
            self.release()
        else:
            self._consumer._abandon()


class Run(NamedTuple):
    """Messages of equal length at equal distances: `number` of itemsize bytes each, the next one
    stride bytes behind. `data` reaches from the first to the end of the last."""

    data: memoryview
    number: int
    itemsize: int
    stride: int


class Batch(Sequence[Message]):
    """Messages in the ring, released together; as a context manager like Message."""

    def __init__(self, consumer: Consumer, heads: Sequence[Any]) -> None:
        self._consumer = consumer
        self._heads = heads
        self._messages: dict[int, Message] = {}

    def __len__(self) -> int:
        return len(self._heads)

    @overload
    def __getitem__(self, index: int) -> Message: ...

    @overload
    def __getitem__(self, index: slice) -> list[Message]: ...

    def __getitem__(self, index: int | slice) -> Message | list[Message]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        if index < 0:
            index += len(self)
        if not 0 <= index < len(self):
            raise IndexError("the batch has no such message")
        if index not in self._messages:
            m = self._heads[index]
            view = self._consumer._lend_of(self, m.data, m.len)
            self._messages[index] = Message(None, view, m)
        return self._messages[index]

    def runs(self) -> list[Run]:
        """The whole batch, for arrays without a copy: examples/numpy_batch.py."""
        runs, begin, heads = [], 0, self._heads
        while begin < len(heads):
            first, end, stride = heads[begin], begin + 1, 0
            while end < len(heads) and heads[end].len == first.len:
                step = heads[end].data - heads[end - 1].data
                if step <= 0 or (stride and step != stride):
                    break
                stride, end = step, end + 1
            n = end - begin
            stride = stride or first.len
            view = self._consumer._lend_of(self, first.data, (n - 1) * stride + first.len)
            runs.append(Run(view, n, first.len, stride))
            begin = end
        return runs

    def release(self) -> None:
        """BufferError: something that was made from the batch is in use; nothing is released."""
        if self._consumer._kept is not self:
            raise make_error(-errno.EINVAL, self._consumer.name)
        self._consumer.release()

    def __enter__(self) -> Batch:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            self.release()
        else:
            self._consumer._abandon()


class Consumer(Endpoint):
    """The receiving end of a queue. Options as of Producer.

    max_message: bytes of the longest message that recv puts together from its pieces; 16 MiB, or
    what fits the queue, if that is more.
    """

    _role = "consumer"

    def __init__(
        self,
        name: str | bytes | os.PathLike[str],
        *,
        create: bool = False,
        pollable: bool = False,
        max_message: int | None = None,
        capacity: int = 0,
        record_align: int = 0,
        payload_align: int = 0,
        mode: int = 0,
        type_id: int = 0,
        type_size: int = 0,
        first_position: int = 0,
        spin_ns: int = 0,
        slice_ns: int = 0,
        numa_node: int = 0,
        flags: int = 0,
    ) -> None:
        handle, text = self._make(
            name,
            create=create,
            pollable=pollable,
            capacity=capacity,
            record_align=record_align,
            payload_align=payload_align,
            mode=mode,
            type_id=type_id,
            type_size=type_size,
            first_position=first_position,
            spin_ns=spin_ns,
            slice_ns=slice_ns,
            numa_node=numa_node,
            flags=flags,
        )
        self._attach(handle, text, max_message)

    def _attach(
        self, handle: int, name: str | None, max_message: int | None, owner: object = None
    ) -> None:
        Endpoint.__init__(self, handle, name, owner)
        self._head = _abi.Message()
        self._kept: Batch | None = None
        self._long = _abi.Long()
        longest = int(fast.sluice_consumer_max_len(handle))
        self._most = max(_MAX_MESSAGE, longest) if max_message is None else max_message
        self._grow(min(_BUFFER, longest, self._most))

    def _grow(self, capacity: int) -> None:
        """A larger buffer for recv, with what is in it."""
        buffer = (ctypes.c_char * capacity)()
        ctypes.memmove(buffer, self._long.buf, self._long.len)
        self._buffer = buffer
        self._bytes = memoryview(buffer).cast("B")
        self._long.buf, self._long.cap = ctypes.addressof(buffer), capacity

    def _class_of(self, r: int) -> type[Error] | None:
        return EndOfStream if r == -errno.EPIPE else None

    @property
    def max_len(self) -> int:
        """Bytes of the longest message that does not come in pieces."""
        with self._lock:
            return int(fast.sluice_consumer_max_len(self._handle))

    @property
    def messages(self) -> int:
        """Released, ever, by all consumers of the queue."""
        with self._lock:
            return int(fast.sluice_consumer_messages(self._handle))

    @property
    def position(self) -> int:
        """Up to where all is released."""
        with self._lock:
            return int(fast.sluice_consumer_position(self._handle))

    @property
    def pending(self) -> int:
        """Messages that are published and not released, a moment ago."""
        with self._lock:
            return int(fast.sluice_consumer_pending(self._handle)) if self._open else 0

    # ---- Copies

    def _take(self) -> bytes | None:
        """Of the lock's owner: a message of any length, from its pieces; None: not now."""
        while True:
            r = self._attempt(_RECV[0], self._long)
            if r >= 0:
                return self._bytes[:r].tobytes()
            if r == -errno.EAGAIN:
                return None
            if r != -errno.EMSGSIZE:
                raise self._failed(r)
            self._make_room()

    def _receive(self, until: int) -> bytes:
        while True:
            data = self._take()
            if data is not None:
                return data
            try:
                return self._bytes[: self._wait(*_RECV, until, self._long)].tobytes()
            except MessageTooLong:
                self._make_room()

    def _make_room(self) -> None:
        """For the next piece; or the message is given up."""
        if self._long.cap >= self._most:
            fast.sluice_skip_long(self._handle, self._long)
            raise self._failed(-errno.EMSGSIZE)
        self._grow(min(max(2 * self._long.cap, _BUFFER), self._most))

    def _begin(self, until: int, keep: bool = False) -> None:
        self._enter(until)
        try:
            if self._kept is not None and not keep:
                raise make_error(-errno.EINVAL, self.name)
            self._settle()
        except BaseException:
            self._lock.release()
            raise

    def recv(self, timeout: float | None = None) -> bytes:
        """A copy of the next message, which is released; of any length up to max_message.

        EndOfStream: the producer has closed. PeerDied: it died. Timeout, WouldBlock (timeout 0).
        MessageTooLong: that one is dropped, and the next call goes on behind it.
        """
        until = deadline(timeout)
        self._begin(until)
        try:
            return self._receive(until)
        finally:
            self._lock.release()

    def recv_message(self, timeout: float | None = None) -> Received:
        """As recv, with tag and position."""
        until = deadline(timeout)
        self._begin(until)
        try:
            return Received(self._receive(until), self._long.tag, self._long.position)
        finally:
            self._lock.release()

    def recv_many(self, most: int = 256, timeout: float | None = None) -> list[bytes]:
        """The messages that are there, up to `most`; waits for the first one only."""
        until = deadline(timeout)
        if most < 1:
            raise ValueError("at least one message is to be received")
        self._begin(until)
        try:
            found = [self._receive(until)]
            try:
                while len(found) < most:
                    found.append(self._receive(_abi.NOW))
            except (WouldBlock, Timeout):
                pass
            except Error as error:
                self._deferred = error
            return found
        finally:
            self._lock.release()

    def __iter__(self) -> Iterator[bytes]:
        """recv until the producer has closed. If it died, the loop raises PeerDied."""
        while True:
            try:
                yield self.recv()
            except EndOfStream:
                return

    # ---- In place

    def _lend(self, address: int | None, length: int) -> memoryview:
        lent = Lent(address, length)
        self._lent.append(lent)
        return lent.view

    def _lend_of(self, batch: Batch, address: int | None, length: int) -> memoryview:
        with self._lock:
            if self._kept is not batch:
                raise make_error(-errno.EINVAL, self.name)
            return self._lend(address, length)

    def _peek(self, calls: tuple[Any, Any], timeout: float | None) -> Message:
        until = deadline(timeout)
        self._begin(until)
        try:
            self._wait(*calls, until, self._head)
            return Message(self, self._lend(self._head.data, self._head.len), self._head)
        finally:
            self._lock.release()

    def peek(self, timeout: float | None = None) -> Message:
        """The next message, in place, without a copy. Release it before the next call."""
        return self._peek(_PEEK, timeout)

    def peek_latest(self, timeout: float | None = None) -> Message:
        """The newest message that is there; those before it are released."""
        return self._peek(_LATEST, timeout)

    def peek_many(self, most: int = 256, timeout: float | None = None) -> Batch:
        """The messages that are there, up to `most`, in place; waits for the first one only.

        A batch that was not released because its block raised is given again.
        """
        until = deadline(timeout)
        if most < 1:
            raise ValueError("at least one message is to be received")
        self._begin(until, keep=True)
        try:
            if self._kept is None:
                heads = (_abi.Message * most)()
                n = self._wait(*_PEEK_MANY, until, heads, most)
                self._kept = Batch(self, heads[:n])
            else:
                self._kept = Batch(self, self._kept._heads)
            return self._kept
        finally:
            self._lock.release()

    def in_place(self, timeout: float | None = None) -> Iterator[Message]:
        """peek, for each message until the producer has closed; released when the next one is
        asked for. One that the loop leaves by break or an exception is kept."""
        while True:
            try:
                m = self.peek(timeout)
            except EndOfStream:
                return
            try:
                yield m
            except GeneratorExit:
                self._abandon()
                raise
            m.release()

    def release(self) -> None:
        """Gives back what was peeked. BufferError: it is in use; nothing is released."""
        self._enter(_abi.FOREVER)
        try:
            self._take_back_all()
            self._kept = None
            self._check(fast.sluice_release(self._handle))
        finally:
            self._lock.release()

    def _abandon(self) -> None:
        """An exception left the block: what can be invalidated, is; and nothing is released."""
        with self._lock:
            for lent in self._lent:
                lent.abandoned = True
            try:
                self._take_back_all()
            except BufferError:
                pass  # the frames of the exception keep it, perhaps: settled by the next call

    # ---- Event loops

    def fileno(self) -> int:
        """The descriptor of a pollable consumer, for arm."""
        with self._lock:
            return self._check(fast.sluice_consumer_fd(self._handle))

    def arm(self) -> bool:
        """Before waiting for the descriptor to be readable. False: do not wait, try again."""
        with self._lock:
            return self._check(fast.sluice_consumer_arm(self._handle)) == 0

    def disarm(self) -> None:
        """After waiting for it."""
        with self._lock:
            if self._open:
                fast.sluice_consumer_disarm(self._handle)
