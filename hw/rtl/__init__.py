"""Hand-written SystemVerilog, one module per file, as package data."""
