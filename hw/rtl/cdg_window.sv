// Sliding window over an image that arrives pixel by pixel, row by row: PT, PB, PL and PR pixels of
// value PAD are put around it, and every SH-th row and SW-th column of windows of KH x KW pixels is
// offered whole, the pixel of row y and column x at [(y*KW+x)*PIXEL_W +: PIXEL_W]. Rows wait in one
// memory, distributed RAM or block RAM. One pixel per cycle, padding included; a window is offered
// one cycle after its last pixel was taken, and nothing moves on while it waits.
`default_nettype none

module cdg_window #(
    parameter int H = 4,
    parameter int W = 4,
    parameter int PIXEL_W = 2,
    parameter int KH = 3,
    parameter int KW = 3,
    parameter int SH = 1,
    parameter int SW = 1,
    parameter int PT = 0,
    parameter int PB = 0,
    parameter int PL = 0,
    parameter int PR = 0,
    parameter logic [PIXEL_W-1:0] PAD = '0,
    parameter bit BLOCK_RAM = 1'b0
) (
    input  wire logic                     clk,
    input  wire logic                     rst_n,
    input  wire logic                     s_valid,
    output logic                          s_ready,
    input  wire logic [      PIXEL_W-1:0] s_data,
    output logic                          m_valid,
    input  wire logic                     m_ready,
    output logic      [KH*KW*PIXEL_W-1:0] m_data
);
  localparam int ROWS = PT + H + PB;
  localparam int COLUMNS = PL + W + PR;
  localparam int ROW_W = ROWS > 1 ? $clog2(ROWS) : 1;
  localparam int COLUMN_W = COLUMNS > 1 ? $clog2(COLUMNS) : 1;
  localparam int SKIP_ROW_W = $clog2((KH > SH ? KH : SH) + 1);
  localparam int SKIP_COLUMN_W = $clog2((KW > SW ? KW : SW) + 1);

  if (H < 1 || W < 1 || PIXEL_W < 1 || PT < 0 || PB < 0 || PL < 0 || PR < 0) begin : gen_check_image
    $error("cdg_window: H, W and PIXEL_W must be at least 1, PT, PB, PL and PR at least 0");
  end
  if (KH < 1 || KW < 1 || KH > ROWS || KW > COLUMNS || SH < 1 || SW < 1) begin : gen_check_window
    $error("cdg_window: KH x KW must fit the padded image, SH and SW must be at least 1");
  end

  // Place of the next pixel in the padded image, and how many rows and columns until a window ends.
  // The counter of columns is kept apart from the equal address of the rows, which drives wide nets.
  logic [ROW_W-1:0] row_q;
  (* keep, dont_touch = "yes" *) logic [COLUMN_W-1:0] column_q;
  logic [COLUMN_W-1:0] column_d;
  logic [SKIP_ROW_W-1:0] skip_rows_q;
  logic [SKIP_COLUMN_W-1:0] skip_columns_q;
  logic row_last, column_last;
  logic on_image, advance, move, complete;
  logic valid_q;

  assign row_last    = row_q == ROW_W'(ROWS - 1);
  assign column_last = column_q == COLUMN_W'(COLUMNS - 1);

  if (PT + PB + PL + PR == 0) begin : gen_no_padding
    assign on_image = 1'b1;
  end else begin : gen_padding
    logic on_rows, on_columns;
    // In integers: a bound that is the end of the image needs a bit more than the counter has.
    assign on_rows    = int'(row_q) >= PT && int'(row_q) < PT + H;
    assign on_columns = int'(column_q) >= PL && int'(column_q) < PL + W;
    assign on_image = on_rows && on_columns;
  end

  assign advance  = !valid_q || m_ready;
  assign s_ready  = advance && on_image;
  assign move     = advance && (s_valid || !on_image);
  assign complete = skip_rows_q == '0 && skip_columns_q == '0;
  assign m_valid  = valid_q;

  always_comb begin
    column_d = column_q;
    if (move) column_d = column_last ? '0 : column_q + 1'b1;
  end

  always_ff @(posedge clk) begin
    if (!rst_n) begin
      row_q          <= '0;
      column_q       <= '0;
      skip_rows_q    <= SKIP_ROW_W'(KH - 1);
      skip_columns_q <= SKIP_COLUMN_W'(KW - 1);
      valid_q        <= 1'b0;
    end else begin
      valid_q  <= (move && complete) || (valid_q && !m_ready);
      column_q <= column_d;
      if (move) begin
        if (column_last) begin
          skip_columns_q <= SKIP_COLUMN_W'(KW - 1);
          row_q          <= row_last ? '0 : row_q + 1'b1;
          if (row_last) skip_rows_q <= SKIP_ROW_W'(KH - 1);
          else if (skip_rows_q == '0) skip_rows_q <= SKIP_ROW_W'(SH - 1);
          else skip_rows_q <= skip_rows_q - 1'b1;
        end else if (skip_columns_q == '0) begin
          skip_columns_q <= SKIP_COLUMN_W'(SW - 1);
        end else begin
          skip_columns_q <= skip_columns_q - 1'b1;
        end
      end
    end
  end

  // The new column of the window: the pixels above it, the oldest lowest, then the pixel itself.
  logic [KH*PIXEL_W-1:0] newest;
  logic [PIXEL_W-1:0] pixel;

  assign pixel = on_image ? s_data : PAD;
  assign newest[(KH-1)*PIXEL_W+:PIXEL_W] = pixel;

  if (KH > 1) begin : gen_rows
    localparam int ABOVE_W = (KH - 1) * PIXEL_W;
    logic [ABOVE_W-1:0] above;

    assign newest[ABOVE_W-1:0] = above;

    if (COLUMNS == 1) begin : gen_one_column
      always_ff @(posedge clk) begin
        if (move) above <= newest[KH*PIXEL_W-1:PIXEL_W];
      end
    end else if (BLOCK_RAM) begin : gen_block
      (* ram_style = "block" *) logic [ABOVE_W-1:0] rows[0:COLUMNS-1];

      always_ff @(posedge clk) begin
        if (move) rows[column_q] <= newest[KH*PIXEL_W-1:PIXEL_W];
        above <= rows[column_d];
      end
    end else begin : gen_distributed
      (* ram_style = "distributed" *) logic [ABOVE_W-1:0] rows[0:COLUMNS-1];
      (* keep, dont_touch = "yes" *) logic [COLUMN_W-1:0] address_q;

      always_ff @(posedge clk) begin
        if (!rst_n) address_q <= '0;
        else address_q <= column_d;
      end

      always_ff @(posedge clk) begin
        if (move) rows[address_q] <= newest[KH*PIXEL_W-1:PIXEL_W];
      end

      assign above = rows[address_q];
    end
  end

  for (genvar y = 0; y < KH; y++) begin : gen_row
    logic [KW*PIXEL_W-1:0] pixels_q;

    if (KW > 1) begin : gen_shift
      always_ff @(posedge clk) begin
        if (move) pixels_q <= {newest[y*PIXEL_W+:PIXEL_W], pixels_q[KW*PIXEL_W-1:PIXEL_W]};
      end
    end else begin : gen_single
      always_ff @(posedge clk) begin
        if (move) pixels_q <= newest[y*PIXEL_W+:PIXEL_W];
      end
    end

    assign m_data[y*KW*PIXEL_W+:KW*PIXEL_W] = pixels_q;
  end
endmodule

`default_nettype wire
