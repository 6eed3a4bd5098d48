// Sum, or with LARGEST the maximum, of COUNT pixels, one a beat, channel by channel: CHANNELS elements
// of WIDTH bits each come in, and of OUT_W bits go out. Offered one cycle after the last pixel was
// taken. The accumulators are what is offered: the next first pixel waits until the result leaves, and
// may come in that cycle.
`default_nettype none

module cdg_reduce #(
    parameter int COUNT = 4,
    parameter int CHANNELS = 1,
    parameter int WIDTH = 2,
    parameter int OUT_W = 2,
    parameter bit IS_SIGNED = 1'b0,
    parameter bit LARGEST = 1'b1
) (
    input  wire logic                      clk,
    input  wire logic                      rst_n,
    input  wire logic                      s_valid,
    output logic                           s_ready,
    input  wire logic [CHANNELS*WIDTH-1:0] s_data,
    output logic                           m_valid,
    input  wire logic                      m_ready,
    output logic      [CHANNELS*OUT_W-1:0] m_data
);
  localparam int COUNT_W = $clog2(COUNT);

  if (COUNT < 2 || CHANNELS < 1 || WIDTH < 1) begin : gen_check
    $error("cdg_reduce: COUNT must be at least 2, CHANNELS and WIDTH at least 1");
  end
  if (OUT_W < WIDTH || OUT_W > WIDTH + (LARGEST ? 0 : $clog2(COUNT))) begin : gen_check_width
    $error("cdg_reduce: OUT_W must be WIDTH, or of a sum up to $clog2(COUNT) more");
  end

  logic [COUNT_W-1:0] count_q;
  logic first_q, full_q, accept, last;

  assign s_ready = !full_q || m_ready;
  assign accept  = s_valid && s_ready;
  assign last    = count_q == COUNT_W'(COUNT - 1);
  assign m_valid = full_q;

  always_ff @(posedge clk) begin
    if (!rst_n) begin
      count_q <= '0;
      first_q <= 1'b1;
      full_q  <= 1'b0;
    end else begin
      full_q <= (accept && last) || (full_q && !m_ready);
      if (accept) begin
        count_q <= last ? '0 : count_q + 1'b1;
        first_q <= last;
      end
    end
  end

  for (genvar c = 0; c < CHANNELS; c++) begin : gen_channel
    logic [WIDTH-1:0] x;
    logic [OUT_W-1:0] result_q;

    assign x = s_data[c*WIDTH+:WIDTH];
    assign m_data[c*OUT_W+:OUT_W] = result_q;

    if (LARGEST) begin : gen_largest
      // Order of two's complement numbers is that of plain ones once the sign bits are flipped.
      localparam logic [WIDTH-1:0] FLIP = WIDTH'(IS_SIGNED) << (WIDTH - 1);

      always_ff @(posedge clk) begin
        if (accept && (first_q || (x ^ FLIP) > (result_q ^ FLIP))) result_q <= x;
      end
    end else begin : gen_sum
      logic [OUT_W-1:0] wide, so_far;

      assign wide   = IS_SIGNED ? OUT_W'($signed(x)) : OUT_W'(x);
      assign so_far = first_q ? '0 : result_q;

      always_ff @(posedge clk) begin
        if (accept) result_q <= wide + so_far;
      end
    end
  end
endmodule

`default_nettype wire
