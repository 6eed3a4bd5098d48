"""Record: everything known of one evaluated candidate, stored the moment it exists."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal, get_args

from codesign.architecture import Architecture
from codesign.measurement import Measurement

Status = Literal["ok", "infeasible", "dropped", "failed"]
SHORT_ERROR = "short_error"
"""Figure of a dropped candidate: its validation error where it was dropped."""
STATUSES: tuple[Status, ...] = get_args(Status)


@dataclass(frozen=True)
class Record:
    """One candidate.

    ``ok``: measured, and every budget kept. ``infeasible``: a budget is missed (``reason`` says which); the measurement
    then may hold the structural lower bound only. ``dropped``: the training of a rung ended behind those of others, so
    no hardware was made; the measurement holds the lower bound and ``short_error``, and where that training was the
    full one and a surrogate chose, ``val_error`` and what is predicted. ``failed``: no measurement; ``reason`` and
    ``log`` say why.
    ``dropped`` is what was stored before of one that became hardware in a later generation than it was trained in.
    ``artefacts`` are SHA-256 sums by name (see ``codesign.artifacts``), ``seconds`` are per stage.
    """

    architecture: Architecture
    status: Status
    reason: str = ""
    log: str = ""
    measurement: Measurement | None = None
    artefacts: Mapping[str, str] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)
    peak_memory_mib: float | None = None
    generation: int = 0
    index: int = 0
    dropped: Record | None = None

    def __post_init__(self) -> None:
        """Hold the statuses to what they promise."""
        assert self.status != "ok" or self.measurement is not None
        assert self.status == "ok" or self.reason, f"a record that is {self.status} says why"

    @property
    def digest(self) -> str:
        """Names the candidate within its run."""
        return self.architecture.digest()

    @property
    def outcome(self) -> str:
        """The status, and why it is not ok; a reason that begins with the status says both."""
        if not self.reason or self.reason.startswith(f"{self.status} "):
            return self.reason or self.status
        return f"{self.status}: {self.reason}"

    def as_of(self, generation: int) -> Record | None:
        """What was known of the candidate once ``generation`` had ended."""
        if self.generation <= generation:
            return self
        return self.dropped.as_of(generation) if self.dropped is not None else None

    @property
    def design(self) -> str:
        """Names what was built of it: the digest of its RTL. Of one that was not built, the candidate's own."""
        return self.artefacts.get("rtl.json", self.digest)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values, with digest and words beside what :meth:`from_json` needs, and without ``dropped``."""
        values = {item.name: getattr(self, item.name) for item in fields(self) if item.name != "dropped"}
        return {
            **values,
            "digest": self.digest,
            "words": self.architecture.words(),
            "architecture": self.architecture.to_json(),
            "measurement": self.measurement.to_json() if self.measurement else None,
            "artefacts": dict(self.artefacts),
            "seconds": dict(self.seconds),
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Record:
        """Inverse of :meth:`to_json`."""
        given = {key: value for key, value in values.items() if key not in ("digest", "words")}
        given["architecture"] = Architecture.from_json(given["architecture"])
        if given["measurement"] is not None:
            given["measurement"] = Measurement.from_json(given["measurement"])
        return cls(**given)


@dataclass(frozen=True)
class Final:
    """What was measured of a front member after the search: test error, hls4ml's C simulation.

    A failed one takes its candidate off the front; ``reason`` and ``log`` say why, and ``artefacts`` keep its files.
    """

    digest: str
    measurement: Measurement | None = None
    reason: str = ""
    log: str = ""
    artefacts: Mapping[str, str] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {**asdict(self), "measurement": self.measurement.to_json() if self.measurement else None}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Final:
        """Inverse of :meth:`to_json`."""
        measured = values["measurement"]
        return cls(**{**values, "measurement": Measurement.from_json(measured) if measured is not None else None})
