"""Task: what the search must know of the data and the target before any candidate exists."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from codesign.target import Part, Target


@dataclass(frozen=True)
class Task:
    """The study's dataset and target in numbers.

    ``majority_error`` is the validation error of always answering the most frequent class (0 to 1), or the mean of a
    regression's targets (about 1, see ``quant.regression.rmse``), which has ``targets`` values and no classes;
    ``validation_samples`` and ``test_samples`` give errors their statistical error. ``class_names`` are the labels in
    the order of the outputs. ``data_digest`` tells whether the data are still the same when a run continues. ``image``
    is (height, width, channels) where the inputs are one.
    """

    inputs: int
    class_names: tuple[str, ...]
    majority_error: float
    validation_samples: int
    test_samples: int
    target: Target
    data_digest: str = ""
    targets: int = 0
    image: tuple[int, int, int] | None = None

    @property
    def outputs(self) -> int:
        """Number of classes, or of a regression's targets."""
        return len(self.class_names) or self.targets

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Task:
        """Inverse of :meth:`to_json`."""
        target = values["target"]
        names = tuple(values["class_names"])
        image = tuple(values["image"]) if values.get("image") else None
        place = Target(**{**target, "part": Part(**target["part"])})
        return cls(**{**values, "class_names": names, "target": place, "image": image})
