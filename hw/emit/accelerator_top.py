"""The top level of the AXI IP: frames in, network, frames out, registers."""

from __future__ import annotations

from collections.abc import Sequence
from string import Template

from hw.design import Design
from hw.emit.accelerator_frames import gathering, images_in, vectors_in
from hw.emit.registers import ADDRESS_BITS, Register
from hw.host_format import HostFormat


def emit_accelerator_top(
    module: str, design: Design, layout: HostFormat, registers: Sequence[Register], build_id: str
) -> str:
    """SystemVerilog of ``module`` around the network of ``design``; it answers reads as ``registers`` says."""
    words = {register.name: f"{ADDRESS_BITS - 2}'h{register.offset >> 2:02x}" for register in registers}
    fields = {name: bit for register in registers for name, bit in register.bits.items()}
    fixed = [register for register in registers if isinstance(register.source, int)]
    varying = [register for register in registers if isinstance(register.source, str)]
    return _TOP.substitute(
        top=module,
        network=design.top,
        build_id=build_id,
        address_w=ADDRESS_BITS,
        address_msb=ADDRESS_BITS - 1,
        word_address_msb=ADDRESS_BITS - 3,
        word_w=layout.word_bits,
        word_msb=layout.word_bits - 1,
        keep_msb=layout.word_bits // 8 - 1,
        in_msb=design.inputs // design.input_beats * design.input_bits - 1,
        frames_in=images_in(design, layout) if design.input_beats > 1 else vectors_in(design, layout),
        network_in="in" if design.input_beats > 1 else "vector",
        gathering=gathering(design) if design.output_beats > 1 else "",
        network_out="beat" if design.output_beats > 1 else "out",
        n=design.outputs,
        out_w=design.output_bits,
        out_signed=int(design.output_signed),
        vector_msb=design.outputs * design.output_bits - 1,
        element_w=layout.output.bits,
        entered=_in_flight(design) - _WAITING,
        in_flight=_in_flight(design),
        writable=" || ".join(f"write_word == {words[r.name]}" for r in registers if r.access != "ro"),
        cases="\n".join(f"      {words[r.name]}: constant_q <= 32'h{r.source:08x};  // {r.name}" for r in fixed),
        varying_msb=len(varying) - 1,
        selects=",\n".join(f"        read_word == {words[r.name]}" for r in reversed(varying)),
        choices="\n".join(
            f"    if (select_q[{index}]) read_data |= {r.source};  // {r.name}" for index, r in enumerate(varying)
        ),
        **{f"{name}_word": words[name] for name in ("control", "errors", "bursts")},
        **{name: fields[name] for name in ("soft_reset", "stream_reset", "snapshot")},
    )


