from __future__ import annotations

import os
import subprocess
import sys

import pytest

from quant import train  # noqa: F401  # makes this process repeatable
from quant.tf import keras, qkeras, quiet_stderr, tf


def test_keras_two_one_thread_deterministic_no_gpu():
    assert keras.__version__.startswith("2.")
    assert issubclass(qkeras.QDense, keras.layers.Layer)
    assert tf.config.threading.get_intra_op_parallelism_threads() == 1
    assert tf.config.threading.get_inter_op_parallelism_threads() == 1
    assert os.environ["TF_ENABLE_ONEDNN_OPTS"] == "0"
    assert not tf.config.list_physical_devices("GPU")


def test_importing_and_computing_say_nothing():
    code = "from quant.tf import tf; tf.function(lambda x: x @ x)(tf.ones((4, 4)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")


def test_descriptor_is_restored_and_chatter_dropped(capfd):
    with quiet_stderr():
        os.write(2, b"chatter\n")
    os.write(2, b"heard\n")
    assert capfd.readouterr().err == "heard\n"


def test_chatter_is_shown_when_the_import_fails(capfd):
    def fails():
        os.write(2, b"why it failed\n")
        raise ImportError("no such library")

    with pytest.raises(ImportError, match="^no such library$"), quiet_stderr():
        fails()
    assert capfd.readouterr().err == "why it failed\n"
