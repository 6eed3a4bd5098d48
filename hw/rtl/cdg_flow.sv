// Handshake shell of a free-running pipeline: the datapath between s_data and pipe_data has LATENCY
// registers, no enable and no reset, and samples its input every cycle. A beat enters only while a
// credit says that the result queue will have room for it, so nothing is lost under back-pressure.
// Total latency LATENCY + 1 cycles (the queue's), initiation interval 1.
`default_nettype none

module cdg_flow #(
    parameter int LATENCY = 1,
    parameter int WIDTH   = 8
) (
    input  wire logic             clk,
    input  wire logic             rst_n,
    input  wire logic             s_valid,
    output logic                  s_ready,
    output logic                  pipe_valid,
    input  wire logic [WIDTH-1:0] pipe_data,
    output logic                  m_valid,
    input  wire logic             m_ready,
    output logic      [WIDTH-1:0] m_data
);
  // A credit comes back LATENCY + 2 cycles after it was spent: that many keep the interval at 1.
  localparam int DEPTH = 1 << $clog2(LATENCY + 2);
  localparam int CREDIT_W = $clog2(DEPTH + 1);

  if (LATENCY < 0) begin : gen_check_latency
    $error("cdg_flow: LATENCY must be 0 or more");
  end

  logic [CREDIT_W-1:0] credits_q;
  logic spend, refund;
  logic queue_ready;

  assign s_ready = credits_q != '0;
  assign spend   = s_valid && s_ready;
  assign refund  = m_valid && m_ready;

  always_ff @(posedge clk) begin
    if (!rst_n) credits_q <= CREDIT_W'(DEPTH);
    else if (spend && !refund) credits_q <= credits_q - 1'b1;
    else if (refund && !spend) credits_q <= credits_q + 1'b1;
  end

  if (LATENCY == 0) begin : gen_direct
    assign pipe_valid = spend;
  end else begin : gen_delay
    logic [LATENCY-1:0] valid_q;

    always_ff @(posedge clk) begin
      if (!rst_n) valid_q <= '0;
      else valid_q <= LATENCY'({valid_q, spend});
    end

    assign pipe_valid = valid_q[LATENCY-1];
  end

  cdg_fifo #(
      .WIDTH(WIDTH),
      .DEPTH(DEPTH)
  ) queue (
      .clk    (clk),
      .rst_n  (rst_n),
      .s_valid(pipe_valid),
      .s_ready(queue_ready),
      .s_data (pipe_data),
      .m_valid(m_valid),
      .m_ready(m_ready),
      .m_data (m_data)
  );

`ifndef SYNTHESIS
  always_ff @(posedge clk) begin
    if (rst_n && pipe_valid && !queue_ready) $error("cdg_flow: a result was lost");
  end
`else
  logic unused_queue_ready;
  assign unused_queue_ready = queue_ready;
`endif
endmodule

`default_nettype wire
