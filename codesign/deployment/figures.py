"""Figures of what a board answered: cycles by its counters, times by its measured clock, throughput, power."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from codesign.cli import version
from codesign.measurement import Figure, Provenance

VIRTUAL = "virtual board (Verilator and a DMA model)"
CLOCK_TOLERANCE = 0.01
"""Share by which a clock's frequency may differ from what its register says without a warning."""


@dataclass(frozen=True)
class Origin:
    """Who measured: nothing that a simulation says is a measurement on a board."""

    simulated: bool
    tool: str
    version: str

    @classmethod
    def of(cls, hello: Mapping[str, Any], board: str) -> Origin:
        """That of a board that introduced itself so; ``board`` is the bundle's name for it."""
        versions = hello["versions"]
        if hello["simulated"]:
            return cls(True, VIRTUAL, version())  # the model is ours
        return cls(False, f"{hello['board'] or board} with pynq", str(versions.get("pynq") or "unknown"))

    def figure(self, value: float, unit: str, **details: Any) -> Figure:
        """A figure of this origin."""
        provenance = Provenance.SIMULATED if self.simulated else Provenance.ON_BOARD
        return Figure(float(value), unit, provenance, self.tool, self.version, details)


def measured_clock(latency: Mapping[str, Any]) -> float:
    """MHz that the fabric really ran at: its cycles over the board's own seconds."""
    counted = latency["counted"]
    return float(counted["cycles"] / (1e6 * counted["seconds"]))


def clock_is_off(latency: Mapping[str, Any]) -> bool:
    """Whether the clock is not what its register says."""
    said = float(latency["clock_mhz"])
    return abs(measured_clock(latency) - said) > CLOCK_TOLERANCE * said


def timing_figures(latency: Mapping[str, Any], manifest: Mapping[str, Any], origin: Origin) -> dict[str, Figure]:
    """Clock, latency, interval and throughput of an answer to ``measure_latency``.

    The latency is the longest of all single frames, so that no frame took longer than what is said. The interval and
    the throughput are those of the largest batch; the throughput includes the software around it.
    """
    single, clock = latency["single"], measured_clock(latency)
    cycles, register = single["latency_max"], float(latency["clock_mhz"])
    found = {
        "board_clock_mhz": origin.figure(
            clock, "MHz", register=register, built_for=float(manifest["clock_mhz"]), **latency["counted"]
        ),
        "board_latency_cycles": origin.figure(
            cycles, "cycles", min=single["latency_min"], max=cycles, last=single["latency_last"],
            scheduled=manifest["latency_cycles"], frames=latency["repeats"], stalls=single["stalls"],
        ),
        "board_latency_us": origin.figure(cycles / clock, "us", clock_mhz=clock, nominal=cycles / register),
    }  # fmt: skip
    counted = [batch for batch in latency["batches"] if batch["interval_cycles"] is not None]
    if counted:
        found["board_interval_cycles"] = origin.figure(
            counted[-1]["interval_cycles"], "cycles", scheduled=manifest["interval_cycles"], batch=counted[-1]["frames"]
        )
    rates = {batch["frames"]: batch["frames"] / batch["seconds"] for batch in latency["batches"]}
    largest = max(rates)
    each = {f"fps_{frames}": rate for frames, rate in rates.items() if frames != largest}
    found["board_fps"] = origin.figure(rates[largest], "1/s", batch=largest, includes=_included(origin), **each)
    return found


def mismatch_figure(vectors: int, origin: Origin) -> dict[str, Figure]:
    """That none of the golden vectors differed: otherwise there are no figures."""
    return {"board_mismatches": origin.figure(0, "vectors", compared=vectors)}


def power_figures(power: Mapping[str, Any], metered: Mapping[str, Any] | None, origin: Origin) -> dict[str, Figure]:
    """Power at work: ``board_power_w`` by the board's sensors, ``board_supply_w`` by a meter outside; what there is.

    Of several rails the one that carries most, which is the board's input where that one is measured; all of them are
    in the details. The difference to the idle board is the workload's share, unless the sensor is too coarse for it.
    ``uj_per_inference`` is all energy of that time over the frames that were computed in it.
    """
    found, rails = {}, power["rails"]
    if rails:
        name = max(rails, key=lambda rail: rails[rail]["busy_w"])
        details = {**_compared(rails[name]), "measures": f"rail {name}", "frames": power["frames"], "rails": rails}
        details |= _energy(rails[name]["busy_w"], power)
        found["board_power_w"] = origin.figure(rails[name]["busy_w"], "W", **details)
    if metered is not None:
        kind = f"{metered['meter'].partition(':')[0]} meter"  # what follows is a path of the user's
        details = {**_compared(metered), "measures": metered["measures"], "frames": power["frames"]}
        details |= _energy(metered["busy_w"], power)
        found["board_supply_w"] = Figure(metered["busy_w"], "W", Provenance.ON_BOARD, kind, "unknown", details)
    return found


def _energy(watts: float, power: Mapping[str, Any]) -> dict[str, float]:
    begun, ended = power["busy_s"]
    return {"uj_per_inference": 1e6 * watts * (ended - begun) / power["frames"]} if power["frames"] else {}


def _compared(readings: Mapping[str, Any]) -> dict[str, Any]:
    """Idle, and the difference at work, or that the sensor cannot tell them apart."""
    step, difference = readings["step_w"], f"{readings['difference_w']:.3g} W"
    if readings["below_resolution"]:
        difference = "below resolution" + (f" (step {step:.3g} W)" if step is not None else " (no step seen)")
    return {"idle_w": readings["idle_w"], "difference": difference}


def _included(origin: Origin) -> str:
    return "transfers" if origin.simulated else "transfers and software"
