// Hands every beat to COUNT receivers, each at its own time: a beat is taken once all have it. Data
// goes to all of them as it is. No register on the way, and valid never waits for ready.
`default_nettype none

module cdg_fork #(
    parameter int COUNT = 2
) (
    input  wire logic             clk,
    input  wire logic             rst_n,
    input  wire logic             s_valid,
    output logic                  s_ready,
    output logic      [COUNT-1:0] m_valid,
    input  wire logic [COUNT-1:0] m_ready
);
  if (COUNT < 2) begin : gen_check
    $error("cdg_fork: COUNT must be at least 2");
  end

  // Who has the beat already.
  logic [COUNT-1:0] done_q, done_d;

  assign done_d  = done_q | m_ready;
  assign s_ready = &done_d;
  assign m_valid = {COUNT{s_valid}} & ~done_q;

  always_ff @(posedge clk) begin
    if (!rst_n) done_q <= '0;
    else if (s_valid) done_q <= s_ready ? '0 : done_d;
  end
endmodule

`default_nettype wire
