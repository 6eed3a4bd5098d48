"""A program that takes the place of ``vitis-run`` and ``vitis_hls``: does the steps of hls4ml's project, as reports.

It reads ``project.tcl`` and ``build_opt.tcl`` beside hls4ml's ``build_prj.tcl`` and runs no Tcl. The environment
variable STANDIN_HLS (JSON) chooses what it does: ``version``, ``part``, ``top`` (of its reports), ``cosim`` (the
status), ``say`` and ``code`` (instead of doing anything), ``forget`` (a step that leaves no report), ``unknown`` (it
cannot tell the latency).
"""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path

from reports import cosim, csynth_xml


def setting(name):
    return re.search(rf'set {name} "?([^"\n]+)', Path("project.tcl").read_text())[1]


def main(arguments):
    """The exit code."""
    modern = Path(os.environ.get("STANDIN_NAME", "vitis-run")).name == "vitis-run"
    assert arguments == (["--mode", "hls", "--tcl", "build_prj.tcl"] if modern else ["-f", "build_prj.tcl"])
    assert "csynth_design" in Path("build_prj.tcl").read_text()
    behaviour = json.loads(os.environ.get("STANDIN_HLS", "{}"))
    if "say" in behaviour:
        sys.stdout.write(behaviour["say"] + "\n")
        return behaviour["code"]
    steps = dict(re.findall(r"^\s+(\w+)\s+([01])$", Path("build_opt.tcl").read_text(), re.MULTILINE))
    top, part = behaviour.get("top", setting("project_name")), behaviour.get("part", setting("part"))
    solution = Path(f"{setting('project_name')}_prj", "solution1")
    if steps["synth"] == "1" and behaviour.get("forget") != "synth":
        latency = None if behaviour.get("unknown") else (5, 6)
        text = csynth_xml(part, top, behaviour.get("version", "2023.1"), latency=latency)
        write(solution / "syn" / "report" / f"{setting('project_name')}_csynth.xml", text)
    if steps["cosim"] == "1" and behaviour.get("forget") != "cosim":
        assert (solution / "syn").is_dir(), "nothing to simulate"
        text = cosim(behaviour.get("cosim", "Pass"), ("7", "7", "8"))
        write(solution / "sim" / "report" / f"{setting('project_name')}_cosim.rpt", text)
    return 0


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
