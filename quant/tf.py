"""The one place that configures and imports TensorFlow: ``tf``, ``keras`` (Keras 2) and ``qkeras``.

Importing this module takes seconds; everything else in ``quant`` that needs it is imported lazily.
The GPU stays off unless the environment says ``CODESIGN_GPU=1``.
"""

from __future__ import annotations

import os
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from codesign.errors import InputError

if "keras" in sys.modules and os.environ.get("TF_USE_LEGACY_KERAS") != "1":
    raise InputError(
        "Keras 3 is already imported, but QKeras needs Keras 2: set the environment variable TF_USE_LEGACY_KERAS=1 "
        "before TensorFlow or Keras is imported"
    )
os.environ["TF_USE_LEGACY_KERAS"] = "1"  # QKeras and hls4ml's parser speak Keras 2
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"  # its blocking depends on the machine, and with it the last bit of a sum
if os.environ.get("CODESIGN_GPU") != "1":
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"


@contextmanager
def quiet_stderr() -> Iterator[None]:
    """Hold back what C++ writes to file descriptor 2; shown after all if the body fails.

    TensorFlow's first lines come before its log level is read, and past Python's ``sys.stderr``.
    """
    try:
        sys.stderr.flush()
        saved = os.dup(2)
    except (AttributeError, OSError):  # no standard error to protect
        yield
        return
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            os.dup2(saved, 2)
            held.seek(0)
            os.write(2, held.read())
            raise
        finally:
            os.dup2(saved, 2)
            os.close(saved)


with quiet_stderr(), warnings.catch_warnings():
    warnings.simplefilter("ignore")  # deprecations inside the pinned libraries, nothing a user could act on
    import qkeras
    import tensorflow as tf
    import tf_keras as keras
    from tensorflow.python.framework.func_graph import dismantle_func_graph

    tf.get_logger().setLevel("ERROR")


def make_repeatable() -> None:
    """One thread and deterministic operations, so that a training run repeats bit for bit.

    For the whole process, so only where training happens: a user's notebook that measures a model stays as it is.
    """
    with suppress(RuntimeError):  # TensorFlow runs already: workers get one thread by their environment
        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(1)
    tf.config.experimental.enable_op_determinism()


def forget_models() -> None:
    """Free the graph that Keras gathers while models are built; models made so far still compute eagerly.

    Graphs are cycles through C++ objects that Python's collector does not see into.
    """
    dismantle_func_graph(keras.src.backend.get_graph())
    keras.backend.clear_session()


def forget_function(function: Any) -> None:
    """Free the one graph of a ``tf.function`` with an input signature; it cannot be called any more."""
    dismantle_func_graph(function.get_concrete_function().graph)


__all__ = ["forget_function", "forget_models", "keras", "make_repeatable", "qkeras", "quiet_stderr", "tf"]
