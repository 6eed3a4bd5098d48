"""Instruments besides our own, asked for by name: each gives figures of a design, or the reason why it has none."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Literal

from codesign.errors import CandidateError, InputError, ModelError, ToolMissingError, ToolTerminatedError, nearest
from codesign.measurement import Figure, Measurement
from codesign.reading import Reading
from codesign.target import Target
from hw.design import Design
from hw.implement import Announce, Implementation
from hw.measure import hls, nextpnr, vivado, yosys
from hw.measure.optional_tools import NEXTPNR, VIVADO
from hw.measure.tools import find_cc

RTL, HLS, C = "rtl", "hls", "c"
VIAS = (RTL, "vivado", "vivado-routed", "nextpnr", HLS, C)
CSIM = "hls csim"
_OTHERWISE = "leave it out of --via"


def attempt(instrument: str, work: Callable[[], Measurement]) -> Reading:
    """Do the work; a tool that is missing or fails is a reading that says so. Other errors come through."""
    begun = time.monotonic()

    def reading(status: Literal["ok", "failed", "missing"], figures: Measurement, **more: str) -> Reading:
        return Reading(instrument, status, figures, time.monotonic() - begun, **more)

    try:
        return reading("ok", work())
    except ToolMissingError as error:
        return reading("missing", Measurement({}), reason=str(error))
    except (CandidateError, ModelError, ToolTerminatedError) as error:  # what others have said stays
        return reading("failed", Measurement({}), reason=str(error), log=getattr(error, "log", ""))


def require(via: Sequence[str], target: Target) -> None:
    """Refuse what cannot be asked of this machine or part, before the work.

    InputError for an unknown instrument, ToolMissingError for one whose tool is not here (of ``hls``, the C simulation
    works without any), TargetError for a part that it does not know.
    """
    for name in via:
        if name not in VIAS:
            raise InputError(f"--via {name!r} is no instrument; {nearest(name, VIAS)}")
    if {"vivado", "vivado-routed"} & set(via):
        VIVADO.find(_OTHERWISE)
    if C in via:
        find_cc()
    if "nextpnr" in via:
        NEXTPNR.find(_OTHERWISE)
        nextpnr.find_database(target.part)


def take(
    via: Sequence[str], built: Implementation, target: Target, folder: Path, stage: Announce, *, activity: str = ""
) -> Iterator[Reading]:
    """What each instrument of ``via`` that measures our RTL says of it; files in ``folder/NAME``.

    ``activity``: what Vivado estimates power by, as :func:`hw.measure.saif.saif` writes it.
    """
    works: dict[str, Callable[[], Measurement]] = {
        "vivado": partial(_vivado, built.design, target, folder / "vivado", False, activity),
        "vivado-routed": partial(_vivado, built.design, target, folder / "vivado-routed", True, activity),
        "nextpnr": lambda: nextpnr.measure(yosys.load(built.netlist), built.design.top, target, folder / "nextpnr"),
    }
    for name, work in works.items():
        if name in via:
            with stage(name):
                yield attempt(name, work)


def _vivado(design: Design, target: Target, folder: Path, route: bool, activity: str) -> Measurement:
    return vivado.measure(design, target, folder, route=route, activity=activity)


def take_hls(folder: Path, target: Target, stage: Announce) -> Iterator[Reading]:
    """What the vendor's tools say of hls4ml's project in ``folder``; what needs a step that has no result is left."""
    with stage("hls csynth"):
        synthesis = attempt("hls csynth", lambda: hls.csynth(folder, target))
    yield synthesis
    for name, work in (("hls cosim", hls.cosim), ("hls vsynth", hls.vsynth)):
        if synthesis.status == "ok":
            with stage(name):
                yield attempt(name, partial(work, folder, target))
        else:
            yield Reading(name, "missing", Measurement({}), 0.0, "it needs the RTL of hls csynth")


def best(readings: Sequence[Reading]) -> dict[str, Figure]:
    """Each figure from the last of the readings that has it: they go from estimates to measurements."""
    return {name: figure for reading in readings for name, figure in reading.figures.figures.items()}
