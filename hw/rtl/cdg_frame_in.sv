// Assembles the words of an AXI4-Stream into frames of FRAME_W bits, the first word lowest. What is a
// frame, what is dropped, and the events are those of cdg_frame_words. A frame is offered in the cycle
// after its last word was taken; the next frame's words follow without a gap, the stream waits only
// behind a frame that is not taken.
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

  if (WORD_W < 1 || FRAME_W < 1) begin : gen_check
    $error("cdg_frame_in: WORD_W and FRAME_W must be at least 1");
  end

  // The many enables of the assembled words do not hang on m_ready: only the word that completes a
  // frame waits.
  logic [WORD_W-1:0] word;
  logic word_valid, word_completes, unused_keep, unused_first;

  cdg_frame_words #(
      .WORD_W(WORD_W),
      .WORDS (WORDS)
  ) stream (
      .clk          (clk),
      .rst_n        (rst_n),
      .flush        (flush),
      .bursts       (bursts),
      .s_axis_tvalid(s_axis_tvalid),
      .s_axis_tready(s_axis_tready),
      .s_axis_tdata (s_axis_tdata),
      .s_axis_tlast (s_axis_tlast),
      .m_valid      (word_valid),
      .m_ready      (!word_completes || m_ready),
      .m_data       (word),
      .m_keep       (unused_keep),
      .m_first      (unused_first),
      .m_complete   (word_completes),
      .m_last       (m_last),
      .receiving    (receiving),
      .first        (first),
      .good         (good),
      .bad_short    (bad_short),
      .bad_long     (bad_long)
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
