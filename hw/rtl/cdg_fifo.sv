// First-in first-out queue in distributed RAM. Fall-through: a word written in one cycle is offered
// in the next.
`default_nettype none

module cdg_fifo #(
    parameter int WIDTH = 8,
    parameter int DEPTH = 32
) (
    input  wire logic             clk,
    input  wire logic             rst_n,
    input  wire logic             s_valid,
    output logic                  s_ready,
    input  wire logic [WIDTH-1:0] s_data,
    output logic                  m_valid,
    input  wire logic             m_ready,
    output logic      [WIDTH-1:0] m_data
);
  localparam int ADDR_W = DEPTH > 1 ? $clog2(DEPTH) : 1;
  localparam logic [ADDR_W-1:0] LAST = ADDR_W'(DEPTH - 1);

  if (WIDTH < 1) begin : gen_check_width
    $error("cdg_fifo: WIDTH must be at least 1");
  end
  if (DEPTH < 1) begin : gen_check_depth
    $error("cdg_fifo: DEPTH must be at least 1");
  end

  (* ram_style = "distributed" *) logic [WIDTH-1:0] mem[0:DEPTH-1];

  // Whether there is a word is a register of its own: it begins paths that compared places would
  // lengthen, and tells a full queue from an empty one.
  logic [ADDR_W-1:0] write_q, read_q, write_next, read_next;
  logic valid_q, write, read;

  if (DEPTH == 1 << ADDR_W) begin : gen_power_of_two
    assign write_next = write_q + 1'b1;
    assign read_next  = read_q + 1'b1;
  end else begin : gen_any_depth
    assign write_next = write_q == LAST ? '0 : write_q + 1'b1;
    assign read_next  = read_q == LAST ? '0 : read_q + 1'b1;
  end

  assign s_ready = !valid_q || write_q != read_q;
  assign m_valid = valid_q;
  assign m_data  = mem[read_q];
  assign write   = s_valid && s_ready;
  assign read    = m_valid && m_ready;

  always_ff @(posedge clk) begin
    if (write) mem[write_q] <= s_data;
  end

  always_ff @(posedge clk) begin
    if (!rst_n) begin
      write_q <= '0;
      read_q  <= '0;
      valid_q <= 1'b0;
    end else begin
      if (write) write_q <= write_next;
      if (read) read_q <= read_next;
      valid_q <= write || (valid_q && !(m_ready && read_next == write_q));
    end
  end
endmodule

`default_nettype wire
