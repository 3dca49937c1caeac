# SPDX-License-Identifier: MIT
"""Signal handlers that wait while C calls Python.

A handler runs between any two instructions of Python in the main thread, also on the first one of
a function that C calls, before its `try`. What it raises there ctypes can only print, and what C
is answered is undefined. So handlers are replaced meanwhile by one that notes the signal; the
program's own are called where what they raise is caught.
"""

from __future__ import annotations

import _signal  # type: ignore[import]
import threading
from types import FrameType
from typing import Any


class Deferred:
    """As a context manager, in a thread's turn; not to be nested."""

    def __init__(self) -> None:
        self._handlers: dict[int, Any] = {}
        self._noted: list[int] = []
        self.safe = False  # what a handler raises now is caught

    def __enter__(self) -> Deferred:
        if threading.current_thread() is threading.main_thread():
            for number in range(1, _signal.NSIG):
                handler = _signal.getsignal(number)
                if callable(handler):
                    self._handlers[number] = handler
                    _signal.signal(number, self._note)
        return self

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._noted.append(number)
        if self.safe:
            self.deliver(frame)

    def deliver(self, frame: FrameType | None = None) -> None:
        """Calls the program's handlers for what was noted."""
        while self._noted:
            number = self._noted.pop(0)
            self._handlers[number](number, frame)

    def __exit__(self, *_: object) -> None:
        self.safe = False
        for number, handler in self._handlers.items():
            # The program may have set another one meanwhile.
            if _signal.getsignal(number) == self._note:
                _signal.signal(number, handler)
        handlers, self._handlers = self._handlers, {}
        noted, self._noted = self._noted, []
        for number in noted:
            handlers[number](number, None)
