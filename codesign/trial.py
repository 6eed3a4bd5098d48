"""Trial: what a short training of a candidate came to, stored the moment it exists."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from codesign.measurement import Figure


@dataclass(frozen=True)
class Trained:
    """What a training came to: the validation error, and of a full one the network itself, as artefacts by name."""

    error: Figure
    artefacts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Trial:
    """The training of candidate ``digest`` (``words``: its network) on ``rung`` (from 1), as :class:`Trained`.

    ``network`` is the digest of the network, which others have in other hardware.
    """

    digest: str
    words: str
    rung: int
    error: Figure
    seconds: float
    artefacts: Mapping[str, str] = field(default_factory=dict)
    network: str = ""

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
