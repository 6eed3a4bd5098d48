// Gathers NF groups of PE results into one vector of N_OUT elements and offers it. A complete
// vector moves on to the output register as soon as that is free; until then it waits where it was
// gathered. Two vectors fit in all: whoever sends must not begin a third before retire has told
// that one left. Two cycles from the last group to m_valid.
`default_nettype none

module cdg_collect #(
    parameter int N_OUT = 8,
    parameter int OUT_W = 2,
    parameter int PE = 2
) (
    input  wire logic                   clk,
    input  wire logic                   rst_n,
    input  wire logic                   s_valid,
    input  wire logic                   s_last,
    input  wire logic [   PE*OUT_W-1:0] s_data,
    output logic                        retire,
    output logic                        m_valid,
    input  wire logic                   m_ready,
    output logic      [N_OUT*OUT_W-1:0] m_data
);
  localparam int NF = (N_OUT + PE - 1) / PE;
  localparam int GROUP_W = PE * OUT_W;

  if (PE < 1 || PE > N_OUT) begin : gen_check
    $error("cdg_collect: PE must be 1 to N_OUT");
  end

  // The oldest group sits lowest.
  logic [NF*GROUP_W-1:0] groups_q;
  logic [N_OUT*OUT_W-1:0] out_q;
  logic full_q, out_valid_q;
  logic move;

  assign move    = full_q && (!out_valid_q || m_ready);
  assign retire  = out_valid_q && m_ready;
  assign m_valid = out_valid_q;
  assign m_data  = out_q;

  if (NF == 1) begin : gen_whole
    always_ff @(posedge clk) begin
      if (s_valid) groups_q <= s_data;
    end
  end else begin : gen_gather
    always_ff @(posedge clk) begin
      if (s_valid) groups_q <= {s_data, groups_q[NF*GROUP_W-1:GROUP_W]};
    end
  end

  always_ff @(posedge clk) begin
    if (!rst_n) begin
      full_q      <= 1'b0;
      out_valid_q <= 1'b0;
    end else begin
      full_q      <= (s_valid && s_last) || (full_q && !move);
      out_valid_q <= move || (out_valid_q && !m_ready);
    end
  end

  always_ff @(posedge clk) begin
    if (move) out_q <= groups_q[N_OUT*OUT_W-1:0];
  end

  if (NF * PE > N_OUT) begin : gen_padding
    // The last group's surplus lanes carry nothing.
    logic unused;
    assign unused = &{1'b0, groups_q[NF*GROUP_W-1:N_OUT*OUT_W]};
  end

`ifndef SYNTHESIS
  always_ff @(posedge clk) begin
    if (rst_n && s_valid && full_q && !move) $error("cdg_collect: a result was lost");
  end
`endif
endmodule

`default_nettype wire
