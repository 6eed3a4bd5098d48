// Behavioural twins of the modules written as LUT functions or primitives, and the miters that compare
// them. A trit is never 2'b10, so a miter's output is true there; nor is an address beyond the words.
`default_nettype none

module cdg_ternary_mul_ref (
    input  wire logic [1:0] a,
    input  wire logic [1:0] b,
    output logic      [1:0] y
);
  logic signed [3:0] product;

  assign product = 4'($signed(a)) * 4'($signed(b));
  assign y = product[1:0];
endmodule

module cdg_trit_sum_ref (
    input  wire logic [1:0] a,
    input  wire logic [1:0] b,
    input  wire logic [1:0] c,
    output logic      [2:0] y
);
  assign y = 3'($signed(a)) + 3'($signed(b)) + 3'($signed(c));
endmodule

module cdg_rom_column_ref #(
    parameter int DEPTH = 64,
    parameter logic [DEPTH-1:0] WORDS = '0
) (
    input  wire logic [$clog2(DEPTH)-1:0] addr,
    output logic                          data
);
  assign data = WORDS[addr];
endmodule

module miter_ternary_mul (
    input  wire logic [1:0] a,
    input  wire logic [1:0] b,
    output logic            equal
);
  logic [1:0] y, y_ref;

  cdg_ternary_mul mul (.a, .b, .y(y));
  cdg_ternary_mul_ref mul_ref (.a, .b, .y(y_ref));
  assign equal = a == 2'b10 || b == 2'b10 || y == y_ref;
endmodule

module miter_trit_sum (
    input  wire logic [1:0] a,
    input  wire logic [1:0] b,
    input  wire logic [1:0] c,
    output logic            equal
);
  logic [2:0] y, y_ref;

  cdg_trit_sum trits (.a, .b, .c, .y(y));
  cdg_trit_sum_ref trits_ref (.a, .b, .c, .y(y_ref));
  assign equal = a == 2'b10 || b == 2'b10 || c == 2'b10 || y == y_ref;
endmodule

module miter_rom_column (
    input  wire logic [7:0] addr,
    output logic            equal
);
  localparam logic [149:0] WORDS = 150'h1a0b5c_3d7e91f2_0846ac13_9b75de24_f0c3681b_57a9ed02;
  localparam logic [4:0] FEW = 5'b10110;
  logic data, data_ref, few, few_ref;

  cdg_rom_column #(.DEPTH(150), .WORDS(WORDS)) column (.addr, .data(data));
  cdg_rom_column_ref #(.DEPTH(150), .WORDS(WORDS)) column_ref (.addr, .data(data_ref));
  cdg_rom_column #(.DEPTH(5), .WORDS(FEW)) short (.addr(addr[2:0]), .data(few));
  cdg_rom_column_ref #(.DEPTH(5), .WORDS(FEW)) short_ref (.addr(addr[2:0]), .data(few_ref));
  assign equal = (addr >= 150 || data == data_ref) && (addr >= 5 || few == few_ref);
endmodule

`default_nettype wire
