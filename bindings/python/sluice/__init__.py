# SPDX-License-Identifier: MIT
"""sluice: a lock-free message queue in shared memory, from Python.

    with sluice.Producer("hello", create=True) as producer:
        producer.send(b"hi")

    with sluice.Consumer("hello") as consumer:
        for message in consumer:
            print(message)

sluice.aio has the same for asyncio.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._abi import ANY_OWNER, FIRST, HUGETLB, LAST, LOCK, MIDDLE, PREFAULT, SPIN_FOREVER, SPIN_NONE
from ._abi import VERSION as __version__
from ._abi import WHOLE
from ._consumer import Batch, Consumer, Message, Received, Run
from ._errors import EndOfStream, Error, HandleClosed, Incompatible, Interrupted, InvalidArgument
from ._errors import LimitReached, MessageTooLong, NameInUse, NotFound, NotPermitted, PeerClosed
from ._errors import PeerDied, ProtocolViolation, QueueRemoved, RoleTaken, Timeout, WouldBlock
from ._producer import Producer, Reservation
from ._queue import EndpointStat, Queue, QueueStat

if TYPE_CHECKING:
    from ._channel import Client as Client
    from ._channel import Request as Request
    from ._channel import Server as Server
    from ._fanout import Fanout as Fanout
    from ._group import Event as Event
    from ._group import Group as Group
    from ._group import Member as Member

_LATER = {
    "Client": "_channel",
    "Server": "_channel",
    "Request": "_channel",
    "Event": "_group",
    "Fanout": "_fanout",
    "Group": "_group",
    "Member": "_group",
}

__all__ = [
    "ANY_OWNER",
    "Batch",
    "Client",
    "Consumer",
    "EndOfStream",
    "EndpointStat",
    "Error",
    "Event",
    "FIRST",
    "Fanout",
    "Group",
    "HUGETLB",
    "HandleClosed",
    "Incompatible",
    "Interrupted",
    "InvalidArgument",
    "LAST",
    "LOCK",
    "LimitReached",
    "MIDDLE",
    "Member",
    "Message",
    "MessageTooLong",
    "NameInUse",
    "NotFound",
    "NotPermitted",
    "PREFAULT",
    "PeerClosed",
    "PeerDied",
    "Producer",
    "ProtocolViolation",
    "Queue",
    "QueueRemoved",
    "QueueStat",
    "Received",
    "Request",
    "Reservation",
    "RoleTaken",
    "Run",
    "SPIN_FOREVER",
    "SPIN_NONE",
    "Server",
    "Timeout",
    "WHOLE",
    "WouldBlock",
    "__version__",
]


def __getattr__(name: str) -> Any:
    """What not every program needs is imported when it is used first."""
    if name not in _LATER:
        raise AttributeError(f"module 'sluice' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module("." + _LATER[name], __name__), name)
    globals()[name] = value
    return value
