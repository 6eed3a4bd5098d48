"""Reading: what one instrument said of a design, kept whether it gave figures or a reason why not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal

from codesign.measurement import Measurement


@dataclass(frozen=True)
class Reading:
    """What one instrument said of a design.

    ``missing``: its tool is not here. ``failed``: it ran and gave nothing that can be used. ``reason`` says why,
    ``log`` is the end of what the tool printed. ``design`` is :meth:`hw.design.Design.digest` of what was measured, as
    a network that is trained again is other hardware; empty in stores from before it was kept. ``host``: the board,
    as it was given, on which it was read; empty for the machine that codesign ran on.
    """

    instrument: str
    status: Literal["ok", "failed", "missing"]
    figures: Measurement
    seconds: float
    reason: str = ""
    log: str = ""
    design: str = ""
    host: str = ""

    @property
    def source(self) -> str:
        """The instrument, and the board that it was on."""
        return self.instrument + (f" ({self.host})" if self.host else "")

    @property
    def warnings(self) -> list[str]:
        """What is to be said of the figures, such as a version of the tool that nobody has tried."""
        return list(dict.fromkeys(text for figure in self.figures.figures.values() for text in figure.warnings))

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values; the keys are in docs/json.md."""
        names = ("instrument", "status", "reason", "log", "seconds", "warnings", "design", "host")
        return {**{name: getattr(self, name) for name in names}, "figures": self.figures.to_json()}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Reading:
        """Inverse of :meth:`to_json`."""
        given = {item.name: values[item.name] for item in fields(cls) if item.name in values}
        return cls(**{**given, "figures": Measurement.from_json(values["figures"])})
