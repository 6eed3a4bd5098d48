// cdg_flow around a free-running datapath of LATENCY registers that computes 3x + 1 of every cycle's s_data.
`default_nettype none

module flow_top #(
    parameter int LATENCY = 1,
    parameter int WIDTH   = 8
) (
    input  wire logic             clk,
    input  wire logic             rst_n,
    input  wire logic             s_valid,
    output logic                  s_ready,
    input  wire logic [WIDTH-1:0] s_data,
    output logic                  m_valid,
    input  wire logic             m_ready,
    output logic      [WIDTH-1:0] m_data,
    output logic                  pipe_valid
);
  logic [(LATENCY+1)*WIDTH-1:0] stages;

  assign stages[WIDTH-1:0] = 3 * s_data + 1;
  for (genvar i = 0; i < LATENCY; i++) begin : gen_register
    always_ff @(posedge clk) stages[(i+1)*WIDTH+:WIDTH] <= stages[i*WIDTH+:WIDTH];
  end

  cdg_flow #(
      .LATENCY(LATENCY),
      .WIDTH  (WIDTH)
  ) flow (
      .clk       (clk),
      .rst_n     (rst_n),
      .s_valid   (s_valid),
      .s_ready   (s_ready),
      .pipe_valid(pipe_valid),
      .pipe_data (stages[LATENCY*WIDTH+:WIDTH]),
      .m_valid   (m_valid),
      .m_ready   (m_ready),
      .m_data    (m_data)
  );
endmodule

`default_nettype wire
