# SPDX-License-Identifier: MIT
"""What producers and consumers share: opening, waiting, closing.

Waiting. The library goes on sleeping after a signal, and Python runs its handlers between two
calls only. So a wait is made of calls of a tenth of a second, and Control-C is late by no more.

The end of a peer ends one wait, and is told again in the place of a timeout. So that
a slice is not taken for another end, `_told` says which end was told, and after it a successor
is waited for: sluice_*_await_peer.

Threads. A lock makes of several threads one after the other. close() comes to a thread that
waits with an interrupt, and closes when that thread has left. The memory of a handle lives as
long as its object, so a handle that is closed is refused by the library, at worst.
"""

from __future__ import annotations

import errno
import os
import threading
import warnings
import weakref
from time import monotonic_ns
from typing import Any, TypeVar

from . import _abi
from ._errors import Error, HandleClosed
from ._lend import Lent
from ._library import encode, fast, make_error, options, slow

SLICE_NS = 100_000_000
ENDS = (-errno.EPIPE, -errno.EOWNERDEAD)
NOT_NOW = (-errno.EAGAIN, -errno.ETIMEDOUT)

_Self = TypeVar("_Self", bound="Endpoint")
_all: weakref.WeakSet[Endpoint] = weakref.WeakSet()


def deadline(timeout: float | None) -> int:
    """For C: None is for ever, 0 now, else seconds from now."""
    if timeout is None:
        return _abi.FOREVER
    if timeout != timeout:
        raise ValueError("timeout is not a number")
    if timeout <= 0:
        return _abi.NOW
    return min(monotonic_ns() + int(min(timeout, 1e9) * 1e9), _abi.FOREVER)


def is_over(until: int) -> bool:
    return until != _abi.FOREVER and (until <= _abi.NOW or monotonic_ns() >= until)


def slice_of(until: int) -> int:
    return min(until, monotonic_ns() + SLICE_NS)


