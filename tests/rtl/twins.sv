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

module cdg_product_ref #(
    parameter int X_W = 4,
    parameter bit X_SIGNED = 1'b0
) (
    input  wire logic [    1:0] trit,
    input  wire logic [X_W-1:0] x,
    output logic      [X_W-1:0] y
);
  // The true product less the lowest that this trit gives with any x.
  logic signed [X_W+1:0] value, lowest, product;

  assign value = X_SIGNED ? (X_W + 2)'($signed(x)) : (X_W + 2)'(x);
  assign lowest = X_SIGNED ? -(X_W + 2)'(1 << (X_W - 1)) : '0;
  assign product = trit[1] ? -value + lowest + (X_W + 2)'((1 << X_W) - 1) : value - lowest;
  assign y = trit[0] ? product[X_W-1:0] : '0;
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

module miter_rom_pair (
    input  wire logic [4:0] addr,
    output logic            equal
);
  localparam logic [26:0] LOW = 27'h5a0b5c3, HIGH = 27'h391f208;
  logic [1:0] data;

  cdg_rom_pair #(.DEPTH(27), .LOW(LOW), .HIGH(HIGH)) pair (.addr, .data(data));
  assign equal = addr >= 27 || data == {HIGH[addr], LOW[addr]};
endmodule

module miter_product (
    input  wire logic [1:0] trit,
    input  wire logic [6:0] x,
    output logic            equal
);
  logic [6:0] odd, odd_ref;
  logic [3:0] even, even_ref, plain, plain_ref;

  cdg_product #(.X_W(7), .X_SIGNED(1'b1)) one (.trit, .x, .y(odd));
  cdg_product_ref #(.X_W(7), .X_SIGNED(1'b1)) one_ref (.trit, .x, .y(odd_ref));
  cdg_product #(.X_W(4), .X_SIGNED(1'b1)) two (.trit, .x(x[3:0]), .y(even));
  cdg_product_ref #(.X_W(4), .X_SIGNED(1'b1)) two_ref (.trit, .x(x[3:0]), .y(even_ref));
  cdg_product #(.X_W(4)) three (.trit, .x(x[3:0]), .y(plain));
  cdg_product_ref #(.X_W(4)) three_ref (.trit, .x(x[3:0]), .y(plain_ref));
  assign equal = trit == 2'b10 || (odd == odd_ref && even == even_ref && plain == plain_ref);
endmodule

module miter_count6 (
    input  wire logic [5:0] x,
    output logic            equal
);
  logic [2:0] y, sum, fewer;

  cdg_count6 count (.x, .y(y));
  cdg_count6 #(.USED(4)) four (.x({2'b00, x[3:0]}), .y(fewer));
  assign sum = 3'(x[0]) + 3'(x[1]) + 3'(x[2]) + 3'(x[3]);
  assign equal = y == sum + 3'(x[4]) + 3'(x[5]) && fewer == sum;
endmodule

module miter_sum6 (
    input  wire logic [23:0] x,
    output logic             equal
);
  logic [6:0] y, sum;

  cdg_sum6 #(.W(4)) six (.x, .y(y));
  assign sum = 7'(x[3:0]) + 7'(x[7:4]) + 7'(x[11:8]) + 7'(x[15:12]) + 7'(x[19:16]) + 7'(x[23:20]);
  assign equal = y == sum;
endmodule

module miter_choose (
    input  wire logic [22:0] bits,
    input  wire logic [ 4:0] select,
    output logic             equal
);
  logic many, few, three;

  cdg_choose #(.COUNT(23)) wide (.bits, .select, .data(many));
  cdg_choose #(.COUNT(4)) narrow (.bits(bits[3:0]), .select(select[1:0]), .data(few));
  cdg_choose #(.COUNT(3)) odd (.bits(bits[2:0]), .select(select[1:0]), .data(three));
  assign equal = (select >= 23 || many == bits[select]) && few == bits[select[1:0]]
      && (select[1:0] == 2'd3 || three == bits[select[1:0]]);
endmodule

module miter_lut5 (
    input  wire logic [4:0] x,
    output logic            equal
);
  localparam logic [95:0] TABLE = 96'h2B7E_1516_0BAD_CAFE_E8E8_9696;
  logic [2:0] three, expected;
  logic [1:0] two;

  cdg_lut5 #(.WIDTH(3), .TABLE(TABLE)) odd (.x, .y(three));
  cdg_lut5 #(.WIDTH(2), .TABLE(TABLE[63:0])) even (.x, .y(two));

  assign expected = {TABLE[64+x], TABLE[32+x], TABLE[7'(x)]};
  assign equal = three == expected && two == expected[1:0];
endmodule

`default_nettype wire
