"""What the meters' tests share: something that gives readings, and a board that idles and works."""

from __future__ import annotations

import threading
import time

import pytest

IDLE, BUSY = 2.0, 3.5


class Source:
    """Gives a reading every few milliseconds until the end of the ``with``; ``load`` is what it reads."""

    def __init__(self, write):
        self.write, self.load, self.count, self.stopped = write, IDLE, 0, threading.Event()
        self.thread = threading.Thread(target=self.run)

    def run(self):
        while not self.stopped.wait(0.005):
            self.write(self.load + 0.01 * (self.count % 2))
            self.count += 1

    def more(self, readings=30):
        target = self.count + readings
        while self.count < target and not self.stopped.is_set():
            time.sleep(0.005)

    def ask(self):
        """As the agent does: what it gives is relative to some moment after the call."""
        time.sleep(0.01)
        began = time.time()
        self.more()
        middle = time.time() - began
        self.load = BUSY
        self.more()
        ended = time.time() - began
        self.load = IDLE
        return {"rails": {}, "idle_s": [0.0, middle], "busy_s": [middle, ended]}

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopped.set()
        self.thread.join()


def check(found, name):
    assert found["idle_w"] == pytest.approx(IDLE, abs=0.011)
    assert found["busy_w"] == pytest.approx(BUSY, abs=0.011)
    assert found["step_w"] == pytest.approx(0.01)
    assert not found["below_resolution"]
    assert min(found["samples"]) >= 3
    assert (found["meter"], found["measures"]) == (name, "the whole board at its supply, not the chip")