def _in_flight(design: Design) -> int:
    """A power of two, at least as many frames as are between input port and the network's output at full pace.

    No more enter than can be counted.
    """
    network = 2 + -(-design.latency_cycles // design.interval_cycles)
    stored = _STORED if design.input_beats * design.output_beats > 1 else 0
    return 1 << (network + stored + _WAITING - 1).bit_length()


_WAITING = 2
"""Frames in front of the network: words that cdg_skid holds."""
_STORED = 3
"""Images in cdg_frame_store, and in the beats that are gathered."""

_TOP = Template(
    """// The AXI IP of build $build_id: frames in, network, frames out, registers.
// Resets, all registered once: aresetn for all, stream_reset for all but the register interface and
// the count of cycles, soft_reset for what lies between the two streams.
`default_nettype none

module $top (
    input  wire logic aclk,
    input  wire logic aresetn,
    input  wire logic s_axis_tvalid,
    output wire logic s_axis_tready,
    input  wire logic [$word_msb:0] s_axis_tdata,
    input  wire logic [$keep_msb:0] s_axis_tkeep,
    input  wire logic s_axis_tlast,
    output wire logic m_axis_tvalid,
    input  wire logic m_axis_tready,
    output wire logic [$word_msb:0] m_axis_tdata,
    output wire logic [$keep_msb:0] m_axis_tkeep,
    output wire logic m_axis_tlast,
    input  wire logic [$address_msb:0] s_axi_awaddr,
    input  wire logic s_axi_awvalid,
    output wire logic s_axi_awready,
    input  wire logic [31:0] s_axi_wdata,
    input  wire logic [3:0] s_axi_wstrb,
    input  wire logic s_axi_wvalid,
    output wire logic s_axi_wready,
    output wire logic [1:0] s_axi_bresp,
    output wire logic s_axi_bvalid,
    input  wire logic s_axi_bready,
    input  wire logic [$address_msb:0] s_axi_araddr,
    input  wire logic s_axi_arvalid,
    output wire logic s_axi_arready,
    output wire logic [31:0] s_axi_rdata,
    output wire logic [1:0] s_axi_rresp,
    output wire logic s_axi_rvalid,
    input  wire logic s_axi_rready
);
  // Registers.
  logic write, write_known, read_known;
  logic [$word_address_msb:0] write_word, read_word;
  logic [31:0] write_data, read_data;
  logic [3:0] write_strb;

  cdg_axi_lite #(
      .ADDR_W($address_w)
  ) axi_lite (
      .clk          (aclk),
      .rst_n        (aresetn),
      .s_axi_awaddr (s_axi_awaddr),
      .s_axi_awvalid(s_axi_awvalid),
      .s_axi_awready(s_axi_awready),
      .s_axi_wdata  (s_axi_wdata),
      .s_axi_wstrb  (s_axi_wstrb),
      .s_axi_wvalid (s_axi_wvalid),
      .s_axi_wready (s_axi_wready),
      .s_axi_bresp  (s_axi_bresp),
      .s_axi_bvalid (s_axi_bvalid),
      .s_axi_bready (s_axi_bready),
      .s_axi_araddr (s_axi_araddr),
      .s_axi_arvalid(s_axi_arvalid),
      .s_axi_arready(s_axi_arready),
      .s_axi_rdata  (s_axi_rdata),
      .s_axi_rresp  (s_axi_rresp),
      .s_axi_rvalid (s_axi_rvalid),
      .s_axi_rready (s_axi_rready),
      .write        (write),
      .write_word   (write_word),
      .write_data   (write_data),
      .write_strb   (write_strb),
      .write_known  (write_known),
      .read_word    (read_word),
      .read_data    (read_data),
      .read_known   (read_known)
  );

  logic rst_n_q, stream_rst_n_q, core_rst_n_q, flush_q, snapshot_q;
  logic control, soft_reset, stream_reset, clear_errors;
  logic bursts_q;

  assign write_known  = $writable;
  assign control      = write && write_word == $control_word && write_strb[0];
  assign clear_errors = write && write_word == $errors_word && write_strb[0];
  assign soft_reset   = control && write_data[$soft_reset];
  assign stream_reset = control && write_data[$stream_reset];

  always_ff @(posedge aclk) begin
    rst_n_q        <= aresetn;
    stream_rst_n_q <= aresetn && !stream_reset;
    core_rst_n_q   <= aresetn && !stream_reset && !soft_reset;
    flush_q        <= soft_reset;
    snapshot_q     <= control && write_data[$snapshot];
  end

  always_ff @(posedge aclk) begin
    if (!core_rst_n_q) bursts_q <= 1'b0;
    else if (write && write_word == $bursts_word && write_strb[0]) bursts_q <= write_data[0];
  end

  logic receiving, busy, stale;
  logic [2:0] errors;
  logic [63:0] cycles;
  logic [31:0] latency_last, latency_min, latency_max, interval, frames_in, frames_out, stalls;

  // Constants and the choice among the others are looked up in one cycle, the data in the next.
  logic known_q;
  logic [31:0] constant_q;
  logic [$varying_msb:0] select_q;

  always_ff @(posedge aclk) begin
    known_q  <= 1'b1;
    select_q <= {
$selects
    };
    case (read_word)
$cases
      default: begin
        constant_q <= '0;
        known_q    <= |{
$selects
        };
      end
    endcase
  end

  always_comb begin
    read_known = known_q;
    read_data  = constant_q;
$choices
  end

  // Frames.
  logic in_valid, in_ready, in_last, out_valid, out_ready, out_last;
  logic [$in_msb:0] in_data;
  logic [$vector_msb:0] out_data;
  logic first, good, bad_short, bad_long, enter, leave, done, stall;

  logic lasts_ready, lasts_valid;

$frames_in

$gathering  $network network (
      .clk          (aclk),
      .rst_n        (core_rst_n_q),
      .s_axis_tvalid(${network_in}_valid),
      .s_axis_tready(${network_in}_ready),
      .s_axis_tdata (in_data),
      .m_axis_tvalid(${network_out}_valid),
      .m_axis_tready(${network_out}_ready),
      .m_axis_tdata (${network_out}_data)
  );

  assign leave = out_valid && out_ready;

  // Which of the frames in the network end their packets.
  cdg_fifo #(
      .WIDTH(1),
      .DEPTH($entered)
  ) lasts (
      .clk    (aclk),
      .rst_n  (core_rst_n_q),
      .s_valid(enter),
      .s_ready(lasts_ready),
      .s_data (in_last),
      .m_valid(lasts_valid),
      .m_ready(leave),
      .m_data (out_last)
  );

  assign busy = in_valid || lasts_valid || m_axis_tvalid;

  cdg_frame_out #(
      .WORD_W   ($word_w),
      .N        ($n),
      .IN_W     ($out_w),
      .IN_SIGNED(1'b$out_signed),
      .ELEMENT_W($element_w)
  ) frame_out (
      .clk          (aclk),
      .rst_n        (stream_rst_n_q),
      .flush        (flush_q),
      .s_valid      (out_valid),
      .s_ready      (out_ready),
      .s_data       (out_data),
      .s_last       (out_last),
      .m_axis_tvalid(m_axis_tvalid),
      .m_axis_tready(m_axis_tready),
      .m_axis_tdata (m_axis_tdata),
      .m_axis_tlast (m_axis_tlast),
      .stale        (stale),
      .done         (done),
      .stall        (stall)
  );

  assign m_axis_tkeep = '1;

  cdg_counters #(
      .IN_FLIGHT($in_flight)
  ) counters (
      .clk         (aclk),
      .rst_n       (core_rst_n_q),
      .cycles_rst_n(rst_n_q),
      .first       (first),
      .good        (good),
      .leave       (leave),
      .done        (done),
      .stall       (stall),
      .bad_short   (bad_short),
      .bad_long    (bad_long),
      .snapshot    (snapshot_q),
      .errors_clear(clear_errors ? write_data[2:0] : 3'b0),
      .errors      (errors),
      .cycles      (cycles),
      .latency_last(latency_last),
      .latency_min (latency_min),
      .latency_max (latency_max),
      .interval    (interval),
      .frames_in   (frames_in),
      .frames_out  (frames_out),
      .stalls      (stalls)
  );

  // Words are whole: what TKEEP says of their bytes changes nothing.
  logic unused;
  assign unused = &{1'b0, s_axis_tkeep, write_strb, write_data};
endmodule

`default_nettype wire
"""
)
