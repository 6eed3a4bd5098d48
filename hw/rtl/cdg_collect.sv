// Gathers NF groups of PE results into one vector of N_OUT elements and offers it. The last group and
// the gathered ones move to the output register together; while a vector waits there the next one is
// gathered, and only its last group stalls the pipeline (advance low). advance depends on registers
// alone, so no ready path runs through a chain of stages; only where a vector may come in every cycle
// (BACK_TO_BACK) it looks at m_ready. One cycle from the last group to m_valid.
`default_nettype none

module cdg_collect #(
    parameter int N_OUT = 8,
    parameter int OUT_W = 2,
    parameter int PE = 2,
    parameter bit BACK_TO_BACK = 1'b0
) (
    input  wire logic                   clk,
    input  wire logic                   rst_n,
    input  wire logic                   s_valid,
    input  wire logic                   s_last,
    input  wire logic [   PE*OUT_W-1:0] s_data,
    output logic                        advance,
    output logic                        m_valid,
    input  wire logic                   m_ready,
    output logic      [N_OUT*OUT_W-1:0] m_data
);
  localparam int NF = (N_OUT + PE - 1) / PE;
  localparam int GROUP_W = PE * OUT_W;

  if (PE < 1 || PE > N_OUT) begin : gen_check
    $error("cdg_collect: PE must be 1 to N_OUT");
  end

  logic [NF*GROUP_W-1:0] vector;
  logic [N_OUT*OUT_W-1:0] out_q;
  logic out_valid_q;
  logic blocked, complete;

  assign blocked  = out_valid_q && !(BACK_TO_BACK && m_ready);
  assign advance  = !(s_valid && s_last && blocked);
  assign complete = s_valid && s_last && !blocked;
  assign m_valid  = out_valid_q;
  assign m_data   = out_q;

  if (NF == 1) begin : gen_whole
    assign vector = s_data;
  end else begin : gen_gather
    // The oldest group sits lowest.
    logic [(NF-1)*GROUP_W-1:0] groups_q;

    always_ff @(posedge clk) begin
      if (s_valid && advance) groups_q <= vector[NF*GROUP_W-1:GROUP_W];
    end

    assign vector = {s_data, groups_q};
  end

  always_ff @(posedge clk) begin
    if (!rst_n) out_valid_q <= 1'b0;
    else out_valid_q <= complete || (out_valid_q && !m_ready);
  end

  always_ff @(posedge clk) begin
    if (complete) out_q <= vector[N_OUT*OUT_W-1:0];
  end

  if (NF * PE > N_OUT) begin : gen_padding
    // The last group's surplus lanes carry nothing.
    logic unused;
    assign unused = &{1'b0, vector[NF*GROUP_W-1:N_OUT*OUT_W]};
  end
endmodule

`default_nettype wire
