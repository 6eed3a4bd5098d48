// Sends vectors of N elements as frames of an AXI4-Stream: every element extended to ELEMENT_W bits,
// element 0 lowest in the first word, TLAST on the last word of a frame that came with s_last. A
// frame's last word and the loading of the next one share a cycle. The first word follows one cycle
// after the vector was taken.
// flush takes nothing in; a frame that is already being offered is sent to its end, as AXI demands,
// and counts as stale: it causes no events. Events: done (last word taken), stall (a word waits).
`default_nettype none

module cdg_frame_out #(
    parameter int WORD_W = 32,
    parameter int N = 5,
    parameter int IN_W = 7,
    parameter bit IN_SIGNED = 1'b1,
    parameter int ELEMENT_W = 8
) (
    input  wire logic              clk,
    input  wire logic              rst_n,
    input  wire logic              flush,
    input  wire logic              s_valid,
    output logic                   s_ready,
    input  wire logic [N*IN_W-1:0] s_data,
    input  wire logic              s_last,
    output logic                   m_axis_tvalid,
    input  wire logic              m_axis_tready,
    output logic      [WORD_W-1:0] m_axis_tdata,
    output logic                   m_axis_tlast,
    output logic                   stale,
    output logic                   done,
    output logic                   stall
);
  localparam int LANES = WORD_W / ELEMENT_W;
  localparam int WORDS = (N + LANES - 1) / LANES;
  localparam int COUNT_W = WORDS > 1 ? $clog2(WORDS) : 1;
  localparam int GROUP_W = LANES * IN_W;

  if (ELEMENT_W < IN_W || WORD_W % ELEMENT_W != 0) begin : gen_check
    $error("cdg_frame_out: ELEMENT_W must divide WORD_W and be at least IN_W");
  end
  if (N < 1 || IN_W < 1) begin : gen_check_size
    $error("cdg_frame_out: N and IN_W must be at least 1");
  end

  // What has not been sent yet, not extended; the group of the current word is lowest. Where nothing
  // is sent it is loaded whether or not s_valid is there yet: that comes late.
  logic [WORDS*GROUP_W-1:0] groups_q, groups_d;
  logic [COUNT_W-1:0] count_q;
  logic valid_q, last_q, stale_q;
  logic take, word_last, load;

  assign take      = valid_q && m_axis_tready;
  assign word_last = count_q == COUNT_W'(WORDS - 1);
  assign s_ready   = !flush && (!valid_q || (m_axis_tready && word_last));
  assign load      = s_valid && s_ready;

  assign m_axis_tvalid = valid_q;
  assign m_axis_tlast  = word_last && last_q;
  assign stale         = stale_q;
  assign done          = take && word_last && !stale_q;
  assign stall         = valid_q && !m_axis_tready && !stale_q;

  for (genvar i = 0; i < LANES; i++) begin : gen_lane
    logic [IN_W-1:0] element;
    assign element = groups_q[i*IN_W+:IN_W];
    if (ELEMENT_W == IN_W) begin : gen_whole
      assign m_axis_tdata[i*ELEMENT_W+:ELEMENT_W] = element;
    end else begin : gen_extend
      assign m_axis_tdata[i*ELEMENT_W+:ELEMENT_W] = {
        {(ELEMENT_W - IN_W) {IN_SIGNED && element[IN_W-1]}}, element
      };
    end
  end

  always_ff @(posedge clk) begin
    if (!rst_n) begin
      valid_q <= 1'b0;
      stale_q <= 1'b0;
      count_q <= '0;
    end else begin
      valid_q <= load || (valid_q && !(take && word_last));
      stale_q <= (stale_q || flush) && valid_q && !(take && word_last);
      if (take) count_q <= word_last ? '0 : count_q + 1'b1;
    end
  end

  if (WORDS == 1) begin : gen_word
    assign groups_d = groups_q;
  end else begin : gen_words
    assign groups_d = {{GROUP_W{1'b0}}, groups_q[WORDS*GROUP_W-1:GROUP_W]};
  end

  always_ff @(posedge clk) begin
    if (s_ready) groups_q <= (WORDS * GROUP_W)'(s_data);
    else if (take) groups_q <= groups_d;
    if (s_ready) last_q <= s_last;
  end
endmodule

`default_nettype wire
