# SPDX-License-Identifier: MIT
"""Exceptions. All are OSError: errno, strerror (what to do), filename (the queue)."""

from __future__ import annotations

import errno as _e


class Error(OSError):
    """An error of the library; strerror says what it means and what to do."""


class Timeout(Error, TimeoutError):
    """The time is over (ETIMEDOUT)."""


class WouldBlock(Error, BlockingIOError):
    """No message, or no room, now (EAGAIN)."""


class PeerClosed(Error, BrokenPipeError):
    """The other side has closed, and all is drained (EPIPE). Told once."""


class EndOfStream(PeerClosed, EOFError):
    """The producer has closed, and all is received (EPIPE)."""


class PeerDied(Error, ConnectionResetError):
    """The other side died, and all is drained (EOWNERDEAD). Told once."""


class MessageTooLong(Error):
    """For the queue, or for `max_message` (EMSGSIZE)."""


class QueueRemoved(Error):
    """The queue was removed, or made again (ESTALE)."""


class Interrupted(Error):
    """interrupt() was called (ECANCELED)."""


class ProtocolViolation(Error):
    """The memory violates the protocol (EBADMSG)."""


class RoleTaken(Error):
    """Another handle has this end of the queue (EBUSY)."""


class NotFound(Error, FileNotFoundError):
    """There is no such queue (ENOENT)."""


class NameInUse(Error, FileExistsError):
    """The name is in use: a queue, or something else (EEXIST, ENOTEMPTY, EADDRINUSE)."""


class NotPermitted(Error, PermissionError):
    """Another user's queue, or the parent process's handle (EPERM, EACCES)."""


class Incompatible(Error):
    """Another version, byte order, type or IPC namespace
    (EPROTO, EPROTONOSUPPORT, EPROTOTYPE, EMEDIUMTYPE, EREMOTE)."""


class LimitReached(Error):
    """A limit of the system; strerror names it (ENOSPC, ENOMEM, EMFILE, ENFILE)."""


class InvalidArgument(Error, ValueError):
    """An argument out of range, or a call out of order (EINVAL, ERANGE, EFBIG)."""


class HandleClosed(Error, ValueError):
    """The handle is closed, or was closed during the call (EBADF)."""


CLASSES: dict[int, type[Error]] = {
    _e.ETIMEDOUT: Timeout,
    _e.EAGAIN: WouldBlock,
    _e.EPIPE: PeerClosed,
    _e.EOWNERDEAD: PeerDied,
    _e.EMSGSIZE: MessageTooLong,
    _e.ESTALE: QueueRemoved,
    _e.ECANCELED: Interrupted,
    _e.EBADMSG: ProtocolViolation,
    _e.EBUSY: RoleTaken,
    _e.ENOENT: NotFound,
    _e.EEXIST: NameInUse,
    _e.ENOTEMPTY: NameInUse,
    _e.EADDRINUSE: NameInUse,
    _e.EPERM: NotPermitted,
    _e.EACCES: NotPermitted,
    _e.EPROTO: Incompatible,
    _e.EPROTONOSUPPORT: Incompatible,
    _e.EPROTOTYPE: Incompatible,
    _e.EMEDIUMTYPE: Incompatible,
    _e.EREMOTE: Incompatible,
    _e.ENOSPC: LimitReached,
    _e.ENOMEM: LimitReached,
    _e.EMFILE: LimitReached,
    _e.ENFILE: LimitReached,
    _e.EINVAL: InvalidArgument,
    _e.ERANGE: InvalidArgument,
    _e.EFBIG: InvalidArgument,
    _e.EBADF: HandleClosed,
}
