# SPDX-License-Identifier: MIT
"""Queues as such: made, removed, looked at."""

from __future__ import annotations

import ctypes
import os
from typing import Any, NamedTuple

from . import _abi
from ._library import encode, fast, make_error, options, slow

_LIST = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.POINTER(_abi.QueueStat))
_PLAIN = [n for n, _ in _abi.QueueStat._fields_ if n not in ("size", "producer", "consumer")]
_SIDE = [n for n, _ in _abi.EndpointStat._fields_]


class EndpointStat(NamedTuple):
    """One end of a queue, as an observer sees it: struct sluice_endpoint_stat."""

    held: bool
    closed: bool
    asleep: bool
    position: int
    messages: int
    attaches: int
    stalls: int
    parks: int
    wakes: int
    pid: int


class QueueStat(NamedTuple):
    """A queue, as an observer sees it: struct sluice_queue_stat."""

    name: str
    capacity: int
    record_align: int
    mode: int
    uid: int
    gid: int
    key: int
    shmid: int
    semid: int
    max_len: int
    used: int
    pending: int
    high_water: int
    attached: int
    generation: int
    created_s: int
    error: int
    orphan: bool
    dropped: int
    torn: int
    type_id: int
    type_size: int
    payload_align: int
    producer: EndpointStat
    consumer: EndpointStat


def _endpoint(st: Any) -> EndpointStat:
    values = {n: getattr(st, n) for n in _SIDE}
    for flag in ("held", "closed", "asleep"):
        values[flag] = bool(values[flag])
    return EndpointStat(**values)


def _stat(st: Any) -> QueueStat:
    values = {n: getattr(st, n) for n in _PLAIN}
    values["name"] = os.fsdecode(values["name"])
    values["orphan"] = bool(values["orphan"])
    return QueueStat(**values, producer=_endpoint(st.producer), consumer=_endpoint(st.consumer))


class Queue:
    """A name, and what is done to the queue that has it. Nothing is opened.

    As a context manager it removes the queue behind the block.
    """

    def __init__(self, name: str | bytes | os.PathLike[str]) -> None:
        self._raw = encode(name)
        self.name = os.fsdecode(self._raw)

    def create(
        self,
        *,
        capacity: int = 0,
        record_align: int = 0,
        payload_align: int = 0,
        mode: int = 0,
        type_id: int = 0,
        type_size: int = 0,
        first_position: int = 0,
        numa_node: int = 0,
        flags: int = 0,
    ) -> Queue:
        """Makes it. NameInUse: there is one. Returns itself."""
        o = options(
            capacity=capacity,
            record_align=record_align,
            payload_align=payload_align,
            mode=mode,
            type_id=type_id,
            type_size=type_size,
            first_position=first_position,
            numa_node=numa_node,
            flags=flags,
        )
        self._check(slow.sluice_create(self._raw, o))
        return self

    def remove(self) -> None:
        """Removes it; who has it open gets QueueRemoved when it is drained."""
        self._check(slow.sluice_remove(self._raw))

    def stat(self) -> QueueStat:
        """Looks at it, and changes nothing."""
        st = _abi.QueueStat()
        self._check(slow.sluice_stat(self._raw, st))
        return _stat(st)

    def _check(self, r: int) -> None:
        if r < 0:
            raise make_error(r, self.name)

    def __enter__(self) -> Queue:
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()

    def __repr__(self) -> str:
        return f"<sluice.Queue {self.name!r}>"

    @staticmethod
    def list() -> list[QueueStat]:
        """All queues of this machine that the caller may read."""
        found: list[Any] = []

        def show(_: object, st: Any) -> int:
            copy = _abi.QueueStat()
            ctypes.memmove(ctypes.byref(copy), st, ctypes.sizeof(copy))
            found.append(copy)
            return 0

        # Under the GIL: no signal handler runs in the function, where it could not raise.
        r = fast.sluice_list(_LIST(show), None)
        if r < 0:
            raise make_error(r, None)
        return [_stat(st) for st in found]
