# SPDX-License-Identifier: MIT
"""For asyncio: endpoints and groups whose waits are the event loop's.

    async for message in sluice.aio.Consumer("hello", create=True):
        print(message)

Timeouts are asyncio's (asyncio.timeout, wait_for). A wait that is cancelled has received and
sent nothing, but for a long message, which is given up.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
from collections.abc import AsyncIterator, Callable
from typing import Any, TypeVar

import sluice

from . import _abi
from ._errors import EndOfStream
from ._library import fast
from ._producer import BytesLike, to_bytes

_Self = TypeVar("_Self", bound="_Waiting")
_T = TypeVar("_T")
_FAIR = 64  # what comes at once, until other tasks have a turn


class _Waiting:
    """Something with a descriptor, of which one task at a time waits."""

    def __init__(self, target: Any) -> None:
        self._target = target
        self._lock = asyncio.Lock()
        self._waiter: asyncio.Future[None] | None = None
        self._at_once = 0

    async def _readable(self) -> None:
        loop = asyncio.get_running_loop()
        self._waiter = waiter = loop.create_future()
        fd = self._target.fileno()
        loop.add_reader(fd, _wake, waiter)
        try:
            await waiter
        finally:
            loop.remove_reader(fd)
            self._waiter = None

    async def _until(self, attempt: Callable[[], _T | None], arm: Callable[[], bool]) -> _T:
        """What attempt returns, when that is not None any more."""
        async with self._lock:
            while True:
                found = attempt()
                if found is not None:
                    self._at_once += 1
                    if self._at_once % _FAIR == 0:
                        await asyncio.sleep(0)
                    return found
                try:
                    if arm():
                        await self._readable()
                finally:
                    self._target.disarm()

    @property
    def closed(self) -> bool:
        return bool(self._target.closed)

    def close(self) -> None:
        """A task that waits gets HandleClosed."""
        if self._waiter is not None:
            asyncio.get_running_loop().remove_reader(self._target.fileno())
        self._target.close()
        if self._waiter is not None:
            _wake(self._waiter)

    async def __aenter__(self: _Self) -> _Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)


class Consumer(_Waiting):
    """As sluice.Consumer, with the same options."""

    def __init__(self, name: str | bytes | os.PathLike[str], **options: Any) -> None:
        self.consumer = sluice.Consumer(name, pollable=True, **options)
        super().__init__(self.consumer)

    def _take(self) -> bytes | None:
        c = self.consumer
        c._begin(_abi.NOW)
        try:
            return c._take()
        finally:
            c._lock.release()

    async def recv(self) -> bytes:
        """As Consumer.recv. After an end was told it waits for a successor."""
        return await self._until(self._take, self.consumer.arm)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while True:
            try:
                message = await self.recv()
            except EndOfStream:
                return
            yield message


class Producer(_Waiting):
    """As sluice.Producer, with the same options."""

    def __init__(self, name: str | bytes | os.PathLike[str], **options: Any) -> None:
        self.producer = sluice.Producer(name, pollable=True, **options)
        super().__init__(self.producer)

    async def send(self, data: BytesLike, tag: int = 0) -> None:
        """As Producer.send_long: of any length. Several tasks may send."""
        p, raw, sent = self.producer, to_bytes(data), ctypes.c_size_t()

        def attempt() -> bool | None:
            p._begin(_abi.NOW)
            try:
                r = p._attempt_or_raise(fast.sluice_send_long, raw, len(raw), tag, sent)
                return True if r == 0 else None
            finally:
                p._lock.release()

        def arm() -> bool:
            # In pieces, the ring has room for one.
            return p.arm(len(raw) if len(raw) <= p.max_len else p.max_len // 8)

        await self._until(attempt, arm)


class Group(_Waiting):
    """As sluice.Group, with the same options; add, remove and watch are at `group`."""

    def __init__(self, **options: Any) -> None:
        self.group = sluice.Group(**options)
        super().__init__(self.group)

    async def serve(self, handler: Callable[[sluice.Event], object]) -> int:
        """Until the handler returns something true. How many messages."""
        group, total = self.group, 0

        def attempt() -> bool | None:
            nonlocal total
            n = group.serve(handler, _FAIR, 0)
            total += n
            return True if group._stopped else False if n else None

        while not await self._until(attempt, group.arm):
            await asyncio.sleep(0)
        return total
