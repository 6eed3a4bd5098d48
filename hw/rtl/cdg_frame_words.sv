// Tells the words of an AXI4-Stream apart by the frames of WORDS that they belong to. A packet (up to
// TLAST) is one frame, or with bursts any number of whole frames; m_last marks the word that ends one.
// A frame that TLAST cuts short is dropped; without bursts, a missing TLAST drops the frame and
// everything up to TLAST: then m_complete does not come before the next m_first. Words that belong to
// no frame have m_keep low. Each word follows one cycle after it was taken.
// flush drops what has been received, also the rest of a packet that is not complete.
// Events, in the cycle in which the word is taken: first (begins a frame), good (completes one),
// bad_short, bad_long.
`default_nettype none

module cdg_frame_words #(
    parameter int WORD_W = 32,
    parameter int WORDS  = 3
) (
    input  wire logic              clk,
    input  wire logic              rst_n,
    input  wire logic              flush,
    input  wire logic              bursts,
    input  wire logic              s_axis_tvalid,
    output logic                   s_axis_tready,
    input  wire logic [WORD_W-1:0] s_axis_tdata,
    input  wire logic              s_axis_tlast,
    output logic                   m_valid,
    input  wire logic              m_ready,
    output logic      [WORD_W-1:0] m_data,
    output logic                   m_keep,
    output logic                   m_first,
    output logic                   m_complete,
    output logic                   m_last,
    output logic                   receiving,
    output logic                   first,
    output logic                   good,
    output logic                   bad_short,
    output logic                   bad_long
);
  localparam int COUNT_W = WORDS > 1 ? $clog2(WORDS) : 1;

  if (WORD_W < 1 || WORDS < 1) begin : gen_check
    $error("cdg_frame_words: WORD_W and WORDS must be at least 1");
  end

  // inside_q: the word taken last did not end its packet.
  logic [COUNT_W-1:0] count_q;
  logic inside_q, drop_q;
  logic accept, parse, word_first, word_last, completes;

  assign accept     = s_axis_tvalid && s_axis_tready;
  assign parse      = accept && !drop_q;
  assign word_first = !drop_q && count_q == '0;
  assign word_last  = count_q == COUNT_W'(WORDS - 1);
  assign completes  = !drop_q && word_last && (s_axis_tlast || bursts);

  assign first     = accept && word_first;
  assign good      = accept && completes;
  assign bad_short = parse && !word_last && s_axis_tlast;
  assign bad_long  = parse && word_last && !s_axis_tlast && !bursts;
  assign receiving = inside_q;

  always_ff @(posedge clk) begin
    if (!rst_n) inside_q <= 1'b0;
    else if (accept) inside_q <= !s_axis_tlast;
  end

  always_ff @(posedge clk) begin
    if (!rst_n) begin
      drop_q  <= 1'b0;
      count_q <= '0;
    end else if (flush) begin
      drop_q  <= accept ? !s_axis_tlast : inside_q;
      count_q <= '0;
    end else if (accept) begin
      drop_q <= (drop_q || bad_long) && !s_axis_tlast;
      if (parse) count_q <= word_last || s_axis_tlast ? '0 : count_q + 1'b1;
    end
  end

  // The stream's ready is a register: it does not hang on m_ready.
  cdg_skid #(
      .WIDTH(WORD_W + 4)
  ) skid (
      .clk    (clk),
      .rst_n  (rst_n && !flush),
      .s_valid(s_axis_tvalid),
      .s_ready(s_axis_tready),
      .s_data ({!drop_q, word_first, completes, s_axis_tlast, s_axis_tdata}),
      .m_valid(m_valid),
      .m_ready(m_ready),
      .m_data ({m_keep, m_first, m_complete, m_last, m_data})
  );
endmodule

`default_nettype wire
