"""Runs a compiled C simulation of hls4ml: an assertion in it ends the process, so it is a child's."""

from __future__ import annotations

import ctypes
import sys


def main() -> None:
    """``csim_child.py LIBRARY FUNCTION SIZE INPUTS.npy OUTPUTS.npy``: float32 samples (n, ...) in, (n, SIZE) out."""
    import numpy as np

    library, function, size, inputs, outputs = sys.argv[1:]
    simulate = getattr(ctypes.CDLL(library), function)
    simulate.restype = None
    simulate.argtypes = [np.ctypeslib.ndpointer(np.float32, flags="C_CONTIGUOUS")] * 2
    x = np.load(inputs)
    found = np.zeros((len(x), int(size)), np.float32)
    for sample, row in zip(x, found, strict=True):
        simulate(sample, row)
    np.save(outputs, found)


if __name__ == "__main__":
    # this file's folder would otherwise come first on the path
    sys.path.pop(0)
    main()
