"""The streaming top level: layers in a chain behind one valid/ready boundary."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Ports:
    """A layer as the top level sees it: its module, and the widths of its vectors in bits."""

    module: str
    in_width: int
    out_width: int
    latency: int


def emit_parallel_top(module: str, layers: Sequence[Ports], header: str) -> str:
    """Layers without enables between registers, behind :file:`cdg_flow.sv`; latency is the layers' sum + 1."""
    latency = sum(layer.latency for layer in layers)
    body, source = instances(layers, "s_axis_tdata")
    return f"""{_header(header)}
module {module} (
{_ports(layers)}
);
{body}

  logic unused_valid;

  cdg_flow #(
      .LATENCY({latency}),
      .WIDTH  ({layers[-1].out_width})
  ) flow (
      .clk       (clk),
      .rst_n     (rst_n),
      .s_valid   (s_axis_tvalid),
      .s_ready   (s_axis_tready),
      .pipe_valid(unused_valid),
      .pipe_data ({source}),
      .m_valid   (m_axis_tvalid),
      .m_ready   (m_axis_tready),
      .m_data    (m_axis_tdata)
  );
endmodule

`default_nettype wire
"""


def instances(layers: Sequence[Ports], source: str) -> tuple[str, str]:
    """Layers one after the other, the first reading ``source``, and the name of what the last one gives."""
    lines = [f"  wire logic [{layer.out_width - 1}:0] layer_{index}_y;" for index, layer in enumerate(layers)]
    for index, layer in enumerate(layers):
        lines += [
            "",
            f"  {layer.module} layer_{index} (",
            "      .clk(clk),",
            f"      .x  ({source}),",
            f"      .y  (layer_{index}_y)",
            "  );",
        ]
        source = f"layer_{index}_y"
    return "\n".join(lines), source


def emit_folded_top(module: str, layers: Sequence[Ports], header: str) -> str:
    """Time-multiplexed layers, handing vectors on by valid and ready."""
    lines: list[str] = []
    source = "s_axis_t"
    for index, layer in enumerate(layers):
        last = index == len(layers) - 1
        sink = "m_axis_t" if last else f"layer_{index}_"
        if not last:
            lines.append(f"  wire logic {sink}valid, {sink}ready;")
            lines.append(f"  wire logic [{layer.out_width - 1}:0] {sink}data;")
        lines += [
            "",
            f"  {layer.module} layer_{index} (",
            "      .clk    (clk),",
            "      .rst_n  (rst_n),",
            *(f"      .s_{port:5s}({source}{port})," for port in ("valid", "ready", "data")),
            *(f"      .m_{port:5s}({sink}{port})," for port in ("valid", "ready")),
            f"      .m_data ({sink}data)",
            "  );",
            "",
        ]
        source = sink
    body = "\n".join(lines)
    return f"""{_header(header)}
module {module} (
{_ports(layers)}
);
{body}
endmodule

`default_nettype wire
"""


def _header(header: str) -> str:
    lines = "\n".join(f"// {line}" for line in header.splitlines())
    return f"{lines}\n`default_nettype none\n"


def _ports(layers: Sequence[Ports]) -> str:
    return f"""    input  wire logic clk,
    input  wire logic rst_n,
    input  wire logic s_axis_tvalid,
    output wire logic s_axis_tready,
    input  wire logic [{layers[0].in_width - 1}:0] s_axis_tdata,
    output wire logic m_axis_tvalid,
    input  wire logic m_axis_tready,
    output wire logic [{layers[-1].out_width - 1}:0] m_axis_tdata"""
