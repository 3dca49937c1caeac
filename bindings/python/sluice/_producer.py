# SPDX-License-Identifier: MIT
"""The sending end."""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Iterable
from typing import Any, Union

from . import _abi
from ._endpoint import Endpoint, deadline
from ._errors import Error, Timeout, WouldBlock
from ._lend import Lent
from ._library import fast, make_error, slow

BytesLike = Union[bytes, bytearray, memoryview, Any]

_MANY = 256
_Many = _abi.Iovec * _MANY
_SEND = (fast.sluice_send_long, slow.sluice_send_long)
_SEND_MANY = (fast.sluice_send_many, slow.sluice_send_many)
_RESERVE = (fast.sluice_reserve, slow.sluice_reserve)


def to_bytes(data: BytesLike) -> bytes:
    return data if type(data) is bytes else memoryview(data).tobytes()


class Reservation:
    """Room for a message in the ring: write to `data`, then commit, stage or abort.

    As a context manager it commits, or aborts when the block raises. `length` is how much of it
    is sent: all, unless it is set. Afterwards `data` raises ValueError.
    """

    def __init__(self, producer: Producer, lent: Lent, tag: int) -> None:
        self._producer = producer
        self._lent = lent
        self.data: memoryview = lent.view
        self.tag = tag
        self.length = len(lent.view)

    def _finish(self, call: Any, length: int | None) -> None:
        p = self._producer
        with p._lock:
            if p._reservation is not self:
                raise make_error(-errno.EINVAL, p.name)
            n = self.length if length is None else length
            if not 0 <= n <= self._lent.base.nbytes:
                raise ValueError("the length is not within what was reserved")
            self._give_back()
            fast.sluice_set_tag(p._handle, self.tag)
            p._check(call(p._handle, n))

    def _give_back(self) -> None:
        self._lent.take_back()
        self._producer._lent.remove(self._lent)
        self._producer._reservation = None

    def commit(self, length: int | None = None) -> None:
        """Sends it, and all that was staged. BufferError: `data` is in use elsewhere."""
        self._finish(fast.sluice_commit, length)

    def stage(self, length: int | None = None) -> None:
        """Completes it; it is sent by the next commit or publish, together with others."""
        self._finish(fast.sluice_stage, length)

    def abort(self) -> None:
        """Forgets it."""
        p = self._producer
        with p._lock:
            if p._reservation is self:
                self._give_back()
                fast.sluice_abort(p._handle)

    def __enter__(self) -> Reservation:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        p = self._producer
        if p._reservation is not self:
            return
        if kind is None:
            self.commit()
            return
        try:
            self.abort()
        except BufferError:  # the frames of the exception keep it, perhaps
            self._lent.abandoned = True
            p._reservation = None


