// Assembles the words of an AXI4-Stream into frames of FRAME_W bits, the first word lowest. A packet
// (up to TLAST) is one frame, or with bursts any number of whole frames; m_last marks the frame that
// ends one. A frame that TLAST cuts short is dropped; without bursts, a missing TLAST drops the frame
// and everything up to TLAST. A frame is offered in the cycle after its last word was taken; the next
// frame's words follow without a gap, the stream waits only behind a frame that is not taken.
// flush drops what has been received, also the rest of a packet that is not complete.
// Events, in the cycle in which the word is taken: first (begins a frame), good (completes one),
// bad_short, bad_long.
`default_nettype none

module cdg_frame_in #(
    parameter int WORD_W = 32,
    parameter int FRAME_W = 80
) (
    input  wire logic               clk,
    input  wire logic               rst_n,
    input  wire logic               flush,
    input  wire logic               bursts,
    input  wire logic               s_axis_tvalid,
    output logic                    s_axis_tready,
    input  wire logic [ WORD_W-1:0] s_axis_tdata,
    input  wire logic               s_axis_tlast,
    output logic                    m_valid,
    input  wire logic               m_ready,
    output logic      [FRAME_W-1:0] m_data,
    output logic                    m_last,
    output logic                    receiving,
    output logic                    first,
    output logic                    good,
    output logic                    bad_short,
    output logic                    bad_long
);
  localparam int WORDS = (FRAME_W + WORD_W - 1) / WORD_W;
  localparam int COUNT_W = WORDS > 1 ? $clog2(WORDS) : 1;

  if (WORD_W < 1 || FRAME_W < 1) begin : gen_check
    $error("cdg_frame_in: WORD_W and FRAME_W must be at least 1");
  end

  // inside_q: the word taken last did not end its packet.
  logic [COUNT_W-1:0] count_q;
  logic inside_q, drop_q;
  logic accept, parse, word_last, completes;

  assign accept    = s_axis_tvalid && s_axis_tready;
  assign parse     = accept && !drop_q;
  assign word_last = count_q == COUNT_W'(WORDS - 1);
  assign completes = !drop_q && word_last && (s_axis_tlast || bursts);

  assign first     = parse && count_q == '0;
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

  // The stream's ready is a register, and the many enables of the assembled words do not hang on
  // m_ready: only the word that completes a frame waits, and it does so here.
  logic [WORD_W-1:0] word;
  logic word_valid, word_completes;

  cdg_skid #(
      .WIDTH(WORD_W + 2)
  ) skid (
      .clk    (clk),
      .rst_n  (rst_n && !flush),
      .s_valid(s_axis_tvalid),
      .s_ready(s_axis_tready),
      .s_data ({s_axis_tlast, completes, s_axis_tdata}),
      .m_valid(word_valid),
      .m_ready(!word_completes || m_ready),
      .m_data ({m_last, word_completes, word})
  );

  // All words of the frame. Those before the last are the ones that came latest, whatever they
  // belonged to: words of dropped frames pass through and are gone.
  logic [WORDS*WORD_W-1:0] words;

  if (WORDS == 1) begin : gen_word
    assign words = word;
  end else begin : gen_words
    logic [(WORDS-1)*WORD_W-1:0] words_q;

    assign words = {word, words_q};

    always_ff @(posedge clk) begin
      if (word_valid && !word_completes) words_q <= words[WORDS*WORD_W-1:WORD_W];
    end
  end

  assign m_valid = word_valid && word_completes;
  assign m_data  = words[FRAME_W-1:0];

  if (WORDS * WORD_W > FRAME_W) begin : gen_padding
    logic unused;
    assign unused = &{1'b0, words[WORDS*WORD_W-1:FRAME_W]};
  end
endmodule

`default_nettype wire
