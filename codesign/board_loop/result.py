"""BoardResult: what became of one candidate on one board, stored the moment it is known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from codesign.measurement import Measurement
from codesign.target import is_virtual

Stage = Literal["build", "timing", "board", "mismatch"]


@dataclass(frozen=True)
class BoardResult:
    """One candidate on one board.

    ``digest`` is the candidate's, ``host`` as it was given, ``date`` ISO 8601 in UTC. Of a success, ``failed_at`` is
    None and ``measurement`` has the board's figures, with those of the routed design where one was built: all outputs
    were equal bit for bit. Of a failure, ``failed_at``, ``reason`` and ``log`` say where and why, and ``measurement``
    holds what was known by then. ``generation`` is that of the search that asked for it; None where a person did.
    ``described`` is what the board said of itself. ``design`` is the digest of the design that ran, as in
    :class:`codesign.reading.Reading`.
    """

    digest: str
    host: str
    date: str
    measurement: Measurement | None = None
    failed_at: Stage | None = None
    reason: str = ""
    log: str = ""
    generation: int | None = None
    described: Mapping[str, Any] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)
    design: str = ""

    def __post_init__(self) -> None:
        """Hold success and failure to what they promise."""
        assert self.failed_at is not None or self.measurement is not None
        assert self.failed_at is None or self.reason, "a failure says why"

    @property
    def simulated(self) -> bool:
        """Whether a virtual board stood in for one: then no figure of a board is a measurement on one."""
        return is_virtual(self.host) or bool(self.described.get("hello", {}).get("simulated"))

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {**asdict(self), "measurement": self.measurement.to_json() if self.measurement else None}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> BoardResult:
        """Inverse of :meth:`to_json`."""
        measured = values["measurement"]
        return cls(**{**values, "measurement": Measurement.from_json(measured) if measured is not None else None})
