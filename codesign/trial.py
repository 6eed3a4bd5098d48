"""Trial: what a short training of a candidate came to, stored the moment it exists."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from codesign.measurement import Figure


@dataclass(frozen=True)
class Trial:
    """The validation error of candidate ``digest`` (``words``: its network) after the training of ``rung`` (from 1)."""

    digest: str
    words: str
    rung: int
    error: Figure
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {**asdict(self), "error": self.error.to_json()}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Trial:
        """Inverse of :meth:`to_json`."""
        return cls(**{**values, "error": Figure.from_json(values["error"])})


def trial_line(trial: Trial, error: str) -> str:
    """A short training on one line; ``error`` in words."""
    return f"rung {trial.rung}: {trial.words}  validation error {error}"
