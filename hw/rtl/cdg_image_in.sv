// Takes images from the words of an AXI4-Stream and offers them pixel by pixel. A word holds PER_WORD
// whole pixels, the first lowest, or one pixel fills whole words; what is left of a word is ignored.
// What is a frame, what is dropped, and the events are those of cdg_frame_words; an image is kept
// until it is whole, so that no pixel of a dropped one is ever offered. frame_valid tells of each
// whole image before its first pixel, frame_last whether it ends its packet; the image waits for
// frame_ready. The first pixel is offered three cycles after an image's last word was taken, four
// where words hold several; the others follow without a gap.
`default_nettype none

module cdg_image_in #(
    parameter int WORD_W    = 32,
    parameter int PIXEL_W   = 8,
    parameter int PIXELS    = 16,
    parameter int PER_WORD  = 4,
    parameter bit BLOCK_RAM = 1'b0
) (
    input  wire logic               clk,
    input  wire logic               rst_n,
    input  wire logic               flush,
    input  wire logic               bursts,
    input  wire logic               s_axis_tvalid,
    output logic                    s_axis_tready,
    input  wire logic [ WORD_W-1:0] s_axis_tdata,
    input  wire logic               s_axis_tlast,
    output logic                    frame_valid,
    input  wire logic               frame_ready,
    output logic                    frame_last,
    output logic                    m_valid,
    input  wire logic               m_ready,
    output logic      [PIXEL_W-1:0] m_data,
    output logic                    receiving,
    output logic                    first,
    output logic                    good,
    output logic                    bad_short,
    output logic                    bad_long
);
  // An entry of the store is what fills one word, or a pixel of several.
  localparam int ENTRY_W = PER_WORD * PIXEL_W;
  localparam int WORDS = (ENTRY_W + WORD_W - 1) / WORD_W;
  localparam int ENTRIES = PIXELS / PER_WORD;

  if (PER_WORD < 1 || PIXELS < 1 || PIXELS % PER_WORD != 0) begin : gen_check_pixels
    $error("cdg_image_in: PER_WORD must be at least 1 and divide PIXELS");
  end
  if (PIXEL_W < 1 || (PER_WORD > 1 && ENTRY_W > WORD_W)) begin : gen_check_width
    $error("cdg_image_in: a pixel has at least 1 bit, and PER_WORD of them fit a word");
  end

  logic [WORD_W-1:0] word;
  logic word_valid, word_ready, word_keep, word_first, word_complete;

  cdg_frame_words #(
      .WORD_W(WORD_W),
      .WORDS (ENTRIES * WORDS)
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
      .m_ready      (word_ready),
      .m_data       (word),
      .m_keep       (word_keep),
      .m_first      (word_first),
      .m_complete   (word_complete),
      .m_last       (frame_last),
      .receiving    (receiving),
      .first        (first),
      .good         (good),
      .bad_short    (bad_short),
      .bad_long     (bad_long)
  );

  // The words of an entry, and whether this is its last one and its entry the frame's first.
  logic [WORDS*WORD_W-1:0] words;
  logic entry_last, entry_first;

  if (WORDS == 1) begin : gen_word
    assign words       = word;
    assign entry_last  = 1'b1;
    assign entry_first = word_first;
  end else begin : gen_words
    localparam int COUNT_W = $clog2(WORDS);

    logic [(WORDS-1)*WORD_W-1:0] words_q;
    logic [COUNT_W-1:0] count_q, count;
    logic first_q;

    assign words       = {word, words_q};
    assign count       = word_first ? '0 : count_q;
    assign entry_last  = count == COUNT_W'(WORDS - 1);
    assign entry_first = first_q;

    always_ff @(posedge clk) begin
      if (word_valid && word_ready) begin
        words_q <= words[WORDS*WORD_W-1:WORD_W];
        count_q <= entry_last ? '0 : count + 1'b1;
        if (word_first) first_q <= 1'b1;
        else if (entry_last) first_q <= 1'b0;
      end
    end
  end

  logic store_ready, entry_valid, entry_offered, pixels_valid, pixels_ready;
  logic [ENTRY_W-1:0] pixels;

  assign entry_valid = word_valid && word_keep && entry_last;
  assign frame_valid = entry_valid && word_complete && store_ready;
  assign entry_offered = entry_valid && (!word_complete || frame_ready);
  assign word_ready  = !(word_keep && entry_last) || (store_ready && (!word_complete || frame_ready));

  cdg_frame_store #(
      .WIDTH    (ENTRY_W),
      .ENTRIES  (ENTRIES),
      .BLOCK_RAM(BLOCK_RAM)
  ) store (
      .clk       (clk),
      .rst_n     (rst_n && !flush),
      .s_valid   (entry_offered),
      .s_ready   (store_ready),
      .s_data    (words[ENTRY_W-1:0]),
      .s_first   (entry_first),
      .s_complete(word_complete),
      .m_valid   (pixels_valid),
      .m_ready   (pixels_ready),
      .m_data    (pixels)
  );

  if (PER_WORD == 1) begin : gen_pixel
    assign m_valid      = pixels_valid;
    assign m_data       = pixels;
    assign pixels_ready = m_ready;
  end else begin : gen_split
    cdg_split #(
        .WIDTH(PIXEL_W),
        .COUNT(PER_WORD)
    ) split (
        .clk    (clk),
        .rst_n  (rst_n && !flush),
        .s_valid(pixels_valid),
        .s_ready(pixels_ready),
        .s_data (pixels),
        .m_valid(m_valid),
        .m_ready(m_ready),
        .m_data (m_data)
    );
  end

  if (WORDS * WORD_W > ENTRY_W) begin : gen_padding
    logic unused;
    assign unused = &{1'b0, words[WORDS*WORD_W-1:ENTRY_W]};
  end
endmodule

`default_nettype wire
