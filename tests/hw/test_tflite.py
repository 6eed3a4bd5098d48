"""Timing by TensorFlow Lite where a network is slow; with a real one test_processors times it."""

from __future__ import annotations

import numpy as np

from hw.measure import tflite


class Interpreter:
    """Twice its input."""

    def get_input_details(self):
        return [{"index": 0}]

    get_output_details = get_input_details

    def set_tensor(self, _, x):
        self.x = x

    def invoke(self):
        pass

    def get_tensor(self, _):
        return 2 * self.x


def test_a_network_whose_warm_up_takes_all_the_time_is_timed_once(monkeypatch):
    monkeypatch.setattr(tflite, "SECONDS", -1.0)  # over before the vectors are
    samples = np.arange(16, dtype=np.float32).reshape(16, 1, 1)
    times, outputs = tflite._run(Interpreter(), samples)
    assert len(times) == 1
    assert np.array_equal(outputs, 2 * samples)
