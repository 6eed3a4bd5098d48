"""Names of the datasets that Keras brings, apart from what loads them: the study's schema must not wait for NumPy."""

from __future__ import annotations

KERAS_FILES = {
    "mnist": "mnist.npz",
    "fashion_mnist": "fashion-mnist/train-images-idx3-ubyte.gz",
    "cifar10": "cifar-10-batches-py",
    "cifar100": "cifar-100-python",
}
"""What Keras keeps of each dataset under ``~/.keras/datasets``."""
