// Gathers COUNT beats of WIDTH bits into one, the first lowest. Offered one cycle after the last of
// them was taken; the next first one may come in the cycle in which it leaves.
`default_nettype none

module cdg_gather #(
    parameter int WIDTH = 8,
    parameter int COUNT = 4
) (
    input  wire logic                   clk,
    input  wire logic                   rst_n,
    input  wire logic                   s_valid,
    output logic                        s_ready,
    input  wire logic [      WIDTH-1:0] s_data,
    output logic                        m_valid,
    input  wire logic                   m_ready,
    output logic      [COUNT*WIDTH-1:0] m_data
);
  localparam int COUNT_W = $clog2(COUNT);

  if (WIDTH < 1 || COUNT < 2) begin : gen_check
    $error("cdg_gather: WIDTH must be at least 1 and COUNT at least 2");
  end

  logic [COUNT*WIDTH-1:0] beats_q;
  logic [COUNT_W-1:0] count_q;
  logic full_q, accept, last;

  assign s_ready = !full_q || m_ready;
  assign accept  = s_valid && s_ready;
  assign last    = count_q == COUNT_W'(COUNT - 1);
  assign m_valid = full_q;
  assign m_data  = beats_q;

  always_ff @(posedge clk) begin
    if (!rst_n) begin
      count_q <= '0;
      full_q  <= 1'b0;
    end else begin
      full_q <= (accept && last) || (full_q && !m_ready);
      if (accept) count_q <= last ? '0 : count_q + 1'b1;
    end
  end

  always_ff @(posedge clk) begin
    if (accept) beats_q <= {s_data, beats_q[COUNT*WIDTH-1:WIDTH]};
  end
endmodule

`default_nettype wire
