// y = A + B + C + PLUS modulo 2^Y_W, in one LUT6_2 per bit: O6 is the sum of the three bits and of
// the carry saved by the bit below, O5 the carry saved for the bit above, which enters its LUT and
// its carry chain. An operand X is x extended by its sign (X_SIGNED) or by zeros, with the bits of
// X_INV inverted: that negates it, takes its sign bit for 2^(X_W-1) more, or adds a constant above
// its width. Bits with less than two operands are left to synthesis.
`default_nettype none

module cdg_add3 #(
    parameter int A_W = 8,
    parameter int B_W = 8,
    parameter int C_W = 8,
    parameter int Y_W = 10,
    parameter bit A_SIGNED = 1'b0,
    parameter bit B_SIGNED = 1'b0,
    parameter bit C_SIGNED = 1'b0,
    parameter logic [Y_W-1:0] A_INV = '0,
    parameter logic [Y_W-1:0] B_INV = '0,
    parameter logic [Y_W-1:0] C_INV = '0,
    parameter int PLUS = 0,
    parameter int CARRY = 4
) (
    input  wire logic [A_W-1:0] a,
    input  wire logic [B_W-1:0] b,
    input  wire logic [C_W-1:0] c,
    output logic      [Y_W-1:0] y
);
  if (A_W < 1 || B_W < 1 || C_W < 1 || A_W > Y_W || B_W > Y_W || C_W > Y_W) begin : gen_check
    $error("cdg_add3: operands must have 1 to Y_W bits");
  end
  if (CARRY != 4 && CARRY != 8) begin : gen_check_carry
    $error("cdg_add3: CARRY must be 4 or 8");
  end
  if (PLUS < 0 || PLUS > 2) begin : gen_check_plus
    $error("cdg_add3: PLUS must be 0, 1 or 2");
  end

  logic [Y_W-1:0] a_all, b_all, c_all;

  assign a_all = A_SIGNED ? Y_W'($signed(a)) : Y_W'(a);
  assign b_all = B_SIGNED ? Y_W'($signed(b)) : Y_W'(b);
  assign c_all = C_SIGNED ? Y_W'($signed(c)) : Y_W'(c);

`ifdef SYNTHESIS
  if (A_W + B_W + C_W <= 5) begin : gen_small
    // Each bit of the sum is a function of five bits or fewer: no carry, and two bits in a LUT6_2.
    function automatic logic [32*Y_W-1:0] table_of_sums();
      logic [4:0] entry;
      logic [Y_W-1:0] a_entry, b_entry, c_entry, total;
      for (int v = 0; v < 32; v++) begin
        entry = 5'(v);
        a_entry = (A_SIGNED ? Y_W'($signed(entry[0+:A_W])) : Y_W'(entry[0+:A_W])) ^ A_INV;
        b_entry = (B_SIGNED ? Y_W'($signed(entry[A_W+:B_W])) : Y_W'(entry[A_W+:B_W])) ^ B_INV;
        c_entry = (C_SIGNED ? Y_W'($signed(entry[A_W+B_W+:C_W])) : Y_W'(entry[A_W+B_W+:C_W])) ^ C_INV;
        total = a_entry + b_entry + c_entry + Y_W'(PLUS);
        for (int k = 0; k < Y_W; k++) table_of_sums[32*k+v] = total[k];
      end
    endfunction

    cdg_lut5 #(
        .WIDTH(Y_W),
        .TABLE(table_of_sums())
    ) sums (
        .x(5'({c, b, a})),
        .y(y)
    );
  end else begin : gen_chain
    logic [Y_W:0] saved;
    logic [Y_W-1:0] s;

    // Through the LUT of bit 0 rather than the chain, where the first sum bit would be an inverted one.
    assign saved[0] = PLUS != 0;

    for (genvar i = 0; i < Y_W; i++) begin : gen_bit
      localparam bit HAS_A = A_SIGNED || i < A_W;
      localparam bit HAS_B = B_SIGNED || i < B_W;
      localparam bit HAS_C = C_SIGNED || i < C_W;
      if ((HAS_A && HAS_B) || (HAS_A && HAS_C) || (HAS_B && HAS_C)) begin : gen_lut
        // Inverting an input swaps the halves of its pairs of entries.
        localparam logic [7:0] M0 = 8'b1110_1000;
        localparam logic [7:0] M1 = A_INV[i] ? {M0[6], M0[7], M0[4], M0[5], M0[2], M0[3], M0[0], M0[1]} : M0;
        localparam logic [7:0] M2 = B_INV[i] ? {M1[5:4], M1[7:6], M1[1:0], M1[3:2]} : M1;
        localparam logic [7:0] MAJORITY = C_INV[i] ? {M2[3:0], M2[7:4]} : M2;
        localparam logic [7:0] ODD = 8'b1001_0110 ^ {8{A_INV[i] ^ B_INV[i] ^ C_INV[i]}};
        LUT6_2 #(
            .INIT({{2{~ODD, ODD}}, {4{MAJORITY}}})
        ) lut (
            .I0(a_all[i]),
            .I1(b_all[i]),
            .I2(c_all[i]),
            .I3(saved[i]),
            .I4(1'b0),
            .I5(1'b1),
            .O6(s[i]),
            .O5(saved[i+1])
        );
      end else begin : gen_few
        logic [2:0] bits;
        assign bits = {a_all[i] ^ A_INV[i], b_all[i] ^ B_INV[i], c_all[i] ^ C_INV[i]};
        assign s[i] = ^bits ^ saved[i];
        assign saved[i+1] = (bits[0] & bits[1]) | (bits[2] & (bits[0] | bits[1]));
      end
    end

    cdg_carry #(
        .W    (Y_W),
        .CARRY(CARRY)
    ) chain (
        .ci(1'(PLUS == 2)),
        .s (s),
        .di(saved[Y_W-1:0]),
        .o (y)
    );
  end
`else
  assign y = (a_all ^ A_INV) + (b_all ^ B_INV) + (c_all ^ C_INV) + Y_W'(PLUS);
`endif
endmodule

`default_nettype wire
