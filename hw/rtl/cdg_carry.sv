// The carry chain of a slice: o = s ^ carry, and a bit's carry is di where s is 0, else the carry
// into it. CARRY is the number of bits in a cell: 4 (7 series) or 8 (UltraScale+).
`default_nettype none

module cdg_carry #(
    parameter int W     = 8,
    parameter int CARRY = 4
) (
    input  wire logic         ci,
    input  wire logic [W-1:0] s,
    input  wire logic [W-1:0] di,
    output logic      [W-1:0] o
);
  if (W < 1 || (CARRY != 4 && CARRY != 8)) begin : gen_check
    $error("cdg_carry: W must be at least 1 and CARRY 4 or 8");
  end

`ifdef SYNTHESIS
  localparam int CELLS = (W + CARRY - 1) / CARRY;
  localparam int PADDED = CELLS * CARRY;

  logic [PADDED-1:0] s_all, di_all, o_all, co_all;

  assign s_all  = PADDED'(s);
  assign di_all = PADDED'(di);
  assign o      = o_all[W-1:0];

  for (genvar k = 0; k < CELLS; k++) begin : gen_cell
    if (CARRY == 4) begin : gen_four
      CARRY4 chain (
          .CI    (k == 0 ? 1'b0 : co_all[k == 0 ? 0 : 4*k-1]),
          .CYINIT(k == 0 ? ci : 1'b0),
          .DI    (di_all[4*k+:4]),
          .S     (s_all[4*k+:4]),
          .O     (o_all[4*k+:4]),
          .CO    (co_all[4*k+:4])
      );
    end else begin : gen_eight
      CARRY8 #(
          .CARRY_TYPE("SINGLE_CY8")
      ) chain (
          .CI    (k == 0 ? ci : co_all[k == 0 ? 0 : 8*k-1]),
          .CI_TOP(1'b0),
          .DI    (di_all[8*k+:8]),
          .S     (s_all[8*k+:8]),
          .O     (o_all[8*k+:8]),
          .CO    (co_all[8*k+:8])
      );
    end
  end
`else
  logic carry;

  always_comb begin
    carry = ci;
    for (int i = 0; i < W; i++) begin
      o[i]  = s[i] ^ carry;
      carry = s[i] ? carry : di[i];
    end
  end
`endif
endmodule

`default_nettype wire
