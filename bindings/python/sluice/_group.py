# SPDX-License-Identifier: MIT
"""Groups: one thread serves many queues.

The library calls a function of Python for each event; see _signals.py.
"""

from __future__ import annotations

import ctypes
import errno
import os
import sys
import threading
import warnings
from collections.abc import Callable
from typing import Any

from . import _abi
from ._endpoint import deadline, is_over, slice_of
from ._lend import Lent
from ._library import encode, load_group, make_error, options
from ._producer import BytesLike, to_bytes
from ._signals import Deferred

slow, fast = load_group()

_ARGUMENTS = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, ctypes.POINTER(_abi.Message))
_FUNCTION = ctypes.CFUNCTYPE(ctypes.c_int, *_ARGUMENTS)
_KEEP, _GO_ON, _STOP = -errno.ECANCELED, 0, 1
_MAX_MESSAGE = 16 * 1024 * 1024
_BUFFER = 64 * 1024
_MOST = 2 * sys.maxsize + 1  # SIZE_MAX


class Member:
    """A queue in a group. `data` is the program's own."""

    def __init__(self, group: Group, pointer: int) -> None:
        self._group = group
        self._pointer = pointer
        self._joined = False
        self._long: Any = None
        self._buffer: Any = None
        self.name: str = os.fsdecode(fast.sluice_member_name(pointer))
        self.data: Any = None

    def __repr__(self) -> str:
        return f"<sluice.Member {self.name!r}>"

    def _check_handled(self) -> None:
        if self._group._handled is not self:
            raise make_error(-errno.EINVAL, self.name)

    def set_priority(self, priority: int) -> None:
        """0 to 7. In the handler."""
        self._check_handled()
        r = fast.sluice_member_set_priority(self._pointer, priority)
        if r:
            raise make_error(r, self.name)

    def set_batch(self, messages: int) -> None:
        """Messages at each visit: a weight. In the handler."""
        self._check_handled()
        fast.sluice_member_set_batch(self._pointer, messages)

    def reply(self, tag: int, data: BytesLike, timeout: float | None = 0) -> None:
        """To the request with this tag, of a channel. In the handler. WouldBlock: no room; while
        it waits, no other member is served."""
        self._check_handled()
        raw = to_bytes(data)
        r = slow.sluice_member_reply(self._pointer, tag, raw, len(raw), deadline(timeout))
        if r:
            raise make_error(r, self.name)

    def _complete(self, message: Any, most: int) -> int:
        """The length of the long message of which this is a piece; negative: not yet."""
        if self._long is None:
            self._long = _abi.Long()
        while True:
            r: int = fast.sluice_member_recv_long(self._pointer, self._long, message)
            if r != -errno.EMSGSIZE or self._long.cap >= most:
                return r
            buffer = (ctypes.c_char * min(max(2 * self._long.cap, _BUFFER), most))()
            ctypes.memmove(buffer, self._long.buf, self._long.len)
            self._buffer = buffer
            self._long.buf, self._long.cap = ctypes.addressof(buffer), len(buffer)


class Event:
    """What a group tells its handler. kind: MESSAGE, JOINED, ENDED, DIED, VIOLATED, REMOVED.

    `data` is valid until the handler returns, then it raises ValueError: bytes(event) copies.
    """

    MESSAGE = _abi.MESSAGE
    JOINED = _abi.JOINED
    ENDED = _abi.ENDED
    DIED = _abi.DIED
    VIOLATED = _abi.VIOLATED
    REMOVED = _abi.REMOVED

    __slots__ = ("member", "kind", "data", "tag")

    def __init__(self, member: Member, kind: int, data: memoryview, tag: int) -> None:
        self.member = member
        self.kind = kind
        self.data = data
        self.tag = tag

    def __bytes__(self) -> bytes:
        return self.data.tobytes()


Handler = Callable[[Event], object]


