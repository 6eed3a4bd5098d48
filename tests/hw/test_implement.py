"""Which of the designs tried is kept."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from networks import random_graph, random_inputs

from codesign.architecture import Hardware
from codesign.measurement import Figure, Measurement, Provenance
from codesign.target import Part, Target
from hw import implement as room

TARGET = Target(Part("xc7z020clg400-1", "xc7", "-1", {}), 100.0)


def figure(name: str, value: float) -> Measurement:
    return Measurement({name: Figure(value, "", Provenance.MODELLED, "test", "1")})


def implemented(monkeypatch: pytest.MonkeyPatch, folder: Path, fmax: list[float], mode: str = "parallel") -> Any:
    """The implementation of a network, and the folders synthesized; the tools say these clocks in turn."""
    workdirs: list[str] = []
    clocks = iter(fmax)

    def synthesize(plan: Any, workdir: Path, **_: Any) -> Any:
        workdirs.append(workdir.name)
        return SimpleNamespace(figures=figure("lut", len(workdirs)), netlist={})

    def analyse(netlist: Any, top: str, part: Part) -> Any:
        clock = next(clocks)
        return SimpleNamespace(fmax_mhz=clock, measurement=lambda: figure("fmax", clock))

    def simulate(built: Any, x: Any, expected: Any, folder: Path, **_: Any) -> Measurement:
        return figure("latency_cycles", built.latency_cycles)

    monkeypatch.setattr(room.layerwise, "synthesize", synthesize)
    monkeypatch.setattr(room, "analyse", analyse)
    monkeypatch.setattr(room.verilator, "simulate", simulate)
    graph = random_graph(6, [40, 20, 6], "3")
    hardware = Hardware("parallel") if mode == "parallel" else Hardware("folded", 8)
    return room.implement(graph, hardware, TARGET, random_inputs(graph, 4), folder), workdirs


@pytest.mark.parametrize(
    ("fmax", "kept"), [([110.0], 0), ([80.0, 101.0], 1), ([80.0, 75.0, 70.0], 0), ([80.0, 90.0, 85.0], 1)]
)
def test_the_fastest_is_kept(fmax: list[float], kept: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    built, workdirs = implemented(monkeypatch, tmp_path, fmax)
    assert workdirs == [f"synthesis-{number}" for number in range(len(fmax))]
    assert built.measurement.value("fmax") == fmax[kept]
    assert built.measurement.value("lut") == kept + 1
    assert built.measurement.value("latency_cycles") == built.design.latency_cycles
    assert built.netlist.parent.name == workdirs[kept]


def test_the_same_design_is_not_synthesized_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    built, workdirs = implemented(monkeypatch, tmp_path, [99.0, 80.0, 75.0])
    monkeypatch.setattr(room, "PERIOD_SHARE", 1e-3)  # a register behind everything
    slowest, again = implemented(monkeypatch, tmp_path, [50.0])
    assert len(workdirs) > 1
    assert again == ["synthesis-0"]
    assert slowest.design.latency_cycles > built.design.latency_cycles


def test_folded_layers_are_built_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert implemented(monkeypatch, tmp_path, [100.0], "folded")[1] == ["synthesis-0"]
