"""The accelerator's Verilog wrapper: Vivado block designs take no SystemVerilog top; attributes name its interfaces."""

from __future__ import annotations

from hw.emit.registers import ADDRESS_BITS
from hw.host_format import HostFormat

_AXIS = "xilinx.com:interface:axis:1.0"
_AXI = "xilinx.com:interface:aximm:1.0"
# port, bits, direction
_Port = tuple[str, int, str]


def emit_wrapper(module: str, top: str, layout: HostFormat) -> str:
    """Verilog-2001 module of ports in flat vectors, each with its ``X_INTERFACE_INFO``."""
    word, octets = layout.word_bits, layout.word_bits // 8
    stream = (f"HAS_TKEEP 1, HAS_TLAST 1, HAS_TREADY 1, TDATA_NUM_BYTES {octets}, TDEST_WIDTH 0, TID_WIDTH 0, "
              "TUSER_WIDTH 0")  # fmt: skip
    control = f"ADDR_WIDTH {ADDRESS_BITS}, DATA_WIDTH 32, HAS_BURST 0, PROTOCOL AXI4LITE, READ_WRITE_MODE READ_WRITE"
    interfaces = [
        ("S_AXIS", _AXIS, stream, _stream("s_axis", "input", "output", word)),
        ("M_AXIS", _AXIS, stream, _stream("m_axis", "output", "input", word)),
        ("S_AXI", _AXI, control, _registers()),
    ]
    declared = [_CLOCK, _RESET]
    connected = ["aclk", "aresetn"]
    for name, kind, parameters, ports in interfaces:
        for index, (port, bits, direction) in enumerate(ports):
            signal = port.rsplit("_", 1)[1].upper()
            extra = f'\n  (* X_INTERFACE_PARAMETER = "XIL_INTERFACENAME {name}, {parameters}" *)' if index == 0 else ""
            vector = f"[{bits - 1}:0] " if bits > 1 else ""
            declared.append(f'  (* X_INTERFACE_INFO = "{kind} {name} {signal}" *){extra}\n'
                            f"  {direction} wire {vector}{port}")  # fmt: skip
            connected.append(port)
    ports_text = ",\n".join(declared)
    connections = ",\n".join(f"      .{port}({port})" for port in connected)
    return f"""// {top} for Vivado block designs.
`default_nettype none

module {module} (
{ports_text}
);
  {top} accelerator (
{connections}
  );
endmodule

`default_nettype wire
"""


_CLOCK = """  (* X_INTERFACE_INFO = "xilinx.com:signal:clock:1.0 aclk CLK" *)
  (* X_INTERFACE_PARAMETER = "XIL_INTERFACENAME aclk, ASSOCIATED_BUSIF S_AXIS:M_AXIS:S_AXI, ASSOCIATED_RESET aresetn" *)
  input wire aclk"""
_RESET = """  (* X_INTERFACE_INFO = "xilinx.com:signal:reset:1.0 aresetn RST" *)
  (* X_INTERFACE_PARAMETER = "XIL_INTERFACENAME aresetn, POLARITY ACTIVE_LOW" *)
  input wire aresetn"""


def _stream(prefix: str, source: str, sink: str, word: int) -> list[_Port]:
    """Ports of a stream; ``source`` is the direction of what the sender drives."""
    data = [("tdata", word), ("tkeep", word // 8), ("tlast", 1), ("tvalid", 1)]
    return [*((f"{prefix}_{name}", bits, source) for name, bits in data), (f"{prefix}_tready", 1, sink)]


def _registers() -> list[_Port]:
    channels = [
        ("aw", "input", [("addr", ADDRESS_BITS)]),
        ("w", "input", [("data", 32), ("strb", 4)]),
        ("b", "output", [("resp", 2)]),
        ("ar", "input", [("addr", ADDRESS_BITS)]),
        ("r", "output", [("data", 32), ("resp", 2)]),
    ]
    ports: list[_Port] = []
    for channel, direction, signals in channels:
        back = "output" if direction == "input" else "input"
        ports += [(f"s_axi_{channel}{name}", bits, direction) for name, bits in [*signals, ("valid", 1)]]
        ports.append((f"s_axi_{channel}ready", 1, back))
    return ports
