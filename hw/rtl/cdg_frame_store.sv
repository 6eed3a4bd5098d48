// Two frames of ENTRIES words each, in RAM: one is filled while the other is read. Only whole frames
// are read; s_first begins one, from wherever the last had got to, s_complete ends it. The first word
// is offered two cycles after the last one was taken, the others follow without a gap, and so does
// the next frame where it is complete.
`default_nettype none

module cdg_frame_store #(
    parameter int WIDTH     = 8,
    parameter int ENTRIES   = 16,
    parameter bit BLOCK_RAM = 1'b0
) (
    input  wire logic             clk,
    input  wire logic             rst_n,
    input  wire logic             s_valid,
    output logic                  s_ready,
    input  wire logic [WIDTH-1:0] s_data,
    input  wire logic             s_first,
    input  wire logic             s_complete,
    output logic                  m_valid,
    input  wire logic             m_ready,
    output logic      [WIDTH-1:0] m_data
);
  localparam int INDEX_W = ENTRIES > 1 ? $clog2(ENTRIES) : 1;
  localparam int WORDS = 2 << INDEX_W;

  if (WIDTH < 1 || ENTRIES < 1) begin : gen_check
    $error("cdg_frame_store: WIDTH and ENTRIES must be at least 1");
  end

  // An address is the frame's half, then the index in it.
  logic [INDEX_W-1:0] write_q, write_index, read_q;
  logic write_half_q, read_half_q, valid_q;
  logic [1:0] full_q;
  logic accept, completed, advance, take, read_last;

  assign s_ready     = !full_q[write_half_q];
  assign accept      = s_valid && s_ready;
  assign completed   = accept && s_complete;
  assign write_index = s_first ? '0 : write_q;
  assign advance     = !valid_q || m_ready;
  assign take        = advance && full_q[read_half_q];
  assign read_last   = read_q == INDEX_W'(ENTRIES - 1);
  assign m_valid     = valid_q;

  always_ff @(posedge clk) begin
    if (!rst_n) begin
      write_half_q <= 1'b0;
      read_half_q  <= 1'b0;
      read_q       <= '0;
      valid_q      <= 1'b0;
      full_q       <= '0;
    end else begin
      if (advance) valid_q <= full_q[read_half_q];
      if (completed) begin
        full_q[write_half_q] <= 1'b1;
        write_half_q         <= !write_half_q;
      end
      if (take) read_q <= read_last ? '0 : read_q + 1'b1;
      if (take && read_last) begin
        full_q[read_half_q] <= 1'b0;
        read_half_q         <= !read_half_q;
      end
    end
  end

  always_ff @(posedge clk) begin
    if (accept) write_q <= write_index + 1'b1;
  end

  if (BLOCK_RAM) begin : gen_block
    (* ram_style = "block" *) logic [WIDTH-1:0] frames[0:WORDS-1];

    always_ff @(posedge clk) begin
      if (accept) frames[{write_half_q, write_index}] <= s_data;
      if (take) m_data <= frames[{read_half_q, read_q}];
    end
  end else begin : gen_distributed
    (* ram_style = "distributed" *) logic [WIDTH-1:0] frames[0:WORDS-1];

    always_ff @(posedge clk) begin
      if (accept) frames[{write_half_q, write_index}] <= s_data;
    end

    always_ff @(posedge clk) begin
      if (take) m_data <= frames[{read_half_q, read_q}];
    end
  end
endmodule

`default_nettype wire
