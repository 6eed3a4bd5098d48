"""What the tests of virtual boards share: bundles of small random networks with their real RTL, agents, and pynq."""

from __future__ import annotations

import functools
import hashlib
import json
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
from agent_bundles import ROOT, Made, npy
from networks import random_graph, random_inputs

from boards.bit import placeholder
from boards.bundle import Bundle
from boards.catalogue import load_board, load_target
from boards.driver import driver_files
from boards.hwh import handoff
from boards.remote import Remote
from boards.vivado import DESIGN, Core, overlay
from codesign.architecture import Hardware
from codesign.deployment.pynq_environment import VERSIONS, pynq_python
from codesign.deployment.virtual_board import BOARDS as VIRTUAL
from codesign.deployment.virtual_board import board_program, virtual_command
from codesign.errors import ToolError
from hw.design import design
from hw.emit.accelerator import accelerator
from hw.measure.delays import DelayModel

BOARDS = tuple(VIRTUAL)
PYNQ = tuple(VERSIONS)
WORDS = (32, 64)


@functools.cache
def real(board: str = "pynq-z1", word_bits: int = 64, seed: int = 1) -> Made:
    """The RTL is the same for both boards, so that it is compiled once."""
    graph = random_graph(seed, [13, 9, 4], "ternary", input_bits=3, input_signed=True)
    hardware = Hardware("parallel") if word_bits == 64 else Hardware("folded", 4)
    delays = DelayModel.for_part(load_target("pynq-z1", None, 100.0).part)
    built = accelerator(design(graph, hardware, delays, 10.0), graph, hashlib.sha256(f"{seed}".encode()).hexdigest())
    assert built.format.word_bits == word_bits
    ps, part = load_board(board).ps, load_target(board, None, 100.0).part.name
    core = Core(built.files, built.wrapper, word_bits)
    made = overlay(core, part, ps, 100.0)
    x = random_inputs(graph, 50)
    manifest = {
        "board": board,
        "build_id": built.build_id,
        "clock_mhz": made.clock.mhz,
        "simulation_only": True,
        "stem": made.stem,
        "addresses": {"dma": made.dma, "accelerator": made.accelerator},
        "registers": built.register_map(),
        "host_format": built.format.to_json(),
        "latency_cycles": built.latency_cycles,
        "interval_cycles": built.interval_cycles,
        "class_names": ["a", "b", "c", "d"],
    }
    files = {
        f"{made.stem}.bit": placeholder(DESIGN, part, made.stem.encode()),
        f"{made.stem}.hwh": handoff(made, core, part, ps).encode(),
        "golden/inputs.npy": npy(x),
        "golden/outputs.npy": npy(graph.run(x)),
        **{f"rtl/{name}": text.encode() for name, text in built.files.items()},
        **driver_files((ROOT / "hw" / "host_format.py").read_text(encoding="utf-8")),
    }
    return Made(Bundle(manifest, files), graph, built.format)


def changed(made: Made, rtl: Mapping[str, tuple[str, str]]) -> Made:
    """The same with texts replaced in sources of its RTL."""
    files = dict(made.bundle.files)
    for name, (old, new) in rtl.items():
        text = files[f"rtl/{name}"].decode()
        assert text.count(old) == 1
        files[f"rtl/{name}"] = text.replace(old, new).encode()
    return Made(Bundle(made.bundle.manifest, files), made.graph, made.format)


@functools.cache
def python_with(version: str) -> Path:
    """The Python of an environment with this pynq, made where it is missing; a skip where that cannot be."""
    try:
        return pynq_python(version, print)
    except ToolError as error:
        pytest.skip(str(error))


def start(
    board: str, made: Made, folder: Path, *, pynq: str | None = None, clock_scale: float = 1.0, said=lambda _: None
) -> Remote:
    """A session with a virtual board whose fabric is that of the bundle; nothing is loaded."""
    python_with(pynq or VIRTUAL[board][1])
    return Remote(
        virtual_command(board, made.bundle, clock_scale=clock_scale, said=said, pynq=pynq, folder=folder), board
    )


def in_pynq(version: str, board: str, made: Made, program: str, *arguments: str, folder: Path) -> object:
    """What a program prints as JSON last, run where the agent of a virtual board runs.

    It finds ``hardware`` (the board), ``bit`` (the bundle's, beside its .hwh), and what else is imported for it.
    """
    python = python_with(version)
    made.bundle.write(folder / "bundle.zip")
    stem = made.bundle.manifest["stem"]
    for kind in ("bit", "hwh"):
        (folder / f"{stem}.{kind}").write_bytes(made.bundle.files[f"{stem}.{kind}"])
    described = virtual_command(board, made.bundle, pynq=version, folder=folder)[-2]
    head = (
        "import json, sys\n"
        f"sys.path.insert(0, {str(board_program())!r})\n"
        "from codesign_board.virtual.hardware import Hardware\n"
        f"hardware = Hardware(**json.loads({described!r}))\n"
        f"bit = {str(folder / f'{stem}.bit')!r}\n"
    )
    done = subprocess.run(
        [str(python), "-I", "-W", "ignore", "-c", head + program, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])
