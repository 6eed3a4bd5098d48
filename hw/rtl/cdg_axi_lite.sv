// AXI4-Lite slave in front of a register file: the protocol only. Address and data of a write may
// come in either order; one transfer of each kind waits while its response is not taken. Low address
// bits that choose a byte are ignored. The register file sees word address, data and strobes while
// write is high; the cycle after it first sees read_word it gives that register's data, and goes on
// doing so while read_word stays. It says with *_known whether that address may be written or read;
// the answer is SLVERR where it may not.
`default_nettype none

module cdg_axi_lite #(
    parameter int ADDR_W = 8
) (
    input  wire logic              clk,
    input  wire logic              rst_n,
    input  wire logic [ADDR_W-1:0] s_axi_awaddr,
    input  wire logic              s_axi_awvalid,
    output logic                   s_axi_awready,
    input  wire logic [      31:0] s_axi_wdata,
    input  wire logic [       3:0] s_axi_wstrb,
    input  wire logic              s_axi_wvalid,
    output logic                   s_axi_wready,
    output logic      [       1:0] s_axi_bresp,
    output logic                   s_axi_bvalid,
    input  wire logic              s_axi_bready,
    input  wire logic [ADDR_W-1:0] s_axi_araddr,
    input  wire logic              s_axi_arvalid,
    output logic                   s_axi_arready,
    output logic      [      31:0] s_axi_rdata,
    output logic      [       1:0] s_axi_rresp,
    output logic                   s_axi_rvalid,
    input  wire logic              s_axi_rready,
    output logic                   write,
    output logic      [ADDR_W-3:0] write_word,
    output logic      [      31:0] write_data,
    output logic      [       3:0] write_strb,
    input  wire logic              write_known,
    output logic      [ADDR_W-3:0] read_word,
    input  wire logic [      31:0] read_data,
    input  wire logic              read_known
);
  localparam logic [1:0] OKAY = 2'b00;
  localparam logic [1:0] SLVERR = 2'b10;

  if (ADDR_W < 3) begin : gen_check
    $error("cdg_axi_lite: ADDR_W must be at least 3");
  end

  logic aw_valid_q, w_valid_q, b_valid_q, ar_valid_q, r_valid_q, seen_q;
  logic [ADDR_W-3:0] aw_word_q, ar_word_q;
  logic [31:0] w_data_q, r_data_q;
  logic [3:0] w_strb_q;
  logic [1:0] b_resp_q, r_resp_q;
  logic read;

  assign s_axi_awready = !aw_valid_q;
  assign s_axi_wready  = !w_valid_q;
  assign s_axi_bvalid  = b_valid_q;
  assign s_axi_bresp   = b_resp_q;
  assign s_axi_arready = !ar_valid_q;
  assign s_axi_rvalid  = r_valid_q;
  assign s_axi_rdata   = r_data_q;
  assign s_axi_rresp   = r_resp_q;

  assign write      = aw_valid_q && w_valid_q && (!b_valid_q || s_axi_bready);
  assign write_word = aw_word_q;
  assign write_data = w_data_q;
  assign write_strb = w_strb_q;
  assign read       = seen_q && (!r_valid_q || s_axi_rready);
  assign read_word  = ar_word_q;

  always_ff @(posedge clk) begin
    if (!rst_n) begin
      aw_valid_q <= 1'b0;
      w_valid_q  <= 1'b0;
      b_valid_q  <= 1'b0;
      ar_valid_q <= 1'b0;
      seen_q     <= 1'b0;
      r_valid_q  <= 1'b0;
    end else begin
      aw_valid_q <= aw_valid_q ? !write : s_axi_awvalid;
      w_valid_q  <= w_valid_q ? !write : s_axi_wvalid;
      b_valid_q  <= write || (b_valid_q && !s_axi_bready);
      ar_valid_q <= ar_valid_q ? !read : s_axi_arvalid;
      seen_q     <= ar_valid_q && !read;
      r_valid_q  <= read || (r_valid_q && !s_axi_rready);
    end
  end

  always_ff @(posedge clk) begin
    if (s_axi_awready) aw_word_q <= s_axi_awaddr[ADDR_W-1:2];
    if (s_axi_arready) ar_word_q <= s_axi_araddr[ADDR_W-1:2];
    if (s_axi_wready) begin
      w_data_q <= s_axi_wdata;
      w_strb_q <= s_axi_wstrb;
    end
    if (write) b_resp_q <= write_known ? OKAY : SLVERR;
    if (read) begin
      r_data_q <= read_known ? read_data : '0;
      r_resp_q <= read_known ? OKAY : SLVERR;
    end
  end

  logic unused;
  assign unused = &{1'b0, s_axi_awaddr[1:0], s_axi_araddr[1:0]};
endmodule

`default_nettype wire
