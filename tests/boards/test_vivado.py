"""The Vivado build, run under a Tcl interpreter against a stand-in that knows what may be used and nothing else."""

from __future__ import annotations

import gzip
import json
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

pytest.importorskip("tkinter", reason="needs a Tcl interpreter: Python's tkinter")

from overlays import WRAPPER, core, for_board
from vivado_cells import KINDS
from vivado_stub import REPORTS, TIMING, Vivado

from boards.catalogue import load_board
from boards.vivado import METRICS, SCRIPT, Core, Overlay, overlay
from codesign.errors import TargetError

BOARDS = ("pynq-z1", "pynq-z2", "zcu104")


def run(folder: Path, made: Overlay, part: str, script: str | None = None, **options) -> Vivado:
    """Vivado's stand-in after the build, or after ``script`` instead of it, in ``folder``."""
    for name, text in made.files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    vivado = Vivado(folder, part, **options)
    vivado.run(script or made.files[SCRIPT])
    return vivado


def ended_well(vivado: Vivado, made: Overlay) -> bool:
    """Whether everything is there, and where the overlay says."""
    memory = {place for (space, _), place in vivado.diagram.addresses.items() if space.startswith("dma/")}
    registers = {s: place for (space, s), place in vivado.diagram.addresses.items() if space == "ps/Data"}
    return (
        vivado.code == 0
        and all((vivado.folder / f"{made.stem}.{kind}").is_file() for kind in ("bit", "hwh"))
        and registers
        == {"dma/S_AXI_LITE/Reg": (made.dma, 1 << 16), "accelerator/S_AXI/reg0": (made.accelerator, 1 << 16)}
        and len(memory) == 1
        and memory.pop()[0] == 0
    )


@pytest.mark.parametrize("release", ["2020.1", "2020.2.2", "2024.1", "2025.2"])
@pytest.mark.parametrize("word_bits", [32, 64])
@pytest.mark.parametrize("board", BOARDS)
def test_the_build_runs_to_its_end(tmp_path, board, word_bits, release):
    made, part = for_board(board, word_bits)
    vivado = run(tmp_path, made, part, release=release)
    assert ended_well(vivado, made), vivado.output
    assert "EDKSYSTEM" in (tmp_path / f"{made.stem}.hwh").read_text()
    assert [line.split()[-1] for line in vivado.output] == [
        *("sources", "design", "generation", "synthesis", "placement", "routing", "reports", "bitstream")
    ]
    values = json.loads((tmp_path / METRICS).read_text())
    assert (values["vivado"], values["part"], values["stem"]) == (release, part, made.stem)
    assert values["clock_mhz"] == pytest.approx(made.clock.mhz, abs=1e-6)
    assert values["timing_met"] is True
    assert values["cells"] == {"lut": 4321, "ff": 5432, "bram": 2.5, "dsp": 0, "uram": None}
    assert values["accelerator"] == {"lut": 1234, "ff": 2345, "bram": 0, "dsp": 0, "uram": None}
    assert values["power"] == {"total_w": 1.665, "dynamic_w": 1.529, "static_w": 0.136, "confidence": "Medium"}


def test_a_second_run_in_the_same_folder_ends_well(tmp_path):
    made, part = for_board("pynq-z1")
    run(tmp_path, made, part)
    assert ended_well(run(tmp_path, made, part), made)


def test_nothing_of_the_accelerator_alone_where_synthesis_dissolved_it(tmp_path):
    made, part = for_board("pynq-z1")
    run(tmp_path, made, part, reports={name: text for name, text in REPORTS.items() if name != "accelerator"})
    assert json.loads((tmp_path / METRICS).read_text())["accelerator"] is None


def changed(value: str) -> str:
    if value in "01":
        return str(1 - int(value))
    return f"{float(value) / 2:g}" if re.fullmatch(r"[\d.]+", value) else f"{value}?"


