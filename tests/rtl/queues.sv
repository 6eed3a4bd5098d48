// What a queue must do, as a queue that is plain to see: beats are offered in the order in which they
// came, each once, a full queue refuses and an empty one offers nothing. `ok` is true where the module
// does the same; the invariants tie the two states together, so that one step of induction is a proof.
// Wires called peek_* are connected to registers of the module by the script.
`default_nettype none

module plain_queue #(
    parameter int WIDTH = 2,
    parameter int DEPTH = 2
) (
    input  wire logic                   clk,
    input  wire logic                   rst_n,
    input  wire logic                   accept,
    input  wire logic                   leave,
    input  wire logic [      WIDTH-1:0] s_data,
    output logic      [            3:0] count,
    output logic      [DEPTH*WIDTH-1:0] kept
);
  logic [DEPTH*WIDTH-1:0] left;
  logic [3:0] rest;

  assign left = leave ? kept >> WIDTH : kept;
  assign rest = count - 4'(leave);

  always_ff @(posedge clk) begin
    count <= rst_n ? rest + 4'(accept) : 4'd0;
    for (int i = 0; i < DEPTH; i++) begin
      kept[i*WIDTH+:WIDTH] <= accept && rest == 4'(i) ? s_data : left[i*WIDTH+:WIDTH];
    end
  end
endmodule

module check_fifo #(
    parameter int WIDTH = 2,
    parameter int DEPTH = 3
) (
    input  wire logic             clk,
    input  wire logic             rst_n,
    input  wire logic             s_valid,
    input  wire logic [WIDTH-1:0] s_data,
    input  wire logic             m_ready,
    output logic                  ok
);
  localparam int ADDR_W = DEPTH > 1 ? $clog2(DEPTH) : 1;

  logic s_ready, m_valid;
  logic [WIDTH-1:0] m_data;
  logic [3:0] count;
  logic [DEPTH*WIDTH-1:0] kept;
  wire [ADDR_W-1:0] peek_write, peek_read;
  wire [DEPTH*WIDTH-1:0] peek_mem;

  cdg_fifo #(.WIDTH(WIDTH), .DEPTH(DEPTH)) dut (.*);
  plain_queue #(.WIDTH(WIDTH), .DEPTH(DEPTH)) plain (
      .clk, .rst_n, .s_data, .count, .kept,
      .accept(s_valid && s_ready), .leave(m_valid && m_ready)
  );

  logic [3:0] first, behind, distance;
  logic [DEPTH-1:0] equal;

  assign first    = 4'(peek_read);
  assign behind   = 4'(peek_write);
  assign distance = behind - first + (behind < first || (behind == first && m_valid) ? 4'(DEPTH) : 4'd0);

  for (genvar i = 0; i < DEPTH; i++) begin : gen_beat
    logic [3:0] place;
    assign place = first + 4'(i) >= 4'(DEPTH) ? first + 4'(i) - 4'(DEPTH) : first + 4'(i);
    assign equal[i] = 4'(i) >= count || (peek_mem >> (place * WIDTH)) % (1 << WIDTH) == kept[i*WIDTH+:WIDTH];
  end

  assign ok = m_valid == (count != 0) && s_ready == (count < 4'(DEPTH))
      && (!m_valid || m_data == kept[WIDTH-1:0])
      && count <= 4'(DEPTH) && distance == count && first < 4'(DEPTH) && behind < 4'(DEPTH) && &equal;
endmodule

module check_skid #(
    parameter int WIDTH = 2
) (
    input  wire logic             clk,
    input  wire logic             rst_n,
    input  wire logic             s_valid,
    input  wire logic [WIDTH-1:0] s_data,
    input  wire logic             m_ready,
    output logic                  ok
);
  logic s_ready, m_valid;
  logic [WIDTH-1:0] m_data;
  logic [3:0] count;
  logic [2*WIDTH-1:0] kept;
  wire peek_out_valid, peek_skid_valid;
  wire [WIDTH-1:0] peek_skid;

  cdg_skid #(.WIDTH(WIDTH)) dut (.*);
  plain_queue #(.WIDTH(WIDTH), .DEPTH(2)) plain (
      .clk, .rst_n, .s_data, .count, .kept,
      .accept(s_valid && s_ready), .leave(m_valid && m_ready)
  );

  assign ok = m_valid == (count != 0) && s_ready == (count < 2) && (!m_valid || m_data == kept[WIDTH-1:0])
      && count == 4'(peek_out_valid) + 4'(peek_skid_valid)
      && (!peek_skid_valid || peek_skid == kept[WIDTH+:WIDTH]);
endmodule

`default_nettype wire