class Producer(Endpoint):
    """The sending end of a queue.

    create: make the queue if there is none, with capacity, record_align, payload_align, mode ...;
    pollable: it gets a descriptor (fileno) that event loops can wait for.
    """

    _role = "producer"

    def __init__(
        self,
        name: str | bytes | os.PathLike[str],
        *,
        create: bool = False,
        pollable: bool = False,
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
        self._attach(handle, text)

    def _attach(self, handle: int, name: str | None, owner: object = None) -> None:
        Endpoint.__init__(self, handle, name, owner)
        self._reservation: Reservation | None = None
        self._sent = ctypes.c_size_t()
        self._many: Any = None

    @property
    def max_len(self) -> int:
        """Bytes of the longest message that is not sent in pieces."""
        with self._lock:
            return int(fast.sluice_producer_max_len(self._handle))

    @property
    def messages(self) -> int:
        """Published, ever, by all producers of the queue."""
        with self._lock:
            return int(fast.sluice_producer_messages(self._handle))

    @property
    def position(self) -> int:
        """Where the next message to be published will begin."""
        with self._lock:
            return int(fast.sluice_producer_position(self._handle))

    @property
    def pending(self) -> int:
        """Messages that are published and not released, a moment ago."""
        with self._lock:
            return int(fast.sluice_producer_pending(self._handle)) if self._open else 0

    def _settle(self) -> None:
        if self._reservation is not None:
            raise make_error(-errno.EINVAL, self.name)
        Endpoint._settle(self)

    def _begin(self, until: int) -> None:
        self._enter(until)
        try:
            self._settle()
        except BaseException:
            self._lock.release()
            raise

    def send(self, data: BytesLike, tag: int = 0, timeout: float | None = None) -> None:
        """Sends a copy. MessageTooLong: longer than max_len, see send_long."""
        self._send(to_bytes(data), tag, timeout, False)

    def send_long(self, data: BytesLike, tag: int = 0, timeout: float | None = None) -> None:
        """As send, of any length: in pieces where it must be. An error gives it up whole."""
        self._send(to_bytes(data), tag, timeout, True)

    def _send(self, raw: bytes, tag: int, timeout: float | None, in_pieces: bool) -> None:
        until = deadline(timeout)
        self._begin(until)
        try:
            if not in_pieces and self._open and len(raw) > fast.sluice_producer_max_len(self._handle):
                raise self._failed(-errno.EMSGSIZE)
            self._sent.value = 0
            self._wait(*_SEND, until, raw, len(raw), tag, self._sent)
        finally:
            self._lock.release()

    def offer(self, data: BytesLike, tag: int = 0) -> bool:
        """Sends if there is room, else drops and counts it. Whether it was sent."""
        raw = to_bytes(data)
        self._begin(_abi.FOREVER)
        try:
            r = fast.sluice_offer(self._handle, raw, len(raw), tag)
            if r in (-errno.EAGAIN, -errno.EPIPE, -errno.EOWNERDEAD):
                return False
            self._check(r)
            return True
        finally:
            self._lock.release()

    def send_many(self, messages: Iterable[BytesLike], timeout: float | None = None) -> int:
        """Sends all, up to 256 of them at once. Returns how many: less than all of them only
        if the time was over, or there was an error, after some; then the next call tells it."""
        until = deadline(timeout)
        rest = [to_bytes(m) for m in messages]
        total = 0
        self._begin(until)
        try:
            self._many = self._many or _Many()
            while total < len(rest):
                part = rest[total : total + _MANY]
                for vector, m in zip(self._many, part):
                    vector.iov_base, vector.iov_len = m, len(m)
                total += self._wait(*_SEND_MANY, until, self._many, len(part))
        except (Timeout, WouldBlock):
            if total == 0:
                raise
        except Error as error:
            if total == 0:
                raise
            self._deferred = error
        finally:
            self._lock.release()
        return total

    def reserve(self, length: int, tag: int = 0, timeout: float | None = None) -> Reservation:
        """Room for a message of up to that many bytes, to be written in place."""
        if length < 0:
            raise ValueError("a length is not negative")
        until = deadline(timeout)
        payload = ctypes.c_void_p()
        self._begin(until)
        try:
            self._wait(*_RESERVE, until, length, payload)
            lent = Lent(payload.value, length, True)
            self._lent.append(lent)
            self._reservation = Reservation(self, lent, tag)
            return self._reservation
        finally:
            self._lock.release()

    def publish(self) -> None:
        """Sends all that was staged, at once."""
        self._begin(_abi.FOREVER)
        try:
            self._check(fast.sluice_publish(self._handle))
        finally:
            self._lock.release()

    def fileno(self) -> int:
        """The descriptor of a pollable producer, for arm."""
        with self._lock:
            return self._check(fast.sluice_producer_fd(self._handle))

    def arm(self, length: int) -> bool:
        """Before waiting for the descriptor to be readable. False: do not wait, try again."""
        with self._lock:
            return self._check(fast.sluice_producer_arm(self._handle, length)) == 0

    def disarm(self) -> None:
        """After waiting for it."""
        with self._lock:
            if self._open:
                fast.sluice_producer_disarm(self._handle)


__all__ = ["BytesLike", "Producer", "Reservation"]
