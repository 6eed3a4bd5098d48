"""A measured network as hardware to use: a bitstream in a bundle, a packaged Vivado IP, or plain RTL."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from boards.agent.archive import GOLDEN_INPUTS, GOLDEN_OUTPUTS
from boards.bit import placeholder
from boards.board import ProcessingSystem
from boards.bundle import SUFFIX, Bundle
from boards.catalogue import load_board
from boards.driver import driver_files
from boards.hwh import handoff
from boards.ip import package
from boards.vivado import DESIGN, METRICS, Overlay, overlay
from codesign.build_subject import Buildable
from codesign.errors import InputError, TargetError
from codesign.files import alone_in
from codesign.measurement import Measurement
from codesign.vivado import find_vivado, run_vivado
from hw.graph import Ints
from hw.measure.plan import write_files
from hw.project import project

TARGETS = ("bitstream", "ip", "rtl")
VIVADO = "vivado"
DESCRIPTION = "accelerator.json"


@dataclass(frozen=True)
class Built:
    """What a build left in ``folder``: ``bundle`` and the ``figures`` of the routed design only after Vivado ran."""

    folder: Path
    overlay: Overlay | None = None
    bundle: Path | None = None
    figures: Measurement | None = None


def build(
    subject: Buildable, target: str, *, dry_run: bool = False, phase: Callable[[str], None] = lambda _: None
) -> Built:
    """Build a network for one of :data:`TARGETS` in its folder ``builds/ID-TARGET``.

    ``dry_run``: for a bitstream, write everything that Vivado needs and run nothing. Raises ToolMissingError without
    Vivado, ToolRunError where it fails or timing is not met, TargetError where the board has no processing system.
    """
    assert target in TARGETS, target
    vivado = find_vivado() if target == "bitstream" and not dry_run else None
    folder = subject.folder(target)
    if target == "rtl":
        write_files(folder, project(subject.name, subject.design, subject.graph, subject.vectors()))
        return Built(folder)
    if target == "ip":
        write_files(folder, _ip(subject))
        return Built(folder)
    made, _ = _overlay(subject)
    with alone_in(folder, f"{subject.digest[:8]} is being built"):  # Vivado's files are not of two builds
        write_files(folder / VIVADO, made.files)
        if vivado is None:
            return Built(folder, made)
        figures = run_vivado(vivado, folder / VIVADO, made.stem, phase)
        bundle = folder / f"{made.stem}{SUFFIX}"
        results = (f"{made.stem}.bit", f"{made.stem}.hwh", METRICS)
        files = {name: (folder / VIVADO / name).read_bytes() for name in results}
        _bundle(subject, made, files, figures).write(bundle)
    return Built(folder, made, bundle, figures)


def _ip(subject: Buildable) -> dict[str, str]:
    name = f"cdg_accelerator_{subject.accelerator.build_id[:8]}"  # two of one name could not be used together
    words = f"Ternary network {subject.words}, build {subject.accelerator.build_id}"
    files = package(subject.core, name, subject.accelerator.register_map(), words)
    return {**files, DESCRIPTION: json.dumps(subject.description(), indent=2) + "\n"}


def _overlay(subject: Buildable) -> tuple[Overlay, ProcessingSystem]:
    part = subject.target.part.name
    if subject.board is None:
        raise InputError(
            f"a bitstream is made for a board, but {subject.place} is for the bare part {part}; "
            "use --target ip in a block design of your own"
        )
    ps = load_board(subject.board).ps
    if ps is None:
        raise TargetError(
            f"board {subject.board!r} has no [ps] table, so its clock is not known; add one "
            "(docs/build.md), or use --target ip"
        )
    return overlay(subject.core, part, ps, subject.target.clock_mhz), ps


def simulation_bundle(subject: Buildable) -> Bundle:
    """A bundle for virtual boards alone: with its RTL, and without a bitstream. Nothing is built.

    Raises as :func:`build` does for a bitstream.
    """
    made, ps = _overlay(subject)
    part = subject.target.part.name
    what = json.dumps({"stem": made.stem, "build_id": subject.accelerator.build_id, "for": "virtual boards"})
    files = {
        f"{made.stem}.bit": placeholder(DESIGN, part, what.encode()),
        f"{made.stem}.hwh": handoff(made, subject.core, part, ps).encode(),
    }
    return _bundle(subject, made, files, None)


def _bundle(subject: Buildable, made: Overlay, built: Mapping[str, bytes], figures: Measurement | None) -> Bundle:
    """Around ``built``, which has the bitstream and its .hwh; ``figures`` are those of the routed design, if any is."""
    x = subject.vectors()
    files = {f"rtl/{name}": text.encode() for name, text in subject.core.files.items()} | dict(built)
    files[GOLDEN_INPUTS] = _array(x)
    files[GOLDEN_OUTPUTS] = _array(subject.graph.run(x))
    files |= driver_files(resources.files("hw").joinpath("host_format.py").read_text(encoding="utf-8"))
    described = subject.description()
    if figures is not None:
        described["figures"]["build"] = figures.to_json()
    place = {"dma": made.dma, "accelerator": made.accelerator}
    described |= {"stem": made.stem, "clock_mhz": made.clock.mhz, "addresses": place}
    return Bundle({**described, "simulation_only": figures is None}, files)


def _array(integers: Ints) -> bytes:
    """NumPy's own file format: 32-bit integers, little-endian."""
    narrow: NDArray[np.int32] = integers.astype("<i4")
    assert np.array_equal(narrow, integers)
    written = io.BytesIO()
    np.lib.format.write_array(written, np.ascontiguousarray(narrow), version=(1, 0), allow_pickle=False)
    return written.getvalue()
