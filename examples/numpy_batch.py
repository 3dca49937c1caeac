# SPDX-License-Identifier: MIT
"""numpy_batch.py: a batch of messages as a structured array of numpy, without a copy.

Messages of one length that were sent together lie at equal distances in the ring, so an array
with that stride has them all. It must be gone before the batch is released: what is to stay
is copied, as the sums are here. Needs python3-numpy.
"""

import numpy as np

import sluice

PRICE = np.dtype([("instrument", "<u4"), ("flags", "<u4"), ("bid", "<f8"), ("ask", "<f8")])


def send(name: str) -> None:
    prices = np.zeros(1000, PRICE)
    prices["instrument"] = np.arange(1000) % 10
    prices["bid"] = np.linspace(99, 100, 1000)
    prices["ask"] = prices["bid"] + 0.5
    with sluice.Producer(name) as producer:
        producer.send_many(prices)  # each row is a message


def receive(name: str) -> None:
    count, spread = 0, 0.0
    with sluice.Consumer(name) as consumer:
        while True:
            try:
                with consumer.peek_many(4096) as batch:
                    for run in batch.runs():
                        array = np.ndarray(run.number, PRICE, run.data, 0, (run.stride,))
                        count += len(array)
                        spread += float((array["ask"] - array["bid"]).sum())
                        del array
            except sluice.EndOfStream:
                break
    print(f"{count} prices, mean spread {spread / count:.2f}")


if __name__ == "__main__":
    with sluice.Queue("prices").create(capacity=1 << 20):
        send("prices")
        receive("prices")
