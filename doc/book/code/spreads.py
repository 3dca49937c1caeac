# SPDX-License-Identifier: MIT
"""spreads.py: receives the prices of ticker.cpp, and sends a line for each to hello.cpp."""

import struct

import sluice

PRICE = struct.Struct("<Qdd")  # struct price of ticker.cpp

with (
    sluice.Consumer("prices") as prices,
    sluice.Producer("hello", create=True) as lines,
):
    for message in prices:  # until the ticker has closed
        instrument, bid, ask = PRICE.unpack(message)
        lines.send(f"instrument {instrument}: {ask - bid}".encode())
sluice.Queue("prices").remove()
