# SPDX-License-Identifier: MIT
"""What the C headers say: structures, constants, the version.

bindings/python/tests/test_abi.py compares each line with the headers.
"""

from __future__ import annotations

import ctypes
from ctypes import c_char, c_char_p, c_int, c_int64, c_size_t, c_uint, c_uint32, c_uint64
from ctypes import c_void_p

VERSION = "0.2.0"
ABI = 2  # of SLUICE_ABI, and of the soname
SONAME = "libsluice.so.0.2"
GROUP_SONAME = "libsluice-group.so.0.2"

NAME_MAX = 1023

NOW = 0
FOREVER = 2**63 - 1

PREFAULT = 1
LOCK = 2
HUGETLB = 4
CREATE = 8
ANY_OWNER = 16

WAKE_FUTEX = 0
WAKE_FIFO = 1

SPIN_DEFAULT = 0
SPIN_NONE = -1
SPIN_FOREVER = 2**63 - 1

REAP_PENDING = 1
REAP_ALL_USERS = 2
REAP_DRY_RUN = 4

WHOLE = 0
FIRST = 1
MIDDLE = 2
LAST = 3

CLIENT = 0
SERVER = 1

WATCH_REMOVE = 1
WATCH_CHANNELS = 2

PRIORITY_MAX = 7

MESSAGE = 0
JOINED = 1
ENDED = 2
DIED = 3
VIOLATED = 4
REMOVED = 5


class Message(ctypes.Structure):
    _fields_ = [
        ("data", c_void_p),
        ("len", c_size_t),
        ("tag", c_uint32),
        ("kind", c_uint32),
        ("position", c_uint64),
    ]


class Long(ctypes.Structure):
    _fields_ = [
        ("buf", c_void_p),
        ("cap", c_size_t),
        ("len", c_size_t),
        ("position", c_uint64),
        ("tag", c_uint32),
        ("open", c_int),
        ("skipping", c_int),
        ("kept", c_int),
        ("shown", c_int),
        ("kind", c_int),
        ("at", c_uint64),
        ("unused", c_uint64 * 4),
    ]


class Fanout(ctypes.Structure):
    _fields_ = [("out", c_void_p), ("n", c_uint), ("next", c_uint)]


class Iovec(ctypes.Structure):
    _fields_ = [("iov_base", c_char_p), ("iov_len", c_size_t)]


class Options(ctypes.Structure):
    _fields_ = [
        ("size", c_size_t),
        ("capacity", c_size_t),
        ("record_align", c_uint32),
        ("first_position", c_uint64),
        ("mode", c_uint32),
        ("flags", c_uint32),
        ("wake", c_int),
        ("spin_ns", c_int64),
        ("numa_node", c_int),
        ("slice_ns", c_int64),
        ("payload_align", c_uint32),
        ("type_size", c_uint32),
        ("type_id", c_uint64),
    ]


class GroupOptions(ctypes.Structure):
    _fields_ = [
        ("size", c_size_t),
        ("batch", c_uint32),
        ("hot_ns", c_int64),
        ("spin_ns", c_int64),
        ("slice_ns", c_int64),
        ("forget", c_void_p),
    ]


class EndpointStat(ctypes.Structure):
    _fields_ = [
        ("held", c_int),
        ("closed", c_int),
        ("asleep", c_int),
        ("position", c_uint64),
        ("messages", c_uint64),
        ("attaches", c_uint64),
        ("stalls", c_uint64),
        ("parks", c_uint64),
        ("wakes", c_uint64),
        ("pid", c_int64),
    ]


class QueueStat(ctypes.Structure):
    _fields_ = [
        ("size", c_size_t),
        ("name", c_char * (NAME_MAX + 1)),
        ("capacity", c_uint64),
        ("record_align", c_uint32),
        ("mode", c_uint32),
        ("uid", c_uint32),
        ("gid", c_uint32),
        ("key", c_int),
        ("shmid", c_int),
        ("semid", c_int),
        ("max_len", c_uint64),
        ("used", c_uint64),
        ("pending", c_uint64),
        ("high_water", c_uint64),
        ("attached", c_uint64),
        ("generation", c_uint64),
        ("created_s", c_int64),
        ("producer", EndpointStat),
        ("consumer", EndpointStat),
        ("error", c_int),
        ("orphan", c_int),
        ("dropped", c_uint64),
        ("torn", c_uint64),
        ("type_id", c_uint64),
        ("type_size", c_uint32),
        ("payload_align", c_uint32),
    ]


STRUCTURES = {
    "struct sluice_message": Message,
    "struct sluice_long": Long,
    "struct sluice_fanout": Fanout,
    "struct iovec": Iovec,
    "struct sluice_options": Options,
    "struct sluice_group_options": GroupOptions,
    "struct sluice_endpoint_stat": EndpointStat,
    "struct sluice_queue_stat": QueueStat,
}
CONSTANTS = """NAME_MAX NOW FOREVER PREFAULT LOCK HUGETLB CREATE ANY_OWNER WAKE_FUTEX WAKE_FIFO
    SPIN_DEFAULT SPIN_NONE SPIN_FOREVER REAP_PENDING REAP_ALL_USERS REAP_DRY_RUN WHOLE FIRST MIDDLE
    LAST CLIENT SERVER WATCH_REMOVE WATCH_CHANNELS PRIORITY_MAX MESSAGE JOINED ENDED DIED VIOLATED
    REMOVED ABI""".split()
