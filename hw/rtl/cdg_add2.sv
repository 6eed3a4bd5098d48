// y = A + B + PLUS modulo 2^Y_W, in one LUT6_2 per bit for any constant PLUS. An operand X is x
// extended by its sign (X_SIGNED) or by zeros, with the bits of X_INV inverted. With a PLUS each
// LUT takes the two bits below as well and makes the carry that they save.
`default_nettype none

module cdg_add2 #(
    parameter int A_W = 8,
    parameter int B_W = 8,
    parameter int Y_W = 9,
    parameter bit A_SIGNED = 1'b0,
    parameter bit B_SIGNED = 1'b0,
    parameter logic [Y_W-1:0] A_INV = '0,
    parameter logic [Y_W-1:0] B_INV = '0,
    parameter logic [Y_W-1:0] PLUS = '0,
    parameter int CARRY = 4
) (
    input  wire logic [A_W-1:0] a,
    input  wire logic [B_W-1:0] b,
    output logic      [Y_W-1:0] y
);
  if (A_W < 1 || B_W < 1 || A_W > Y_W || B_W > Y_W) begin : gen_check
    $error("cdg_add2: operands must have 1 to Y_W bits");
  end
  if (CARRY != 4 && CARRY != 8) begin : gen_check_carry
    $error("cdg_add2: CARRY must be 4 or 8");
  end

  logic [Y_W-1:0] a_all, b_all;

  assign a_all = A_SIGNED ? Y_W'($signed(a)) : Y_W'(a);
  assign b_all = B_SIGNED ? Y_W'($signed(b)) : Y_W'(b);

`ifdef SYNTHESIS
  if (A_W + B_W <= 5) begin : gen_small
    // Each bit of the sum is a function of five bits or fewer: no carry, and two bits in a LUT6_2.
    function automatic logic [32*Y_W-1:0] table_of_sums();
      logic [4:0] entry;
      logic [Y_W-1:0] a_entry, b_entry, total;
      for (int v = 0; v < 32; v++) begin
        entry = 5'(v);
        a_entry = (A_SIGNED ? Y_W'($signed(entry[0+:A_W])) : Y_W'(entry[0+:A_W])) ^ A_INV;
        b_entry = (B_SIGNED ? Y_W'($signed(entry[A_W+:B_W])) : Y_W'(entry[A_W+:B_W])) ^ B_INV;
        total = a_entry + b_entry + PLUS;
        for (int k = 0; k < Y_W; k++) table_of_sums[32*k+v] = total[k];
      end
    endfunction

    cdg_lut5 #(
        .WIDTH(Y_W),
        .TABLE(table_of_sums())
    ) sums (
        .x(5'({b, a})),
        .y(y)
    );
  end else begin : gen_chain
    localparam bit PLAIN = PLUS == 0;
    // Entries of a LUT by (b, a): the sum of the bits, and the carry that they save with a bit of PLUS.
    localparam logic [3:0] ODD = 4'b0110;

    logic [Y_W-1:0] s, di;

    for (genvar i = 0; i < Y_W; i++) begin : gen_bit
      localparam bit HAS_A = A_SIGNED || i < A_W;
      localparam bit HAS_B = B_SIGNED || i < B_W;
      localparam bit BELOW = i > 0 && !PLAIN && (A_SIGNED || i <= A_W) && (B_SIGNED || i <= B_W);
      localparam bit FLIP = A_INV[i] ^ B_INV[i] ^ PLUS[i];
      if (PLAIN && HAS_A && HAS_B) begin : gen_lut
        localparam logic [3:0] FIRST = {4{A_INV[i]}} ^ 4'b1010;
        LUT6_2 #(
            .INIT({{8{ODD ^ {4{FLIP}}}}, {8{FIRST}}})
        ) lut (
            .I0(a_all[i]),
            .I1(b_all[i]),
            .I2(1'b0),
            .I3(1'b0),
            .I4(1'b0),
            .I5(1'b1),
            .O6(s[i]),
            .O5(di[i])
        );
      end else if (BELOW) begin : gen_lut_below
        // Without inversion the carry saved by a and b is a & b, or a | b where PLUS has the bit.
        localparam logic [3:0] S0 = PLUS[i-1] ? 4'b1110 : 4'b1000;
        localparam logic [3:0] S1 = A_INV[i-1] ? {S0[2], S0[3], S0[0], S0[1]} : S0;
        localparam logic [3:0] SAVED = B_INV[i-1] ? {S1[1:0], S1[3:2]} : S1;
        localparam logic [15:0] SAVED_ALL = {{4{SAVED[3]}}, {4{SAVED[2]}}, {4{SAVED[1]}}, {4{SAVED[0]}}};
        LUT6_2 #(
            .INIT({{2{SAVED_ALL ^ {4{ODD ^ {4{FLIP}}}}}}, {2{SAVED_ALL}}})
        ) lut (
            .I0(a_all[i]),
            .I1(b_all[i]),
            .I2(a_all[i-1]),
            .I3(b_all[i-1]),
            .I4(1'b0),
            .I5(1'b1),
            .O6(s[i]),
            .O5(di[i])
        );
      end else begin : gen_few
        logic one, other, plus, saved;
        assign one = a_all[i] ^ A_INV[i];
        assign other = b_all[i] ^ B_INV[i];
        assign plus = PLUS[i];
        if (PLAIN) begin : gen_plain
          assign saved = 1'b0;
          assign s[i] = one ^ other;
          assign di[i] = HAS_A ? other : one;
        end else begin : gen_saved
          if (i == 0) begin : gen_first
            assign saved = 1'b0;
          end else begin : gen_next
            logic [2:0] bits;
            assign bits = {a_all[i-1] ^ A_INV[i-1], b_all[i-1] ^ B_INV[i-1], PLUS[i-1]};
            assign saved = (bits[0] & bits[1]) | (bits[2] & (bits[0] | bits[1]));
          end
          assign s[i] = one ^ other ^ plus ^ saved;
          assign di[i] = saved;
        end
      end
    end

    cdg_carry #(
        .W    (Y_W),
        .CARRY(CARRY)
    ) chain (
        .ci(1'b0),
        .s (s),
        .di(di),
        .o (y)
    );
  end
`else
  assign y = (a_all ^ A_INV) + (b_all ^ B_INV) + PLUS;
`endif
endmodule

`default_nettype wire