def mutations(script: str) -> dict[str, str]:
    """Scripts that differ from ``script`` in one connection, property, address, cell or step, by what was changed."""
    lines = script.splitlines()
    ends = re.findall(r"\[get_bd_(?:intf_)?(?:pins|ports) ([\w/]+)\]", script)
    found = {}

    def add(index: int, line: str) -> None:
        what = f"{lines[index].strip()} -> {line.strip() or 'nothing'}"
        found[what] = "\n".join([*lines[:index], line, *lines[index + 1 :]])

    for index, line in enumerate(lines):
        text = line.strip()
        if text.startswith(("connect_bd", "assign_bd", "create_bd", "expect ", "expect_clock ")):
            if not text.startswith("expect"):
                add(index, "")
            for end in re.findall(r"get_bd_(?:intf_)?(?:pins|ports) ([\w/]+)\]", text):
                add(index, line.replace(f" {end}]", f" {ends[(ends.index(end) + 1) % len(ends)]}]", 1))
        if text.startswith("CONFIG."):
            value = re.search(r"\{(.*)\}", text).group(1)
            add(index, line.replace(f"{{{value}}}", f"{{{changed(value)}}}"))
            add(index, line.replace("CONFIG.", "CONFIG.X"))
        for offset in re.findall(r"(?:-offset|-range) (0x\w+)", text):
            add(index, line.replace(offset, f"0x{int(offset, 16) + 0x1_0000:08X}", 1))
            add(index, line.replace(offset, f"0x{int(offset, 16) + 0x1_0000_0000:08X}", 1))
        if text.startswith("create_bd_cell"):
            add(index, line.replace("xilinx.com", "xilinx.org") if "xilinx" in line else line.replace("cdg_", "cdg"))
        if re.match(r"(synth|opt|place|phys_opt|route)_design|(validate|save)_bd|report_|generate_|write_bit", text):
            add(index, "")
    return found


@pytest.mark.parametrize("board", ["pynq-z1", "zcu104"])
def test_any_one_change_is_noticed(tmp_path, board):
    made, part = for_board(board)
    scripts = mutations(made.files[SCRIPT])
    survivors = []
    for number, (what, script) in enumerate(scripts.items()):
        if ended_well(run(tmp_path / str(number), made, part, script), made):
            survivors.append(what)
    assert len(scripts) > 130
    assert survivors == []


def test_a_property_left_out_is_noticed_unless_it_is_the_default(tmp_path):
    made, part = for_board("pynq-z1")
    script = made.files[SCRIPT]
    defaults = {name: value for kind in KINDS.values() for name, value in kind.defaults.items()}
    survivors = set()
    for number, (line, name) in enumerate(re.findall(r"^( *CONFIG\.(\w+) \{.*\} \\\n)", script, re.MULTILINE)):
        if ended_well(run(tmp_path / str(number), made, part, script.replace(line, "", 1)), made):
            survivors.add(name)
    assert len(survivors) < 20
    for name in survivors:
        assert f"CONFIG.{name} {{{defaults[name]}}}" in script or f"CONFIG.{name} {{64}}" in script


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("create_bd_design cdg_overlay", "apply_bd_automation", 'invalid command name "apply_bd_automation"'),
        ("  check_version\n", "  exec rm -r .\n", 'invalid command name "exec"'),
        ("source_mgmt_mode All", "source_mgmt_mode None", "source_mgmt_mode of project may not be 'None'"),
        ("-reference cdg_accelerator_ip", "-reference other", "Failed to resolve reference."),
        (
            "connect_bd_net [get_bd_pins ps/FCLK_CLK0] [get_bd_pins dma/m_axi_s2mm_aclk]",
            "",
            "dma/m_axi_s2mm_aclk is not conn",
        ),
        ("dma/M_AXIS_MM2S", "dma/M_AXI_MM2S", "dma/M_AXI_MM2S (Interface(mode='Master', protocol='aximm'"),
        ("CONFIG.c_s_axis_s2mm_tdata_width {64}", "CONFIG.c_s_axis_s2mm_tdata_width {128}", "have different widths"),
        ("CONFIG.PCW_ENET0_PERIPHERAL_ENABLE {1}", "", "PCW_ENET0_PERIPHERAL_ENABLE of ps may not be '0'"),
    ],
)
def test_what_a_mistake_is_told(tmp_path, old, new, message):
    made, part = for_board("pynq-z1")
    assert old in made.files[SCRIPT]
    script = made.files[SCRIPT].replace(old, new)
    vivado = run(tmp_path, made, part, re.sub(r"^ +\\\n", "", script, flags=re.MULTILINE))
    assert vivado.code == 1
    assert message in vivado.output[-1]
    assert not list(tmp_path.glob("*.bit"))


