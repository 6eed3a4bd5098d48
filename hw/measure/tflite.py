"""The Keras model on this processor through TensorFlow Lite: latency of one inference, beside the C model's."""

from __future__ import annotations

import statistics
import time
import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from codesign.errors import ToolRunError
from codesign.measurement import Figure, Measurement, Provenance
from hw.graph import Graph, Ints
from hw.measure.tools import processor

SECONDS = 2.0
_WARM = 20


def measure(model: Any, graph: Graph, x: Ints) -> Measurement:
    """Median time of one inference in microseconds, batch 1, one thread, over the vectors ``x`` (n, inputs).

    ``details`` say on how many its outputs differ from the graph's: it computes in float32, quantizers as operations.
    Raises ToolRunError where TensorFlow Lite cannot convert or run the model.
    """
    import tensorflow as tf

    samples = graph.input.type.to_real(x).astype(np.float32).reshape(-1, 1, *model.inputs[0].shape[1:])
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # TensorFlow announces a new home of its interpreter
            converted = tf.lite.TFLiteConverter.from_keras_model(model).convert()
            interpreter = tf.lite.Interpreter(model_content=converted, num_threads=1)
        interpreter.allocate_tensors()
        times, outputs = _run(interpreter, samples)
    except Exception as error:  # TensorFlow raises whatever its parts raise
        reason = " ".join(str(error).split())[:500]
        raise ToolRunError(f"TensorFlow Lite cannot run the model: {reason}") from error
    expected = graph.output.type.to_real(graph.run(x[: len(outputs)]))
    differing = int((outputs.reshape(len(outputs), -1) != expected).any(axis=1).sum())
    details = {
        "machine": processor(), "threads": 1, "arithmetic": "float32", "repeats": len(times), "bytes": len(converted),
        "differing_vectors": differing, "vectors": len(outputs),
        "lowest": min(times) / 1e3, "highest": max(times) / 1e3,
    }  # fmt: skip
    figure = Figure(
        statistics.median(times) / 1e3, "us", Provenance.TIMED, "TensorFlow Lite", str(tf.__version__), details
    )
    return Measurement({"tflite": figure})


def _run(interpreter: Any, samples: NDArray[np.float32]) -> tuple[list[int], NDArray[np.float64]]:
    """Nanoseconds of each inference, and the outputs of each vector, once."""
    given, taken = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]
    times, outputs = list[int](), list[NDArray[Any]]()
    ends = time.monotonic() + SECONDS
    for number in range(10**9):
        if times and number >= len(samples) and time.monotonic() > ends:
            break
        interpreter.set_tensor(given, samples[number % len(samples)])
        begun = time.perf_counter_ns()
        interpreter.invoke()
        spent = time.perf_counter_ns() - begun
        if number >= _WARM:
            times.append(spent)
        if number < len(samples):
            outputs.append(interpreter.get_tensor(taken))
    return times, np.asarray(outputs, np.float64)
