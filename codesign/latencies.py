"""One inference on the FPGA and on the processors that were timed, beside each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from codesign.measurement import Measurement
from codesign.reading import Reading
from codesign.target import Target

C_HERE, C_BOARD, TFLITE = "c", "c on the board", "tflite"
PROCESSORS = (C_HERE, C_BOARD, TFLITE)
"""Instruments whose figures are times on a processor."""


def latencies(
    design: Measurement, target: Target, readings: Sequence[Reading], boards: Sequence[tuple[str, Measurement]] = ()
) -> list[dict[str, Any]]:
    """The FPGA, then the FPGA on each of ``boards`` (where, figures), then each processor; empty without processors.

    Microseconds, how often the FPGA's, and microjoules or None. The FPGA's are simulated cycles at the clock asked for,
    or at the Fmax where that is lower. Energy is only known of boards whose power was measured.
    """
    taken = [one for one in readings if one.instrument in PROCESSORS]
    timed = [(one.host, figure) for one in taken for figure in one.figures.figures.values()]
    if not timed:
        return []
    clock = min(target.clock_mhz, design.value("fmax"))
    cycles = design.figures["latency_cycles"]
    fpga = cycles.value / clock
    found = [_line("FPGA", fpga, fpga, f"{cycles.provenance.value} cycles at {clock:.4g} MHz, not run on a board")]
    for where, figures in boards:
        time, power = figures.figures["board_latency_us"], figures.figures.get("board_power_w")
        energy = power.details.get("uj_per_inference") if power else None
        words = f"{time.provenance.value}, the hardware's counters" + (
            f"; energy of all that {power.details['measures']} carries, in batches" if power and energy else ""
        )
        found.append(_line(f"FPGA on {where}", time.value, fpga, words, energy))
    for host, figure in timed:
        what = " ".join(filter(None, (figure.tool, figure.details.get("flags"), host and f"on {host}")))
        words = f"{figure.provenance.value} on {figure.details['machine']} ({figure.version})"
        found.append(_line(what, figure.value, fpga, words))
    return found


def _line(on: str, microseconds: float, fpga: float, source: str, energy: float | None = None) -> dict[str, Any]:
    return {"on": on, "us": microseconds, "times_fpga": microseconds / fpga, "uj": energy, "source": source}