def with_slack(setup: str = "0.731", hold: str = "0.021", pulse: str = "3.750", failing: str = "0") -> dict[str, str]:
    text = TIMING.replace("0.731", setup).replace("0.021", hold).replace("3.750", pulse)
    return {
        **REPORTS,
        "timing": text.replace(
            "            0                 9876  ", f"            {failing}                 9876  ", 1
        ),
    }


@pytest.mark.parametrize(
    ("slack", "told"),
    [
        ({"setup": "-0.001", "failing": "1"}, "slack of setup -0.001 ns, of hold 0.021 ns, of pulse width 3.750 ns"),
        ({"hold": "-0.326"}, "of hold -0.326 ns"),
        ({"pulse": "-0.155"}, "of pulse width -0.155 ns"),
        ({"failing": "3"}, "timing is not met: "),
        ({"setup": "NA", "hold": "NA"}, "slack of setup null ns"),
    ],
)
def test_without_timing_there_is_no_bitstream(tmp_path, slack, told):
    made, part = for_board("pynq-z1")
    vivado = run(tmp_path, made, part, reports=with_slack(**slack))
    assert vivado.code == 1
    assert told in vivado.output[-1]
    assert vivado.output[-1].endswith("no bitstream is written")
    assert not list(tmp_path.glob("*.bit"))
    assert not list(tmp_path.glob("*.hwh"))
    assert json.loads((tmp_path / METRICS).read_text())["timing_met"] is False


def test_a_vivado_that_is_too_old_is_refused(tmp_path):
    made, part = for_board("pynq-z1")
    vivado = run(tmp_path, made, part, release="2019.2")
    assert vivado.code == 1
    assert "Vivado 2019.2 is too old: 2020.1 is the oldest" in vivado.output[-1]
    newer = run(tmp_path, made, part, release="2027.1")
    assert ended_well(newer, made)
    assert "codesign: Vivado 2027.1 is newer than any that this build is written for" in newer.output


def test_a_pll_that_vivado_sees_otherwise_is_refused(tmp_path):
    made, part = for_board("pynq-z1")
    wrong = made.files[SCRIPT].replace("100.000000 10\n", "100.000000 16\n")
    vivado = run(tmp_path, made, part, wrong)
    assert vivado.code == 1
    assert "ps divides its PLL by 10, not by 16: is the board's PLL set up as its file says?" in vivado.output[-1]


def text_of(path: Path) -> str:
    data = path.read_bytes()
    return (gzip.decompress(data) if path.suffix == ".gz" else data).decode()


def test_reports_of_real_vivados_are_read(tmp_path, shared_data):
    """Every timing, utilization and power report that is kept of some Vivado, through the build's own Tcl."""
    import tkinter

    folder = shared_data / "vendor_reports"
    expected = json.loads((folder / "expected.json").read_text())
    tcl = tkinter.Tcl()
    tcl.eval(for_board("pynq-z1")[0].files[SCRIPT].split("# Build of cdg_")[0])
    read = 0
    for path in sorted(folder.iterdir()):
        kind = path.name.split("_")[0]
        values = expected.get(path.name)
        if kind not in ("timing", "util", "power") or "kernel" in path.name:
            continue
        procedure = "cdg::" + {"timing": "timing_figures", "util": "cell_figures", "power": "power_figures"}[kind]
        pairs = tcl.splitlist(tcl.call(procedure, text_of(path)))
        found = dict(zip(pairs[::2], pairs[1::2], strict=True))
        wanted = {
            "timing": {"wns_ns": "wns_ns", "whs_ns": "whs_ns", "setup_failing": "tns_failing"},
            "util": {"lut": "lut", "ff": "ff", "bram": "bram_tiles", "dsp": "dsp", "uram": "uram"},
            "power": {"total_w": "total_power_w", "dynamic_w": "dynamic_w", "static_w": "static_w"},
        }[kind]
        for ours, theirs in wanted.items():
            number = None if str(found[ours]) == "null" else float(found[ours])
            assert number == values[theirs], (path.name, ours)
        if kind == "timing":
            met = tcl.call("cdg::timing_met", tcl.call(procedure, text_of(path)))
            timed = values["wns_ns"] is not None
            assert (str(met) == "true") == (timed and bool(values["constraints_met"])), path.name
        read += 1
    assert read == 50


