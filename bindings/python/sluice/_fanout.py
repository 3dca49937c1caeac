# SPDX-License-Identifier: MIT
"""One sender, several queues."""

from __future__ import annotations

import errno
import operator
import os
from collections.abc import Iterable
from contextlib import ExitStack
from ctypes import addressof, c_void_p
from typing import Any

from . import _abi
from ._endpoint import NOT_NOW, deadline, is_over, slice_of
from ._errors import Error, HandleClosed
from ._library import fast, make_error, slow
from ._producer import BytesLike, Producer, to_bytes

_KEY = (fast.sluice_fanout_send_key, slow.sluice_fanout_send_key)
_NEXT = (fast.sluice_fanout_send_next, slow.sluice_fanout_send_next)
_ANY = (fast.sluice_fanout_send_any, slow.sluice_fanout_send_any)
_ALL = (fast.sluice_fanout_send_all, slow.sluice_fanout_send_all)


class Fanout:
    """Sends to several queues: to one by key, to each in turn, to the first with room, or to all.

    producers: each of another queue, and in the same order for the same keys. Between two calls
    they may be used by themselves. close() closes them, and so does the end of a `with` block.

    PeerClosed, PeerDied: the queue is full, and its consumer has gone. They are raised each time;
    wait_for_peer() of that one of `producers` waits for a successor.
    """

    def __init__(self, producers: Iterable[Producer]) -> None:
        self.producers = tuple(producers)
        if not self.producers:
            raise ValueError("a fan-out needs a queue")
        if len(set(self.producers)) < len(self.producers):
            raise ValueError("a producer is in the fan-out twice")
        n = len(self.producers)
        # Threads that share some producers take their locks in one order.
        self._in_order = sorted(self.producers, key=id)
        self._handles = (c_void_p * n)(*(p._handle for p in self.producers))
        self._interrupted = False
        self._fanout = _abi.Fanout(addressof(self._handles), n, 0)

    @classmethod
    def open(
        cls,
        names: Iterable[str | bytes | os.PathLike[str]],
        *,
        create: bool = False,
        pollable: bool = False,
        capacity: int = 0,
        mode: int = 0,
        flags: int = 0,
    ) -> Fanout:
        """Of new producers, with options as of Producer. When one of them cannot be opened, none
        stays open. pollable: send_any sleeps, and does not look every millisecond."""
        with ExitStack() as opened:
            producers = []
            for name in names:
                producer = Producer(
                    name,
                    create=create,
                    pollable=pollable,
                    capacity=capacity,
                    mode=mode,
                    flags=flags,
                )
                producers.append(opened.enter_context(producer))
            fanout = cls(producers)
            opened.pop_all()
        return fanout

    def send_key(
        self, key: int, data: BytesLike, tag: int = 0, timeout: float | None = None
    ) -> None:
        """To the queue of this key, 0 to 2**64-1: the same one for the same key, as long as there
        are as many queues. Of a string, take zlib.crc32: hash() differs in each process."""
        key = operator.index(key)
        if not 0 <= key < 2**64:
            raise ValueError("a key is 0 to 2**64-1")
        self._send(_KEY, data, tag, timeout, key)

    def send_next(self, data: BytesLike, tag: int = 0, timeout: float | None = None) -> None:
        """To each queue in turn; after an error it is still the turn of the same one."""
        self._send(_NEXT, data, tag, timeout)

    def send_any(self, data: BytesLike, tag: int = 0, timeout: float | None = None) -> int:
        """To the first queue that has room, beginning behind the one of the message before; waits
        for room in any. Returns which: an index of `producers`."""
        return self._send(_ANY, data, tag, timeout)

    def send_all(self, data: BytesLike, tag: int = 0, timeout: float | None = None) -> None:
        """To all queues, or after an error to none. Also sends what was staged there."""
        self._send(_ALL, data, tag, timeout)

    def _send(
        self, calls: tuple[Any, Any], data: BytesLike, tag: int, timeout: float | None, *key: int
    ) -> int:
        until = deadline(timeout)
        raw = to_bytes(data)
        arguments = (self._fanout, *key, raw, len(raw), tag)
        held = []
        try:
            for producer in self._in_order:
                producer._begin(until)
                held.append(producer)
            r: int = calls[0](*arguments, _abi.NOW)
            while r in NOT_NOW and not self._is_closing() and not is_over(until):
                if self._interrupted:
                    self._interrupted = False
                    r = -errno.ECANCELED
                else:
                    r = calls[1](*arguments, slice_of(until))
            if r < 0:
                raise self._failed(r, until)
            return r
        finally:
            for producer in held:
                producer._lock.release()

    def _is_closing(self) -> bool:
        return any(p._closing for p in self.producers)

    def _failed(self, r: int, until: int) -> Error:
        names = ", ".join(str(p.name) for p in self.producers)
        if self._is_closing():
            return HandleClosed(errno.EBADF, "the handle is closed", names)
        if r in NOT_NOW:
            r = -errno.ETIMEDOUT if until else -errno.EAGAIN
        return make_error(r, names)

    @property
    def closed(self) -> bool:
        return all(p.closed for p in self.producers)

    def interrupt(self) -> None:
        """The current or next wait raises Interrupted, once, within 100 ms. From any thread or
        handler."""
        self._interrupted = True

    def close(self) -> None:
        """Closes all producers, as Producer.close."""
        with ExitStack() as stack:
            for producer in self.producers:
                stack.callback(producer.close)

    def __enter__(self) -> Fanout:
        return self

    def __exit__(self, *raised: Any) -> None:
        with ExitStack() as stack:
            for producer in self.producers:
                stack.push(producer)
            stack.pop_all().__exit__(*raised)

    def __repr__(self) -> str:
        names = [p.name for p in self.producers]
        return f"<sluice.Fanout {names}{' closed' if self.closed else ''}>"
