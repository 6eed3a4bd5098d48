"""The stand-in's block design: cells, nets, addresses, and the checks that validate_bd_design makes."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from tcl_program import Refused
from vivado_cells import AXI, AXIS, KINDS, Interface, Kind, Pin

from boards.interfaces import interfaces


@dataclass
class Cell:
    """A cell; ``kind`` of a module reference comes from the attributes of its Verilog."""

    name: str
    vlnv: str
    kind: Kind
    values: dict[str, str]

    @property
    def pins(self) -> dict[str, Pin]:
        return dict(self.kind.pins(self.values))

    @property
    def interfaces(self) -> dict[str, Interface]:
        return dict(self.kind.interfaces(self.values))


@dataclass
class Diagram:
    """Nets by their driver; interface connections as (master, slave), each named ``cell/name``."""

    cells: dict[str, Cell] = field(default_factory=dict)
    ports: dict[str, str] = field(default_factory=dict)
    nets: dict[str, set[str]] = field(default_factory=dict)
    links: list[tuple[str, str]] = field(default_factory=list)
    addresses: dict[tuple[str, str], tuple[int, int]] = field(default_factory=dict)

    def add(self, name: str, vlnv: str, kind: Kind) -> None:
        if name in self.cells:
            raise Refused(f"there is a cell {name} already")
        self.cells[name] = Cell(name, vlnv, kind, dict(kind.defaults))
        kind.derive(self.cells[name].values)

    def set(self, cell: str, name: str, value: str) -> None:
        found = self.cells[cell]
        if name not in found.kind.legal:
            raise Refused(f"{found.vlnv} has no property {name}")
        if not found.kind.legal[name](value):
            raise Refused(f"{name} of {cell} may not be {value!r}")
        found.values[name] = value
        found.kind.derive(found.values)

    def pin(self, path: str) -> Pin:
        return self._part(path, "pins")

    def interface(self, path: str) -> Interface:
        return self._part(path, "interfaces")

    def _part(self, path, what):
        cell, _, name = path.partition("/")
        if cell not in self.cells or name not in getattr(self.cells[cell], what):
            raise Refused(f"there is no {what[:-1]} {path}")
        return getattr(self.cells[cell], what)[name]

    def connect(self, one: str, other: str) -> None:
        driver, sink = self.pin(one), self.pin(other)
        if (driver.direction, sink.direction) != ("O", "I"):
            raise Refused(f"{one} and {other}: a net leads from one output to inputs")
        if driver.kind != sink.kind:
            raise Refused(f"{one} is {driver.kind}, {other} is {sink.kind}")
        if self.driver(other):
            raise Refused(f"{other} is connected already")
        self.nets.setdefault(one, set()).add(other)

    def driver(self, sink: str) -> str | None:
        return next((driver for driver, sinks in self.nets.items() if sink in sinks), None)

    def link(self, one: str, other: str) -> None:
        if one in self.ports:
            if self.interface(other).protocol != self.ports[one]:
                raise Refused(f"port {one} is no {self.interface(other).protocol}")
            self._link(other, one)
            return
        master, slave = self.interface(one), self.interface(other)
        if (master.mode, slave.mode) != ("Master", "Slave") or master.protocol != slave.protocol:
            raise Refused(f"{one} ({master}) cannot be connected to {other} ({slave})")
        self._link(one, other)

    def _link(self, master: str, slave: str) -> None:
        taken = {end for link in self.links for end in link}
        if {master, slave} & taken:
            raise Refused(f"{master} or {slave} is connected already")
        self.links.append((master, slave))

    def assign(self, space: str, segment: str, offset: int, size: int) -> None:
        cell, _, name = space.partition("/")
        if cell not in self.cells or name not in self.cells[cell].kind.spaces:
            raise Refused(f"there is no address space {space}")
        most = self.segments()[segment][1]
        if size & (size - 1) or offset % size or size > most:
            raise Refused(f"{size:#x} bytes at {offset:#x} cannot be {segment}")
        apertures = self.cells[cell].kind.apertures
        if apertures and not any(low <= offset and offset + size <= high for low, high in apertures):
            raise Refused(f"{offset:#x} is outside of what {space} reaches")
        for (other, _), (start, length) in self.addresses.items():
            if other == space and start < offset + size and offset < start + length:
                raise Refused(f"{offset:#x} of {space} is taken")
        if (space, segment) in self.addresses:
            raise Refused(f"{segment} has an address in {space} already")
        self.addresses[space, segment] = offset, size

    def segments(self) -> dict[str, tuple[str, int]]:
        return {
            f"{cell.name}/{name}": (f"{cell.name}/{through}", size)
            for cell in self.cells.values()
            for name, (through, size) in cell.kind.segments(cell.values).items()
        }

    def validate(self) -> None:
        for cell in self.cells.values():
            self._validate_cell(cell)
        for master, slave in self.links:
            if slave not in self.ports:
                self._validate_link(master, slave)
        for space, segment in self._reachable():
            if (space, segment) not in self.addresses:
                raise Refused(f"{segment} has no address in {space}")

    def _validate_cell(self, cell: Cell) -> None:
        for name, legal in cell.kind.legal.items():
            if not legal(cell.values[name]):
                raise Refused(f"{name} of {cell.name} may not be {cell.values[name]!r}")
        for name, pin in cell.pins.items():
            if pin.required and pin.direction == "I" and not self.driver(f"{cell.name}/{name}"):
                raise Refused(f"{cell.name}/{name} is not connected")
        linked = {end for link in self.links for end in link}
        for name, interface in cell.interfaces.items():
            if interface.required and f"{cell.name}/{name}" not in linked:
                raise Refused(f"{cell.name}/{name} is not connected")
        self._validate_resets(cell)
        if cell.vlnv == "xilinx.com:ip:axi_dma:7.1":
            for memory, stream in (("mm2s", "c_m_axis_mm2s"), ("s2mm", "c_s_axis_s2mm")):
                if int(cell.values[f"c_m_axi_{memory}_data_width"]) != max(
                    32, int(cell.values[f"{stream}_tdata_width"])
                ):
                    raise Refused(f"{cell.name}: memory and stream of {memory} have different widths")

    def _validate_resets(self, cell: Cell) -> None:
        """As PG164 wants it: interconnects leave reset first, then peripherals, all in step with their clock."""
        for name, pin in cell.pins.items():
            source = self.driver(f"{cell.name}/{name}")
            if not pin.kind.startswith("rst") or pin.direction == "O" or source is None:
                continue
            wanted = "interconnect_aresetn" if "smartconnect" in cell.vlnv else "peripheral_aresetn"
            if "proc_sys_reset" not in cell.vlnv and source.split("/")[1] != wanted:
                raise Refused(f"{cell.name}/{name} is reset by {source}, not by {wanted}")

    def _validate_link(self, master: str, slave: str) -> None:
        one, other = self.interface(master), self.interface(slave)
        clocks = [self.driver(f"{path.split('/')[0]}/{end.clock}") for path, end in ((master, one), (slave, other))]
        if clocks[0] != clocks[1] or clocks[0] is None:
            raise Refused(f"{master} and {slave} have different clocks")
        if one.adaptive or other.adaptive:
            return
        if one.bits != other.bits:
            raise Refused(f"{master} has {one.bits} bits, {slave} {other.bits}")
        if one.protocol == AXI and one.dialect != other.dialect:
            raise Refused(f"{master} speaks {one.dialect}, {slave} {other.dialect}")

    def _reachable(self) -> list[tuple[str, str]]:
        """Every segment that some master leads to, through interconnects."""
        found = []
        for master, slave in self.links:
            cell, _, name = master.partition("/")
            if slave in self.ports or self.cells[cell].kind.spaces == () or self.interface(master).protocol != AXI:
                continue
            way = next((s for s in self.cells[cell].kind.spaces if s == "Data" or name.endswith(s[-4:])), None)
            for end in self._ends(slave):
                found += [(f"{cell}/{way}", s) for s, (through, _) in self.segments().items() if through == end]
        return found

    def _ends(self, slave: str) -> list[str]:
        cell = slave.split("/")[0]
        if "smartconnect" not in self.cells[cell].vlnv:
            return [slave]
        return [end for master, other in self.links if master.split("/")[0] == cell for end in self._ends(other)]


def referenced(module: str, verilog: str) -> Kind:
    """A module reference: its interfaces, clock and reset as its own attributes name them."""
    pins: dict[str, Pin] = {}
    found: dict[str, Interface] = {}
    described = interfaces(verilog, module)
    clock = next(bus for bus in described if bus.kind.startswith("xilinx.com:signal:clock"))
    associated = clock.parameters["ASSOCIATED_BUSIF"].split(":")
    for bus in described:
        kind = bus.kind.split(":")[2]
        if kind == "clock":
            pins[bus.signals["CLK"].name] = Pin("I", "clk")
        elif kind == "reset":
            pins[bus.signals["RST"].name] = Pin("I", f"rst {bus.parameters['POLARITY'][7:].lower()}")
        else:
            if bus.name not in associated:
                raise Refused(f"{bus.name} of {module} has no clock")
            data = bus.signals["TDATA" if kind == AXIS else "RDATA"]
            mode = "Slave" if bus.slave else "Master"
            dialect = bus.parameters.get("PROTOCOL", "")
            found[bus.name] = Interface(mode, kind, clock.signals["CLK"].name, data.bits, dialect)
    return Kind({}, {}, lambda _: pins, lambda _: found, segments=lambda _: {"S_AXI/reg0": ("S_AXI", 1 << 16)})


def ip_kind(vlnv: str) -> Kind:
    if vlnv not in KINDS:
        raise Refused(f"no IP {vlnv!r}; it may be one of {', '.join(KINDS)}")
    return KINDS[vlnv]


def module_name(verilog: str) -> str:
    found = re.search(r"^module\s+(\w+)", verilog, re.MULTILINE)
    return found.group(1) if found else ""