def test_the_stand_in_uses_the_names_of_real_cells(shared_data):
    """Pins, interfaces and properties of ps, dma and reset are in the .hwh of PYNQ's own overlays.

    Those that no overlay of theirs has are from other scripts that Vivado took: HPM0_FPD, and the reading half of DMA.
    """
    modules: dict[str, ET.Element] = {}
    for name in ("pynq_z1", "zcu104"):
        path = shared_data / "vendor_reports" / f"pynq3.0.1_{name}_base.hwh.gz"
        for module in ET.fromstring(gzip.decompress(path.read_bytes())).iter("MODULE"):
            modules.setdefault(module.get("VLNV", ""), module)
    elsewhere = {"M_AXI_HPM0_FPD", "maxihpm0_fpd_aclk", "M_AXI_MM2S", "M_AXIS_MM2S", "m_axi_mm2s_aclk", "mm2s_introut"}
    used = {
        "xilinx.com:ip:processing_system7:5.5": {"PCW_USE_S_AXI_HP0": "1"},
        "xilinx.com:ip:zynq_ultra_ps_e": {"PSU__USE__S_AXI_GP2": "1", "PSU__USE__M_AXI_GP1": "0"},
        "xilinx.com:ip:axi_dma:7.1": {"c_include_sg": "0"},
        "xilinx.com:ip:proc_sys_reset:5.0": {},
    }
    for vlnv, values in used.items():
        module = next(found for name, found in modules.items() if name.startswith(vlnv))
        parameters = {item.get("NAME") for item in module.iter("PARAMETER")}
        names = {item.get("NAME") for item in (*module.iter("PORT"), *module.iter("BUSINTERFACE"))}
        kind = KINDS[vlnv]
        configured = {**kind.defaults, **values}
        kind.derive(configured)
        assert set(configured) <= parameters, vlnv
        assert {*kind.pins(configured), *kind.interfaces(configured)} - elsewhere <= names, vlnv


@pytest.mark.parametrize(
    ("board", "wanted", "mhz", "divisor"),
    [
        ("pynq-z1", 100, 100.0, 10),
        ("pynq-z1", 142, 125.0, 8),
        ("pynq-z1", 33.3, 1000 / 31, 31),
        ("pynq-z1", 13.7, 1000 / 74, 74),  # 73 has no two factors of at most 63
        ("zcu104", 100, 99.999, 15),
        ("zcu104", 300, 299.997, 5),
        ("zcu104", 0.5, 1499.985 / 3000, 3000),
    ],
)
def test_the_clock_is_the_fastest_that_is_not_above(tmp_path, board, wanted, mhz, divisor):
    clock = load_board(board).ps.clock(wanted)
    assert (clock.mhz, clock.divisor) == (pytest.approx(mhz), divisor)
    assert clock.mhz <= wanted
    assert clock.mhz <= clock.request_mhz <= wanted


@pytest.mark.parametrize(("board", "wanted"), [("pynq-z1", 142), ("zcu104", 290), ("pynq-z2", 125), ("zcu104", 333)])
def test_other_clocks_are_those_that_are_built(tmp_path, board, wanted):
    made, part = for_board(board, clock_mhz=wanted)
    assert ended_well(run(tmp_path, made, part), made)


def test_a_clock_that_no_divider_makes():
    with pytest.raises(TargetError, match=r"^clock_mhz = 0.1 is too slow: the PLL gives 0.252 MHz at the least$"):
        load_board("pynq-z1").ps.clock(0.1)


def test_the_stem_is_the_digest_of_all_that_goes_in():
    stems = {
        for_board("pynq-z1")[0].stem,
        for_board("zcu104")[0].stem,
        for_board("pynq-z1", word_bits=32)[0].stem,
        for_board("pynq-z1", clock_mhz=50)[0].stem,
        overlay(
            Core({**core().files, "x.sv": "module x;\nendmodule\n"}, WRAPPER, 64),
            "xc7z020clg400-1",
            load_board("pynq-z1").ps,
            100,
        ).stem,
    }
    assert len(stems) == 5
    assert for_board("pynq-z1")[0] == for_board("pynq-z1")[0]
    assert all(re.fullmatch(r"cdg_[0-9a-f]{16}", stem) for stem in stems)


def test_a_part_that_is_no_name():
    with pytest.raises(TargetError, match=r"^part 'xc7z020; exit' is no name of a part; correct the part's file$"):
        overlay(core(), "xc7z020; exit", load_board("pynq-z1").ps, 100)
