// cdg_axi_lite in front of three registers: words 0 and 1 hold what is written, word 2 can only be read.
`default_nettype none

module axi_lite_top (
    input  wire logic        clk,
    input  wire logic        rst_n,
    input  wire logic [ 4:0] s_axi_awaddr,
    input  wire logic        s_axi_awvalid,
    output logic             s_axi_awready,
    input  wire logic [31:0] s_axi_wdata,
    input  wire logic [ 3:0] s_axi_wstrb,
    input  wire logic        s_axi_wvalid,
    output logic             s_axi_wready,
    output logic      [ 1:0] s_axi_bresp,
    output logic             s_axi_bvalid,
    input  wire logic        s_axi_bready,
    input  wire logic [ 4:0] s_axi_araddr,
    input  wire logic        s_axi_arvalid,
    output logic             s_axi_arready,
    output logic      [31:0] s_axi_rdata,
    output logic      [ 1:0] s_axi_rresp,
    output logic             s_axi_rvalid,
    input  wire logic        s_axi_rready,
    output logic      [31:0] writes
);
  logic write, write_known, read_known;
  logic [2:0] write_word, read_word;
  logic [31:0] write_data, read_data;
  logic [3:0] write_strb;
  logic [63:0] words_q;

  assign write_known = write_word < 3'd2;

  always_ff @(posedge clk) begin
    if (!rst_n) begin
      words_q <= '0;
      writes  <= '0;
    end else if (write) begin
      writes <= writes + 1'b1;
      for (int i = 0; i < 4; i++) begin
        if (write_known && write_strb[i]) words_q[write_word[0]*32+i*8+:8] <= write_data[i*8+:8];
      end
    end
  end

  always_ff @(posedge clk) begin
    read_known <= read_word < 3'd3;
    read_data  <= read_word == 3'd2 ? 32'h600d_cafe : words_q[read_word[0]*32+:32];
  end

  cdg_axi_lite #(
      .ADDR_W(5)
  ) axi_lite (
      .*
  );
endmodule

`default_nettype wire
