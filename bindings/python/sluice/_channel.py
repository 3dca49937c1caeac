# SPDX-License-Identifier: MIT
"""Two queues under one name: request and reply."""

from __future__ import annotations

import ctypes
import errno
import os
import threading
import warnings
from collections.abc import Iterator
from time import monotonic_ns
from typing import TypeVar

from . import _abi
from ._consumer import Consumer
from ._endpoint import ENDS, NOT_NOW, deadline, is_over
from ._errors import EndOfStream
from ._library import encode, fast, make_error, options, slow
from ._producer import BytesLike, Producer, to_bytes

_LOOK_NS = 1_000_000  # how often a client that waits for room looks for replies

_Self = TypeVar("_Self", bound="Channel")


class Channel:
    """One end of a channel. Not made directly: Client, Server."""

    _side = -1

    def __init__(
        self,
        name: str | bytes | os.PathLike[str],
        *,
        create: bool = False,
        pollable: bool = False,
        max_message: int | None = None,
        capacity: int = 0,
        mode: int = 0,
        flags: int = 0,
    ) -> None:
        raw = encode(name)
        self.name = os.fsdecode(raw)
        o = options(
            flags=flags | (_abi.CREATE if create else 0),
            wake=_abi.WAKE_FIFO if pollable else _abi.WAKE_FUTEX,
            capacity=capacity,
            mode=mode,
        )
        handle = fast.sluice_channel_new()
        if not handle:
            raise MemoryError
        r = slow.sluice_channel_open(handle, raw, self._side, o)
        if r:
            fast.sluice_channel_free(handle)
            raise make_error(r, self.name)
        self._handle = handle
        self._lock = threading.RLock()
        # The two ends, as any others: of a pollable channel they have descriptors.
        self.out = Producer.__new__(Producer)
        self.out._attach(fast.sluice_channel_out(handle), self.name, self)
        self.incoming = Consumer.__new__(Consumer)
        self.incoming._attach(fast.sluice_channel_in(handle), self.name, max_message, self)

    @classmethod
    def remove(cls, name: str | bytes | os.PathLike[str]) -> None:
        """Removes both queues."""
        raw = encode(name)
        r = slow.sluice_channel_remove(raw)
        if r:
            raise make_error(r, os.fsdecode(raw))

    @property
    def closed(self) -> bool:
        return self.out.closed

    def interrupt(self) -> None:
        """The current or next wait at either end raises Interrupted, once."""
        self.out.interrupt()
        self.incoming.interrupt()

    def close(self) -> None:
        """As Producer.close, of both ends."""
        if not self.out._open or self.out._foreign:
            return
        self.out.close()
        self.incoming.close()
        slow.sluice_channel_close(self._handle)

    def __enter__(self: _Self) -> _Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<sluice.{type(self).__name__} {self.name!r}{' closed' if self.closed else ''}>"

    def __del__(self) -> None:
        handle: int | None = getattr(self, "_handle", None)
        if handle is None:
            return
        if self.out._open and not self.out._foreign:
            warnings.warn(f"unclosed {self!r}", ResourceWarning, source=self, stacklevel=2)
            self.close()
        fast.sluice_channel_free(handle)


class Client(Channel):
    """Calls a server. "DIR/" with create=True: a channel of its own in that directory."""

    _side = _abi.CLIENT

    def call(self, request: BytesLike, timeout: float | None = None) -> bytes:
        """Sends the request, and waits for its reply. After an error it was served or not.

        PeerClosed, PeerDied: the server has gone, and has not replied; call again, for its
        successor. A reply that comes after its call is dropped by the next one.
        """
        until = deadline(timeout)
        raw = to_bytes(request)
        with self._lock:
            tag = self.out.messages + 1 & 0xFFFFFFFF
            self._send(raw, tag, until)
            while True:
                self.incoming._begin(until)
                try:
                    reply = self.incoming._receive(until)
                    if self.incoming._long.tag == tag:
                        return reply
                finally:
                    self.incoming._lock.release()

    def _send(self, raw: bytes, tag: int, until: int) -> None:
        """Takes late replies while there is no room: a server that waits for room for one
        serves no request."""
        out, sent = self.out, ctypes.c_size_t()
        out._begin(until)
        try:
            arguments = (raw, len(raw), tag, sent)
            while out._attempt_or_raise(fast.sluice_send_long, *arguments) < 0:
                self._drop_replies()
                if is_over(until):
                    raise out._failed(-errno.ETIMEDOUT if until else -errno.EAGAIN)
                look = min(until, monotonic_ns() + _LOOK_NS)
                r = slow.sluice_send_long(out._handle, *arguments, look)
                if r == 0:
                    return
                if r not in NOT_NOW and not (r in ENDS and out._told):
                    raise out._failed(r)
        finally:
            out._lock.release()

    def _drop_replies(self) -> None:
        self.incoming._begin(_abi.FOREVER)
        try:
            while self.incoming._take() is not None:
                pass
        finally:
            self.incoming._lock.release()


class Request:
    """What a client has sent."""

    def __init__(self, server: Server, data: bytes, tag: int) -> None:
        self._server = server
        self.data = data
        self.tag = tag

    def reply(self, data: BytesLike, timeout: float | None = None) -> None:
        """Of any length. A client need not take its replies: give a timeout."""
        self._server.out.send_long(data, self.tag, timeout)


class Server(Channel):
    """Serves one client at a time. For many clients: Group.watch(..., channels=True)."""

    _side = _abi.SERVER

    def recv(self, timeout: float | None = None) -> Request:
        """The next request. It does not come again if this process dies before it replies: the
        client is told, and calls again."""
        received = self.incoming.recv_message(timeout)
        return Request(self, received.data, received.tag)

    def __iter__(self) -> Iterator[Request]:
        """Until the client has closed."""
        while True:
            try:
                yield self.recv()
            except EndOfStream:
                return


