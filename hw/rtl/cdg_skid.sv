// Skid buffer: cuts the ready path. Both sides are registered, full throughput, one cycle of
// latency.
`default_nettype none

module cdg_skid #(
    parameter int WIDTH = 8
) (
    input  wire logic             clk,
    input  wire logic             rst_n,
    input  wire logic             s_valid,
    output logic                  s_ready,
    input  wire logic [WIDTH-1:0] s_data,
    output logic                  m_valid,
    input  wire logic             m_ready,
    output logic      [WIDTH-1:0] m_data
);
  if (WIDTH < 1) begin : gen_check
    $error("cdg_skid: WIDTH must be at least 1");
  end

  // skid_q holds the beat that arrives in the cycle in which the output turns out to be stalled.
  logic [WIDTH-1:0] out_q, skid_q;
  logic out_valid_q, skid_valid_q;
  logic advance;

  // Kept, because it equals !skid_valid_q: the outside must not wait for a net with WIDTH loads.
  (* keep, dont_touch = "yes" *) logic ready_q;

  assign advance = m_ready || !out_valid_q;
  assign s_ready = ready_q;
  assign m_valid = out_valid_q;
  assign m_data  = out_q;

  always_ff @(posedge clk) begin
    if (!rst_n) begin
      out_valid_q  <= 1'b0;
      skid_valid_q <= 1'b0;
      ready_q      <= 1'b1;
    end else if (advance) begin
      out_valid_q  <= skid_valid_q || s_valid;
      skid_valid_q <= 1'b0;
      ready_q      <= 1'b1;
    end else if (s_valid) begin
      skid_valid_q <= 1'b1;
      ready_q      <= 1'b0;
    end
  end

  always_ff @(posedge clk) begin
    if (advance) out_q <= skid_valid_q ? skid_q : s_data;
    if (!skid_valid_q) skid_q <= s_data;
  end
endmodule

`default_nettype wire
