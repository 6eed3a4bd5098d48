"""The hls4ml notebook of docs/own-model.md as it stands there, in the environment that the page says how to make.

hls4ml's own TensorFlow, our wheel, an empty folder, nothing of ours on the path or imported.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from wheels import build_wheel

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "own-model.md"
ENVIRONMENT = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "TF_", "VIRTUAL_ENV"))}


def block(mark: str, language: str) -> str:
    found = re.findall(rf"^<!-- {mark} -->\n```{language}\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    assert len(found) == 1, f"{PAGE} has {len(found)} blocks of {language} behind <!-- {mark} -->"
    return found[0]


def run(*command: str | Path, cwd: Path) -> str:
    done = subprocess.run(command, cwd=cwd, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{shlex.join(map(str, command))}\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.mark.slow
def test_the_notebook_works_verbatim(tmp_path: Path) -> None:
    probe = [sys.executable, "-m", "pip", "download", "--no-deps", "--dest", str(tmp_path / "probe"), "pyparsing"]
    offline = subprocess.run(probe, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    if offline.returncode:
        pytest.skip(f"no packages can be downloaded: {offline.stderr.strip().splitlines()[-1]}")
    built = build_wheel(tmp_path)
    steps = [shlex.split(line) for line in block("TensorFlow 2.14: environment", "sh").splitlines()]
    made, entered, *installs = steps
    assert made == ["python3.11", "-m", "venv", "hls4ml-env"]
    assert entered == [".", "hls4ml-env/bin/activate"]
    run(sys.executable, *made[1:], cwd=tmp_path)
    python = tmp_path / "hls4ml-env" / "bin" / "python"
    for pip, *arguments in installs:
        assert pip == "pip"
        given = [str(built) if argument == "PATH_TO_CODESIGN" else argument for argument in arguments]
        run(python, "-m", "pip", *given, cwd=tmp_path)
    empty = tmp_path / "empty"
    empty.mkdir()
    notebook = block("TensorFlow 2.14", "python")
    assert not re.search(r"^\s*(import|from) (codesign|quant|hw|boards|nas)\b", notebook, re.MULTILINE)
    told = run(python, "-c", notebook, cwd=empty)
    print(told)  # noqa: T201  # the transcript, with pytest -s
    assert re.search(r"^lut: \d+ LUT \(synthesized, yosys 0\.70\)$", told, re.MULTILINE)
    for figure in ("mismatches", "csim_mismatches"):
        assert re.search(rf"^{figure}: 0 vectors \(simulated, ", told, re.MULTILINE)
    assert (empty / "prj" / "rtl" / "cdg_network.sv").is_file()
    assert (empty / "prj" / "report.json").is_file()
