# SPDX-License-Identifier: MIT
"""Loads the library, and declares its calls."""

from __future__ import annotations

import ctypes
import os
from ctypes import POINTER, byref, c_char_p, c_int, c_int64, c_size_t, c_ssize_t, c_uint, c_uint32
from ctypes import c_uint64, c_void_p
from typing import Any

from . import _abi
from ._errors import CLASSES, Error

LIMITS = (1, 12, 23, 24, 27, 28)  # EPERM, ENOMEM, ENFILE, EMFILE, EFBIG, ENOSPC: sluice_limit

_MESSAGE = POINTER(_abi.Message)
_FANOUT = POINTER(_abi.Fanout)
_LONG = POINTER(_abi.Long)
_OPTIONS = POINTER(_abi.Options)
_STAT = POINTER(_abi.QueueStat)

# The calls that may wait release the GIL (CDLL), all others keep it (PyDLL): they are shorter
# than giving it away and taking it back.
WAITING: dict[str, tuple[Any, list[Any]]] = {
    "sluice_recv_long": (c_ssize_t, [c_void_p, _LONG, c_int64]),
    "sluice_send_long": (
        c_int,
        [c_void_p, c_char_p, c_size_t, c_uint32, POINTER(c_size_t), c_int64],
    ),
    "sluice_peek": (c_int, [c_void_p, _MESSAGE, c_int64]),
    "sluice_peek_latest": (c_int, [c_void_p, _MESSAGE, c_int64]),
    "sluice_peek_many": (c_ssize_t, [c_void_p, _MESSAGE, c_size_t, c_int64]),
    "sluice_reserve": (c_int, [c_void_p, c_size_t, POINTER(c_void_p), c_int64]),
    "sluice_send_many": (c_int, [c_void_p, POINTER(_abi.Iovec), c_int, c_int64]),
    "sluice_producer_await_peer": (c_int, [c_void_p, c_int64]),
    "sluice_consumer_await_peer": (c_int, [c_void_p, c_int64]),
    "sluice_call": (c_ssize_t, [c_void_p, c_char_p, c_size_t, c_void_p, c_size_t, c_int64]),
    "sluice_fanout_send_key": (
        c_int,
        [_FANOUT, c_uint64, c_char_p, c_size_t, c_uint32, c_int64],
    ),
    "sluice_fanout_send_next": (c_int, [_FANOUT, c_char_p, c_size_t, c_uint32, c_int64]),
    "sluice_fanout_send_any": (c_int, [_FANOUT, c_char_p, c_size_t, c_uint32, c_int64]),
    "sluice_fanout_send_all": (c_int, [_FANOUT, c_char_p, c_size_t, c_uint32, c_int64]),
    "sluice_reply": (c_int, [c_void_p, c_uint32, c_char_p, c_size_t, c_int64]),
}
SLOW: dict[str, tuple[Any, list[Any]]] = {
    "sluice_create": (c_int, [c_char_p, _OPTIONS]),
    "sluice_remove": (c_int, [c_char_p]),
    "sluice_stat": (c_int, [c_char_p, _STAT]),
    "sluice_list": (c_int, [c_void_p, c_void_p]),
    "sluice_reap": (c_int, [_STAT, c_uint]),
    "sluice_producer_open": (c_int, [c_void_p, c_char_p, _OPTIONS]),
    "sluice_consumer_open": (c_int, [c_void_p, c_char_p, _OPTIONS]),
    "sluice_producer_close": (c_int, [c_void_p]),
    "sluice_consumer_close": (c_int, [c_void_p]),
    "sluice_channel_open": (c_int, [c_void_p, c_char_p, c_int, _OPTIONS]),
    "sluice_channel_close": (c_int, [c_void_p]),
    "sluice_channel_create": (c_int, [c_char_p, _OPTIONS]),
    "sluice_channel_remove": (c_int, [c_char_p]),
}
QUICK: dict[str, tuple[Any, list[Any]]] = {
    "sluice_version": (c_char_p, []),
    "sluice_strerror": (c_char_p, [c_ssize_t]),
    "sluice_limit": (c_char_p, []),
    "sluice_producer_new": (c_void_p, []),
    "sluice_consumer_new": (c_void_p, []),
    "sluice_producer_free": (None, [c_void_p]),
    "sluice_consumer_free": (None, [c_void_p]),
    "sluice_release": (c_int, [c_void_p]),
    "sluice_advance": (c_int, [c_void_p]),
    "sluice_skip_long": (c_int, [c_void_p, _LONG]),
    "sluice_set_tag": (None, [c_void_p, c_uint32]),
    "sluice_set_kind": (c_int, [c_void_p, c_int]),
    "sluice_abort": (None, [c_void_p]),
    "sluice_stage": (c_int, [c_void_p, c_size_t]),
    "sluice_commit": (c_int, [c_void_p, c_size_t]),
    "sluice_publish": (c_int, [c_void_p]),
    "sluice_offer": (c_int, [c_void_p, c_char_p, c_size_t, c_uint32]),
    "sluice_producer_max_len": (c_size_t, [c_void_p]),
    "sluice_consumer_max_len": (c_size_t, [c_void_p]),
    "sluice_producer_position": (c_uint64, [c_void_p]),
    "sluice_consumer_position": (c_uint64, [c_void_p]),
    "sluice_producer_messages": (c_uint64, [c_void_p]),
    "sluice_consumer_messages": (c_uint64, [c_void_p]),
    "sluice_producer_pending": (c_uint64, [c_void_p]),
    "sluice_consumer_pending": (c_uint64, [c_void_p]),
    "sluice_producer_fd": (c_int, [c_void_p]),
    "sluice_consumer_fd": (c_int, [c_void_p]),
    "sluice_producer_arm": (c_int, [c_void_p, c_size_t]),
    "sluice_consumer_arm": (c_int, [c_void_p]),
    "sluice_producer_disarm": (c_int, [c_void_p]),
    "sluice_consumer_disarm": (c_int, [c_void_p]),
    "sluice_producer_interrupt": (c_int, [c_void_p]),
    "sluice_consumer_interrupt": (c_int, [c_void_p]),
    "sluice_channel_new": (c_void_p, []),
    "sluice_channel_free": (None, [c_void_p]),
    "sluice_channel_out": (c_void_p, [c_void_p]),
    "sluice_channel_in": (c_void_p, [c_void_p]),
    "sluice_channel_interrupt": (c_int, [c_void_p]),
}
GROUP_WAITING: dict[str, tuple[Any, list[Any]]] = {
    "sluice_group_serve": (c_ssize_t, [c_void_p, c_void_p, c_void_p, c_size_t, c_int64]),
    "sluice_group_create": (c_int, [POINTER(c_void_p), POINTER(_abi.GroupOptions)]),
    "sluice_group_destroy": (c_int, [c_void_p]),
    "sluice_group_add": (
        c_int,
        [c_void_p, c_char_p, _OPTIONS, c_void_p, POINTER(c_void_p)],
    ),
    "sluice_group_remove": (c_int, [c_void_p, c_void_p]),
    "sluice_group_watch": (c_int, [c_void_p, c_char_p, c_uint, c_void_p]),
    "sluice_member_reply": (c_int, [c_void_p, c_uint32, c_char_p, c_size_t, c_int64]),
}
GROUP_QUICK: dict[str, tuple[Any, list[Any]]] = {
    "sluice_group_fd": (c_int, [c_void_p]),
    "sluice_group_arm": (c_int, [c_void_p]),
    "sluice_group_disarm": (c_int, [c_void_p]),
    "sluice_group_interrupt": (c_int, [c_void_p]),
    "sluice_member_name": (c_char_p, [c_void_p]),
    "sluice_member_set_priority": (c_int, [c_void_p, c_uint]),
    "sluice_member_set_batch": (None, [c_void_p, c_uint]),
    "sluice_member_recv_long": (c_ssize_t, [c_void_p, _LONG, _MESSAGE]),
}


