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
    ``log`` is the end of what the tool printed.
    """

    instrument: str
    status: Literal["ok", "failed", "missing"]
    figures: Measurement
    seconds: float
    reason: str = ""
    log: str = ""

    @property
    def warnings(self) -> list[str]:
        """What is to be said of the figures, such as a version of the tool that nobody has tried."""
        told = (figure.details.get("untested") for figure in self.figures.figures.values())
        return list(dict.fromkeys(text for text in told if text))

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values; the keys are in docs/json.md."""
        plain = {name: getattr(self, name) for name in ("instrument", "status", "reason", "log", "seconds", "warnings")}
        return {**plain, "figures": self.figures.to_json()}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Reading:
        """Inverse of :meth:`to_json`."""
        given = {item.name: values[item.name] for item in fields(cls)}
        return cls(**{**given, "figures": Measurement.from_json(values["figures"])})
