"""What a mapped netlist looks like in numbers, without a name in it: what a tool's figures can be explained by."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

_FANOUTS = (1, 2, 4, 8, 16, 32)


def statistics(module: Mapping[str, Any]) -> dict[str, Any]:
    """Of a flat module (Yosys JSON): ``cells`` by type, bits of its ports, nets by the number of pins they drive."""
    cells = module["cells"].values()
    driven: set[int] = set()
    pins: Counter[int] = Counter()
    for cell in cells:
        for pin, bits in cell["connections"].items():
            nets = [bit for bit in bits if isinstance(bit, int)]
            if cell["port_directions"][pin] == "output":
                driven.update(nets)
            else:
                pins.update(nets)
    ports: Counter[str] = Counter()
    for port in module.get("ports", {}).values():
        ports[port["direction"]] += len(port["bits"])
    fanout = Counter(_bucket(pins[net]) for net in driven if pins[net])
    return {
        "cells": dict(sorted(Counter(str(cell["type"]) for cell in cells).items())),
        "input_bits": ports["input"],
        "output_bits": ports["output"],
        "nets": len(driven),
        "fanout": {str(low): fanout[low] for low in _FANOUTS},
    }


def _bucket(pins: int) -> int:
    return max(low for low in _FANOUTS if low <= pins)
