"""An edge filter: 3 x 3 pixels -> the magnitude of the Sobel gradient in their middle.

``python examples/image_filter.py`` writes edges.npz beside this file; ``scripts/codesign search examples/edges.toml``
searches it. The images are drawn here: random discs on a slope of grey, with noise.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

SIZE, DISCS = 32, 4
TRAIN, TEST = 4000, 1000
EDGE = 20  # grey levels: above it, half of the samples
SOBEL = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]])


def image(rng: np.random.Generator) -> NDArray[np.uint8]:
    """A picture (SIZE, SIZE)."""
    rows, columns = np.mgrid[:SIZE, :SIZE]
    grey = 128 + rng.uniform(-3, 3) * (rows - SIZE / 2) + rng.uniform(-3, 3) * (columns - SIZE / 2)
    for _ in range(DISCS):
        row, column, radius, level = rng.uniform((0, 0, 3, 0), (SIZE, SIZE, 10, 256))
        grey = np.where((rows - row) ** 2 + (columns - column) ** 2 < radius**2, level, grey)
    return np.clip(grey + rng.normal(0, 4, grey.shape), 0, 255).astype(np.uint8)


def samples(count: int, rng: np.random.Generator) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """Patches (count, 3, 3) and the gradient's magnitude in the middle of each (count,), in grey levels; half edges."""
    per_image = (SIZE - 2) ** 2
    views = [sliding_window_view(image(rng), (3, 3)).reshape(-1, 3, 3) for _ in range(-(-16 * count // per_image))]
    patches = rng.permutation(np.concatenate(views))
    across, down = ((patches * kernel).sum(axis=(1, 2)) for kernel in (SOBEL, SOBEL.T))
    magnitude = np.hypot(across, down) / 4
    edges, plain = np.flatnonzero(magnitude > EDGE), np.flatnonzero(magnitude <= EDGE)
    chosen = rng.permutation(np.concatenate([edges[: count // 2], plain[: count - count // 2]]))
    return patches[chosen], magnitude[chosen]


def write(path: Path, train: int = TRAIN, test: int = TEST) -> None:
    """Always the same samples, in the form that ``data.path`` takes; the two parts show different images."""
    rng = np.random.default_rng(1)
    (x_train, y_train), (x_test, y_test) = samples(train, rng), samples(test, rng)
    np.savez(path, x_train=x_train, y_train=y_train, x_test=x_test, y_test=y_test)


if __name__ == "__main__":
    write(Path(__file__).parent / "edges.npz")