class Endpoint:
    """One end of a queue. Not made directly: Producer, Consumer."""

    _role = ""  # of the calls' names

    def __init__(self, handle: int, name: str | None, owner: object = None) -> None:
        self._name = name
        self._owner = owner  # the channel that the handle is a part of
        self._handle = handle
        self._lock = threading.RLock()
        self._guard = threading.RLock()  # of closing, against interrupt()
        self._open = True
        self._closing = False
        self._foreign = False  # in a child of fork()
        self._told = 0
        self._deferred: Error | None = None  # of a call that did a part: the next one raises it
        self._lent: list[Lent] = []
        self._await = getattr(slow, f"sluice_{self._role}_await_peer")
        self._await_now = getattr(fast, f"sluice_{self._role}_await_peer")
        self._interrupt = getattr(fast, f"sluice_{self._role}_interrupt")
        _all.add(self)

    @classmethod
    def _make(cls, name: str | bytes | os.PathLike[str], **fields: Any) -> tuple[int, str]:
        """Opens; the handle and the name for people."""
        raw = encode(name)
        create, pollable, flags = fields.pop("create"), fields.pop("pollable"), fields.pop("flags")
        o = options(
            flags=flags | (_abi.CREATE if create else 0),
            wake=_abi.WAKE_FIFO if pollable else _abi.WAKE_FUTEX,
            **fields,
        )
        handle = getattr(fast, f"sluice_{cls._role}_new")()
        if not handle:
            raise MemoryError
        try:
            r = getattr(slow, f"sluice_{cls._role}_open")(handle, raw, o)
            if r:
                raise make_error(r, os.fsdecode(raw))
        except BaseException:
            getattr(slow, f"sluice_{cls._role}_close")(handle)
            getattr(fast, f"sluice_{cls._role}_free")(handle)
            raise
        return handle, os.fsdecode(raw)

    # ---- Errors

    def _failed(self, r: int) -> Error:
        if self._closing and not self._foreign:
            return HandleClosed(errno.EBADF, "the handle is closed", self._name)
        if r in ENDS:
            self._told = r
        return make_error(r, self._name, self._class_of(r))

    def _class_of(self, r: int) -> type[Error] | None:
        return None

    def _check(self, r: int) -> int:
        if r < 0:
            raise self._failed(r)
        return r

    # ---- Waiting

    def _enter(self, until: int) -> None:
        """Takes the lock; until then another thread is in a call."""
        if not self._lock.acquire(blocking=False):
            if until == _abi.FOREVER:
                self._lock.acquire()
            elif not self._lock.acquire(timeout=max(0, (until - monotonic_ns()) / 1e9)):
                raise make_error(-errno.ETIMEDOUT if until > _abi.NOW else -errno.EAGAIN, self._name)
        if self._closing:
            self._lock.release()
            raise self._failed(-errno.EBADF if not self._foreign else -errno.EPERM)
        if self._deferred is not None:
            error, self._deferred = self._deferred, None
            self._lock.release()
            raise error

    def _attempt(self, call: Any, *args: Any) -> int:
        """Without waiting. -EAGAIN also after an end that was told, with no successor."""
        if self._told and self._await_now(self._handle, _abi.NOW) == 0:
            self._told = 0
        r: int = call(self._handle, *args, _abi.NOW)
        if r in ENDS and self._told:
            return -errno.EAGAIN
        return r

    def _attempt_or_raise(self, call: Any, *args: Any) -> int:
        """-EAGAIN, or what the call returns that succeeded."""
        r = self._attempt(call, *args)
        if self._closing or (r < 0 and r != -errno.EAGAIN):
            raise self._failed(r)
        return r

    def _wait(self, quick: Any, patient: Any, until: int, *args: Any) -> int:
        """The call, until it succeeds; of the lock's owner."""
        r = self._attempt(quick, *args)
        while r < 0:
            if self._closing or r not in NOT_NOW:
                raise self._failed(r)
            if is_over(until):
                raise self._failed(self._told or (-errno.ETIMEDOUT if until else r))
            if self._told:
                r = self._await(self._handle, slice_of(until))
                if r == 0:
                    self._told = 0
                    r = self._attempt(quick, *args)
                elif r in NOT_NOW and self._role == "producer":
                    r = self._attempt(quick, *args)
            else:
                r = patient(self._handle, *args, slice_of(until))
        return r

    def wait_for_peer(self, timeout: float | None = None) -> None:
        """Until the other end is opened, or has been since its end was last told."""
        until = deadline(timeout)
        self._enter(until)
        try:
            r = self._await_now(self._handle, _abi.NOW)
            while r in NOT_NOW and not is_over(until) and not self._closing:
                r = self._await(self._handle, slice_of(until))
            if r in NOT_NOW:
                r = -errno.ETIMEDOUT if until else -errno.EAGAIN
            self._check(r)
            self._told = 0
        finally:
            self._lock.release()

    def interrupt(self) -> None:
        """The current or next wait raises Interrupted, once. From any thread or handler."""
        with self._guard:
            if not self._open:
                raise self._failed(-errno.EBADF)
            self._check(self._interrupt(self._handle))

    # ---- What is lent

    def _settle(self) -> None:
        """Before anything that makes lent memory invalid: all of it was given back."""
        if not self._lent:
            return
        for lent in self._lent[:]:
            if not lent.abandoned:
                raise make_error(-errno.EINVAL, self._name)
            lent.take_back()
            self._lent.remove(lent)

    def _take_back_all(self) -> None:
        while self._lent:
            self._lent[-1].take_back()
            self._lent.pop()

    # ---- Closing

    @property
    def name(self) -> str | None:
        return self._name

    @property
    def closed(self) -> bool:
        return self._closing

    def close(self) -> None:
        """Gives the role up. BufferError, and nothing is done: memory of the ring is in use.

        A thread that waits in a call gets HandleClosed. Closing twice is harmless.
        """
        if self._foreign or not self._open:
            return
        if not self._lock.acquire(blocking=False):
            self._closing = True
            with self._guard:
                if self._open:
                    self._interrupt(self._handle)
            self._lock.acquire()
        try:
            self._take_back_all()
            self._closing = True
            self._close_handle()
        finally:
            self._closing = not self._open
            self._lock.release()

    def _close_handle(self) -> None:
        with self._guard:
            if not self._open:
                return
            self._open = False
            _all.discard(self)
            if self._owner is None:
                getattr(slow, f"sluice_{self._role}_close")(self._handle)

    def __enter__(self: _Self) -> _Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        try:
            self.close()
        except BufferError:
            # Its frames may keep the arrays. The finalizer closes when they are gone.
            if kind is None:
                raise
            for lent in self._lent:
                lent.abandoned = True

    def __repr__(self) -> str:
        return f"<sluice.{type(self).__name__} {self._name!r}{' closed' if self._closing else ''}>"

    def __del__(self) -> None:
        handle: int | None = getattr(self, "_handle", None)
        if handle is None or self._owner is not None:
            return
        if self._foreign or not self._open:
            getattr(fast, f"sluice_{self._role}_free")(handle)
            return
        warnings.warn(f"unclosed {self!r}", ResourceWarning, source=self, stacklevel=2)
        _bury(self._role, handle, self._lent)


def _bury(role: str, handle: int, lent: list[Lent]) -> None:
    """Closes when nothing is in use any more."""
    for one in lent[:]:
        try:
            one.take_back()
        except BufferError:
            weakref.finalize(one.base, _bury, role, handle, lent[lent.index(one) + 1 :])
            return
    getattr(slow, f"sluice_{role}_close")(handle)
    getattr(fast, f"sluice_{role}_free")(handle)


def _in_child() -> None:
    """The child has no mapping of its parent's queues: what can be invalidated, is."""
    for endpoint in list(_all):
        endpoint._lock, endpoint._guard = threading.RLock(), threading.RLock()
        endpoint._foreign = endpoint._closing = True
        for lent in endpoint._lent:
            try:
                lent.take_back()
            except BufferError:
                pass  # an array of it: the child is killed if it touches that
        endpoint._lent.clear()


os.register_at_fork(after_in_child=_in_child)

