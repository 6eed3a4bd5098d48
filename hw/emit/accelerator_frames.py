"""Between the streams of words and the network's beats, in the top level of the AXI IP."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hw.design import Design
from hw.emit.modules import queue_earns_block_ram
from hw.host_format import HostFormat


def vectors_in(design: Design, layout: HostFormat) -> str:
    """What makes frames of words: whole vectors."""
    bits = design.inputs * design.input_bits
    parameters = {"WORD_W": layout.word_bits, "FRAME_W": bits}
    ports = {"m_valid": "in_valid", "m_ready": "in_ready", "m_data": "in_data", "m_last": "in_last"}
    return f"""{_stream_in("cdg_frame_in", parameters, ports)}

  // A frame enters where there is room to remember whether it ends its packet.
  logic vector_valid, vector_ready;

  assign vector_valid = in_valid && lasts_ready;
  assign in_ready     = vector_ready && lasts_ready;
  assign enter        = in_valid && in_ready;"""


def images_in(design: Design, layout: HostFormat) -> str:
    """What makes frames of words: images, pixel by pixel."""
    bits, words = design.inputs // design.input_beats * design.input_bits, layout.beats_per_word
    parameters: dict[str, int | str] = {
        **{"WORD_W": layout.word_bits, "PIXEL_W": bits},
        **{"PIXELS": design.input_beats, "PER_WORD": words},
    }
    if queue_earns_block_ram(words * bits, 2 << (design.input_beats // words - 1).bit_length()):
        parameters["BLOCK_RAM"] = "1'b1"
    ports = {
        **{"frame_valid": "frame_valid", "frame_ready": "lasts_ready", "frame_last": "in_last"},
        **{"m_valid": "in_valid", "m_ready": "in_ready", "m_data": "in_data"},
    }
    return f"""  logic frame_valid;

{_stream_in("cdg_image_in", parameters, ports)}

  assign enter = frame_valid && lasts_ready;"""


def _stream_in(module: str, parameters: Mapping[str, int | str], ports: Mapping[str, str]) -> str:
    """An instance of what takes the input stream."""
    connected = {
        **{"clk": "aclk", "rst_n": "stream_rst_n_q", "flush": "flush_q", "bursts": "bursts_q"},
        **{port: port for port in ("s_axis_tvalid", "s_axis_tready", "s_axis_tdata", "s_axis_tlast")},
        **ports,
        **{port: port for port in ("receiving", "first", "good", "bad_short", "bad_long")},
    }
    return _instance(module, "frame_in", parameters, connected)


def gathering(design: Design) -> str:
    """What makes one vector of all beats of a result."""
    bits = design.outputs // design.output_beats * design.output_bits
    ports = {
        **{"clk": "aclk", "rst_n": "core_rst_n_q"},
        **{"s_valid": "beat_valid", "s_ready": "beat_ready", "s_data": "beat_data"},
        **{"m_valid": "out_valid", "m_ready": "out_ready", "m_data": "out_data"},
    }
    instance = _instance("cdg_gather", "gather", {"WIDTH": bits, "COUNT": design.output_beats}, ports)
    return f"""  logic beat_valid, beat_ready;
  logic [{bits - 1}:0] beat_data;

{instance}

"""


def _instance(module: str, name: str, parameters: Mapping[str, int | str], ports: Mapping[str, str]) -> str:
    def aligned(pairs: Mapping[str, Any]) -> str:
        width = max(map(len, pairs))
        return ",\n".join(f"      .{key:{width}}({value})" for key, value in pairs.items())

    return f"  {module} #(\n{aligned(parameters)}\n  ) {name} (\n{aligned(ports)}\n  );"
