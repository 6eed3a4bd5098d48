"""Inverse kinematics of an arm with two joints: where the hand is -> the angles of the joints.

``python examples/inverse_kinematics.py`` writes arm.npz beside this file; ``scripts/codesign search examples/arm.toml``
searches it. The elbow bends one way only, so that each place has one answer.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

UPPER, LOWER = 0.6, 0.4  # lengths
TRAIN, TEST = 4000, 1000


def samples(count: int, rng: np.random.Generator) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Places of the hand (count, 2) and joint angles in radians (count, 2)."""
    shoulder, elbow = rng.uniform(0.0, np.pi / 2, count), rng.uniform(0.2, np.pi - 0.2, count)
    x = UPPER * np.cos(shoulder) + LOWER * np.cos(shoulder + elbow)
    y = UPPER * np.sin(shoulder) + LOWER * np.sin(shoulder + elbow)
    return np.column_stack([x, y]), np.column_stack([shoulder, elbow])


def write(path: Path, train: int = TRAIN, test: int = TEST) -> None:
    """Always the same samples, in the form that ``data.path`` takes."""
    rng = np.random.default_rng(1)
    (x_train, y_train), (x_test, y_test) = samples(train, rng), samples(test, rng)
    np.savez(path, x_train=x_train, y_train=y_train, x_test=x_test, y_test=y_test)


if __name__ == "__main__":
    write(Path(__file__).parent / "arm.npz")
