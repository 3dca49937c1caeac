# SPDX-License-Identifier: MIT
"""Memory of a ring that is lent to the program, as a memoryview, and taken back.

A memoryview cannot be invalidated while something was made from it: the array of numpy, a
slice, a cast. The slices of one view share a buffer that they keep until the last of them is
gone, so the view that is handed out gets its buffer from another one that nobody sees: that one
counts all of them, and refuses to be released before. (A slice of the view that nobody sees would
share its buffer, and not be counted: hence the PickleBuffer between the two.)
"""

from __future__ import annotations

import ctypes
from pickle import PickleBuffer
from typing import Any

_READ, _WRITE = 0x100, 0x200  # PyBUF_READ, PyBUF_WRITE
_from_memory: Any = ctypes.pythonapi["PyMemoryView_FromMemory"]
_from_memory.restype = ctypes.py_object
_from_memory.argtypes = [ctypes.c_void_p, ctypes.c_ssize_t, ctypes.c_int]


class Lent:
    """A part of the ring. `abandoned`: an exception has left the block that used it."""

    __slots__ = ("_base", "view", "abandoned")

    def __init__(self, address: int | None, length: int, writable: bool = False) -> None:
        self._base: memoryview = _from_memory(address, length, _WRITE if writable else _READ)
        self.view = memoryview(PickleBuffer(self._base))
        self.abandoned = False

    def take_back(self) -> None:
        """From now on the view raises ValueError. BufferError: something was made from it."""
        try:
            self.view.release()
            self._base.release()
        except BufferError:
            raise BufferError(
                "the message is still in use: delete the arrays, slices and views that were made "
                "from its data, or copy what is needed later"
            ) from None

    @property
    def base(self) -> memoryview:
        """What lives as long as anything that was made from the view."""
        return self._base
