"""Interfaces of a Verilog module, read from the attributes that Vivado reads them from."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

_PORT = re.compile(
    r"(?P<attributes>(?:\(\*.*?\*\)\s*)+)(?P<direction>input|output)\s+(?:wire\s+)?"
    r"(?:\[(?P<high>\d+):0\]\s*)?(?P<name>\w+)\s*(?:,|\)|$)",
    re.DOTALL | re.MULTILINE,
)


@dataclass(frozen=True)
class Port:
    """A port of ``bits`` bits; ``direction``: in or out."""

    name: str
    direction: str
    bits: int


@dataclass(frozen=True)
class BusInterface:
    """An interface: its type (vendor:library:name:version), ports by logical name, and parameters."""

    name: str
    kind: str
    signals: Mapping[str, Port]
    parameters: Mapping[str, str]

    @property
    def slave(self) -> bool:
        """Whether it receives; clock and reset of a module do."""
        decisive = next(name for name in ("TVALID", "AWVALID", "CLK", "RST") if name in self.signals)
        return self.signals[decisive].direction == "in"


def interfaces(verilog: str, module: str) -> list[BusInterface]:
    """Interfaces in the order of their first ports; every port of ``module`` belongs to one."""
    header = re.search(rf"module\s+{module}\s*\((.*?)^\);", verilog, re.DOTALL | re.MULTILINE)
    assert header is not None, f"there is no module {module}"
    found: dict[str, BusInterface] = {}
    for match in _PORT.finditer(header.group(1)):
        attributes = dict(re.findall(r'(\w+)\s*=\s*"([^"]*)"', match["attributes"]))
        kind, name, signal = attributes["X_INTERFACE_INFO"].split()
        bus = found.setdefault(name, BusInterface(name, kind, {}, {}))
        bits = int(match["high"]) + 1 if match["high"] else 1
        port = Port(match["name"], match["direction"].removesuffix("put"), bits)
        pairs = [pair.split(maxsplit=1) for pair in attributes.get("X_INTERFACE_PARAMETER", "").split(",") if pair]
        parameters = {key: value.strip() for key, value in pairs if key != "XIL_INTERFACENAME"}
        found[name] = BusInterface(name, kind, {**bus.signals, signal: port}, {**bus.parameters, **parameters})
    ports = len(re.findall(r"\b(?:input|output)\b", header.group(1)))
    assert ports == sum(len(bus.signals) for bus in found.values()), f"a port of {module} belongs to no interface"
    return list(found.values())