class Group:
    """Serves any number of queues with one thread. serve hands over what there is."""

    def __init__(
        self,
        *,
        batch: int = 0,
        hot_ns: int = 0,
        spin_ns: int = 0,
        slice_ns: int = 0,
        max_message: int = _MAX_MESSAGE,
    ) -> None:
        o = _abi.GroupOptions(ctypes.sizeof(_abi.GroupOptions), batch, hot_ns, spin_ns, slice_ns)
        pointer = ctypes.c_void_p()
        r = slow.sluice_group_create(pointer, o)
        if r:
            raise make_error(r, None)
        self._pointer = pointer.value
        self._pid = os.getpid()
        self._lock = threading.RLock()
        self._guard = threading.RLock()
        self._closing = False
        self._most = max_message
        self._members: dict[int, Member] = {}
        self._handled: Member | None = None
        self._handler: Handler | None = None
        self._raised: BaseException | None = None
        self._stopped = False
        self._left = 0  # messages that serve may still hand over
        self._stale: list[Lent] = []
        self._signals = Deferred()
        self._function = _FUNCTION(self._called)

    # ---- Members: any thread

    def _check(self, r: int, name: str | None = None) -> int:
        if r < 0:
            raise make_error(r, name)
        return r

    def _check_open(self) -> None:
        if self._closing:
            raise make_error(-errno.EBADF, None)

    def add(
        self,
        name: str | bytes | os.PathLike[str],
        *,
        create: bool = False,
        capacity: int = 0,
        mode: int = 0,
        flags: int = 0,
    ) -> Member:
        """Opens the queue as its consumer, and adds it."""
        raw = encode(name)
        self._check_open()
        o = options(
            flags=flags | (_abi.CREATE if create else 0), capacity=capacity, mode=mode
        )
        pointer = ctypes.c_void_p()
        r = slow.sluice_group_add(self._pointer, raw, o, None, pointer)
        self._check(r, os.fsdecode(raw))
        assert pointer.value is not None
        return self._members.setdefault(pointer.value, Member(self, pointer.value))

    def remove(self, member: Member) -> None:
        """It leaves. What is not received stays for the next consumer."""
        self._check_open()
        if self._members.get(member._pointer) is not member:
            raise make_error(-errno.ENOENT, member.name)
        self._settle()
        del self._members[member._pointer]
        self._check(slow.sluice_group_remove(self._pointer, member._pointer), member.name)

    def watch(
        self,
        directory: str | bytes | os.PathLike[str],
        *,
        remove: bool = False,
        channels: bool = False,
    ) -> None:
        """Every queue in the directory is a member, or channel: now and later. remove: one that
        has ended and is drained is removed."""
        raw = encode(directory)
        self._check_open()
        flags = (_abi.WATCH_REMOVE if remove else 0) | (_abi.WATCH_CHANNELS if channels else 0)
        r = slow.sluice_group_watch(self._pointer, raw, flags, None)
        self._check(r, os.fsdecode(raw))

    # ---- Serving

    def _called(self, _: object, pointer: int, kind: int, message: Any) -> int:
        """By C: must not raise."""
        try:
            return self._guarded(pointer, kind, message)
        except BaseException as error:  # raised by serve
            self._signals.safe = False
            self._raised = error
            return _KEEP

    def _guarded(self, pointer: int, kind: int, message: Any) -> int:
        try:
            self._signals.safe = True
            self._signals.deliver()
            return self._handle(pointer, kind, message)
        finally:
            self._signals.safe = False
            self._handled = None

    def _member(self, pointer: int, kind: int) -> Member:
        member = self._members.get(pointer)
        if member is None or (kind == _abi.JOINED and member._joined):
            member = self._members[pointer] = Member(self, pointer)
        member._joined = True
        return member

    def _handle(self, pointer: int, kind: int, message: Any) -> int:
        self._handled = member = self._member(pointer, kind)
        assert self._handler is not None
        if kind != _abi.MESSAGE:
            answer = self._handler(Event(member, kind, memoryview(b""), 0))
            if kind == _abi.REMOVED:
                self._members.pop(pointer, None)
        else:
            m = message.contents
            address, length, tag = m.data, m.len, m.tag
            if m.kind != _abi.WHOLE or member._long is not None:
                length = member._complete(message, self._most)
                if length < 0:
                    return _GO_ON
                address, tag = member._long.buf, member._long.tag
            lent = Lent(address, length)
            self._stale.append(lent)
            answer = self._handler(Event(member, kind, lent.view, tag))
            self._settle()
            self._left -= 1
        self._stopped = bool(answer)
        return _STOP if answer or self._left == 0 else _GO_ON

    def _settle(self) -> None:
        """What handlers were given is not in use any more."""
        while self._stale:
            self._stale[-1].take_back()
            self._stale.pop()

    def _once(self, until: int) -> None:
        self._raised = None
        r: int = slow.sluice_group_serve(self._pointer, self._function, None, _MOST, until)
        if self._raised is not None:
            error, self._raised = self._raised, None
            raise error
        self._signals.deliver()
        if r < 0 and self._closing:
            raise make_error(-errno.EBADF, None)
        self._check(r)

    def serve(
        self, handler: Handler, most: int | None = None, timeout: float | None = None
    ) -> int:
        """Calls handler(event) for each message and event until the time is over, `most`
        messages were handled, or the handler returns something true. How many messages.

        What the handler raises, serve raises; that message is not released, and comes again.
        """
        until = deadline(timeout)
        limit = _MOST if most is None else most
        if limit < 1:
            raise ValueError("at least one message is to be handled")
        with self._lock:
            if self._handler is not None:
                raise make_error(-errno.EINVAL, None)
            self._settle()
            self._handler, self._stopped, self._left = handler, False, limit
            try:
                with self._signals:
                    while True:
                        self._check_open()
                        self._once(slice_of(until))
                        if self._stopped or self._left == 0 or is_over(until):
                            return limit - self._left
            finally:
                self._handler = None

    def interrupt(self) -> None:
        """The current or next serve raises Interrupted, once. From any thread or handler."""
        with self._guard:
            self._check_open()
            self._check(fast.sluice_group_interrupt(self._pointer))

    # ---- Event loops

    def fileno(self) -> int:
        """The descriptor for the whole group, for arm."""
        self._check_open()
        return self._check(fast.sluice_group_fd(self._pointer))

    def arm(self) -> bool:
        """Before waiting for the descriptor to be readable. False: serve has something to do."""
        with self._lock:
            self._check_open()
            return self._check(fast.sluice_group_arm(self._pointer)) == 0

    def disarm(self) -> None:
        """After waiting for it; then serve with timeout 0."""
        with self._lock:
            if not self._closing:
                self._check(fast.sluice_group_disarm(self._pointer))

    # ---- Closing

    @property
    def closed(self) -> bool:
        return self._closing

    def close(self) -> None:
        """Removes all members. Not in the handler. A serve in another thread raises HandleClosed."""
        if self._closing or os.getpid() != self._pid:
            return
        if self._handled is not None and self._lock_is_mine():
            raise make_error(-errno.EBUSY, None)
        if not self._lock.acquire(blocking=False):
            with self._guard:
                self._closing = True
                fast.sluice_group_interrupt(self._pointer)
            self._lock.acquire()
        try:
            self._closing = False
            self._settle()
            with self._guard:
                self._closing = True
                slow.sluice_group_destroy(self._pointer)
            self._members.clear()
        finally:
            self._lock.release()

    def _lock_is_mine(self) -> bool:
        return bool(self._lock._is_owned())  # type: ignore[attr-defined]

    def __enter__(self) -> Group:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        if getattr(self, "_closing", True) or os.getpid() != self._pid:
            return
        warnings.warn("unclosed <sluice.Group>", ResourceWarning, source=self, stacklevel=2)
        self.close()


__all__ = ["Event", "Group", "Handler", "Member"]