def _path(soname: str) -> str:
    """$SLUICE_LIBRARY_DIR, else beside this file (in a wheel), else where the system has it."""
    directory = os.environ.get("SLUICE_LIBRARY_DIR") or os.path.dirname(os.path.abspath(__file__))
    path = os.path.join(directory, soname)
    if "SLUICE_LIBRARY_DIR" in os.environ or os.path.exists(path):
        return path
    return soname


def _declare(library: ctypes.CDLL, calls: dict[str, tuple[Any, list[Any]]], path: str) -> None:
    for name, (restype, argtypes) in calls.items():
        try:
            call = getattr(library, name)
        except AttributeError:
            raise ImportError(
                f"{path} has no {name}: it is of another version than this package, "
                f"{_abi.VERSION}; install the two from one source"
            ) from None
        call.restype = restype
        call.argtypes = argtypes


def _load(soname: str, waiting: list[dict[str, Any]], quick: dict[str, Any]) -> tuple[Any, Any]:
    path = _path(soname)
    try:
        slow, fast = ctypes.CDLL(path), ctypes.PyDLL(path)
    except OSError as error:
        raise ImportError(
            f"the library of sluice cannot be loaded: {error}; install it (package "
            f"libsluice), or name its directory in SLUICE_LIBRARY_DIR"
        ) from None
    for calls in waiting:
        _declare(slow, calls, path)
        _declare(fast, calls, path)
    _declare(fast, quick, path)
    return slow, fast


def _check_version(version: str) -> None:
    if version.split(".")[:2] != _abi.VERSION.split(".")[:2]:
        raise ImportError(
            f"libsluice is version {version}, and this package is for {_abi.VERSION}: "
            f"install the two from one source, or see SLUICE_LIBRARY_DIR"
        )


slow, fast = _load(_abi.SONAME, [WAITING, SLOW], QUICK)
_check_version(fast.sluice_version().decode())


def load_group() -> tuple[Any, Any]:
    """The library of groups: loaded when the first group is made."""
    return _load(_abi.GROUP_SONAME, [GROUP_WAITING], GROUP_QUICK)


def make_error(code: int, name: str | None, cls: type[Error] | None = None) -> Error:
    """The exception for a negative errno."""
    text = fast.sluice_strerror(code).decode()
    if -code in LIMITS:
        limit = fast.sluice_limit().decode(errors="replace")
        text = f"{text} [{limit}]" if limit else text
    if cls is None:
        cls = CLASSES.get(-code, Error)
    return cls(-code, text, name)


def encode(name: str | bytes | os.PathLike[str]) -> bytes:
    """A queue's name, for C."""
    raw = os.fsencode(name)
    if b"\0" in raw:
        raise ValueError("a queue's name has no null byte")
    # Relative paths are as in C: `./q`, and a bare word is in the user's directory.
    return raw


def options(**fields: int) -> Any:
    """A pointer to struct sluice_options."""
    o = _abi.Options(size=ctypes.sizeof(_abi.Options))
    for field, value in fields.items():
        try:
            setattr(o, field, value)
        except TypeError:
            raise TypeError(f"{field} must be an int") from None
        if getattr(o, field) != value:
            raise make_error(-22, None)  # EINVAL: it does not fit its field
    return byref(o)
