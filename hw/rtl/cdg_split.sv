// Hands one wide beat on as COUNT beats of WIDTH bits, the lowest first. The first is offered one
// cycle after the wide one was taken; the next wide one may come in the cycle in which the last
// leaves.
`default_nettype none

module cdg_split #(
    parameter int WIDTH = 8,
    parameter int COUNT = 4
) (
    input  wire logic                   clk,
    input  wire logic                   rst_n,
    input  wire logic                   s_valid,
    output logic                        s_ready,
    input  wire logic [COUNT*WIDTH-1:0] s_data,
    output logic                        m_valid,
    input  wire logic                   m_ready,
    output logic      [      WIDTH-1:0] m_data
);
  localparam int COUNT_W = $clog2(COUNT);

  if (WIDTH < 1 || COUNT < 2) begin : gen_check
    $error("cdg_split: WIDTH must be at least 1 and COUNT at least 2");
  end

  logic [COUNT*WIDTH-1:0] beats_q;
  logic [COUNT_W-1:0] count_q;
  logic busy_q, accept, leave, last;

  assign last    = count_q == COUNT_W'(COUNT - 1);
  assign leave   = busy_q && m_ready;
  assign s_ready = !busy_q || (leave && last);
  assign accept  = s_valid && s_ready;
  assign m_valid = busy_q;
  assign m_data  = beats_q[WIDTH-1:0];

  always_ff @(posedge clk) begin
    if (!rst_n) begin
      count_q <= '0;
      busy_q  <= 1'b0;
    end else begin
      busy_q <= accept || (busy_q && !(leave && last));
      if (leave) count_q <= last ? '0 : count_q + 1'b1;
    end
  end

  always_ff @(posedge clk) begin
    if (accept) beats_q <= s_data;
    else if (leave) beats_q <= {{WIDTH{1'b0}}, beats_q[COUNT*WIDTH-1:WIDTH]};
  end
endmodule

`default_nettype wire
