// Scale, bias, rounding and saturation: v = (acc << up) + bias, then v / 2^SHIFT rounded half to
// even (tf.round, as QKeras' quantized_relu and quantized_bits) and clipped to LO..HI. One cycle:
// v is registered, y is not. v must fit V_W bits; acc and the shifted acc are taken modulo 2^V_W.
`default_nettype none

module cdg_requant #(
    parameter int ACC_W = 8,
    parameter int UP_W  = 1,
    parameter int V_W   = 10,
    parameter int SHIFT = 2,
    parameter int OUT_W = 4,
    parameter logic signed [63:0] LO = 0,
    parameter logic signed [63:0] HI = 15
) (
    input  wire logic                    clk,
    input  wire logic signed [ACC_W-1:0] acc,
    input  wire logic        [ UP_W-1:0] up,
    input  wire logic signed [  V_W-1:0] bias,
    output logic             [OUT_W-1:0] y
);
  if (LO > HI) begin : gen_check_range
    $error("cdg_requant: LO must not exceed HI");
  end
  if (SHIFT < 0 || V_W > 62 || OUT_W > 62) begin : gen_check_widths
    $error("cdg_requant: SHIFT must be 0 or more, V_W and OUT_W at most 62");
  end

  // A bound that no value reaches costs nothing. Rounding may pass the largest floored value by
  // one.
  localparam logic signed [63:0] FLOOR_MAX = ((64'sd1 <<< (V_W - 1)) - 1) >>> SHIFT;
  localparam logic signed [63:0] FLOOR_MIN = -(64'sd1 <<< (V_W - 1)) >>> SHIFT;
  localparam bit CLIP_LOW = LO > FLOOR_MIN;
  localparam bit CLIP_HIGH = SHIFT == 0 ? HI < FLOOR_MAX : HI <= FLOOR_MAX;

  localparam int Q_W = (V_W > OUT_W ? V_W : OUT_W) + 1;
  localparam logic signed [Q_W-1:0] LOW = Q_W'(LO);
  localparam logic signed [Q_W-1:0] HIGH = Q_W'(HI);

  logic signed [V_W-1:0] v_q;
  logic signed [Q_W-1:0] floored;
  logic round_up;

  always_ff @(posedge clk) begin
    v_q <= (V_W'(acc) <<< up) + bias;
  end

  assign floored = Q_W'(v_q >>> SHIFT);

  if (SHIFT == 0) begin : gen_exact
    assign round_up = 1'b0;
  end else if (SHIFT == 1) begin : gen_halves
    assign round_up = v_q[0] && floored[0];
  end else if (SHIFT <= V_W) begin : gen_round
    assign round_up = v_q[SHIFT-1] && (floored[0] || (v_q[SHIFT-2:0] != '0));
  end else begin : gen_tiny
    // |v| is below half a step: what is floored to -1 rounds to 0.
    assign round_up = v_q[V_W-1];
  end

  // Below HIGH the increment cannot leave the output's width, so it is made after clipping.
  always_comb begin
    if (CLIP_LOW && floored < LOW) y = OUT_W'(LOW);
    else if (CLIP_HIGH && floored >= HIGH) y = OUT_W'(HIGH);
    else y = OUT_W'(floored) + OUT_W'(round_up);
  end
endmodule

`default_nettype wire
