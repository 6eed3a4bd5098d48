"""Virtual boards: what starts the agent of one for a bundle, whose RTL becomes the fabric that it runs on."""

from __future__ import annotations

import io
import json
import os
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib import resources
from pathlib import Path

from boards.agent.archive import sha256
from boards.bundle import Bundle
from boards.catalogue import load_board
from boards.driver import PACKAGE, driver_files
from codesign.deployment.pynq_environment import pynq_python
from codesign.errors import BundleError, InputError, StorageError, nearest
from hw.emit.accelerator import WRAPPER
from hw.measure.cache import cache_folder
from hw.measure.tools import find_cxx, find_verilator
from hw.measure.verilator import build_library

BOARDS: Mapping[str, tuple[str, str]] = {"pynq-z1": ("Pynq-Z1", "3.1.2"), "zcu104": ("ZCU104", "4.0.0")}
"""By name: what the board's image calls it, and the version of pynq that is on that image."""
KEPT = 64
"""Simulated fabrics that are kept; those that were not used for longest go first."""
COMPILE_SECONDS = 900.0
_WARNING = "ignore:Pynq does not support the CPU Architecture"
_RTL = "rtl/"
_START = f'''"""Starts the agent of a virtual board."""

import runpy

runpy.run_module("{PACKAGE}.virtual", run_name="__main__", alter_sys=True)
'''


def virtual_command(
    name: str, bundle: Bundle, *, clock_scale: float = 1.0, said: Callable[[str], None] = lambda _: None,
    pynq: str | None = None, folder: Path | None = None,
) -> list[str]:  # fmt: skip
    """The command that starts the agent of virtual board ``name`` with this bundle's accelerator as its fabric.

    The environment with pynq and the simulated fabric are made where they are missing, which takes time; ``said`` hears
    of it. ``clock_scale``: how fast the fabric's clock is, of what its registers say. ``pynq``: another version than
    the board's own. ``folder``: the agent's, and so the board; two agents of one folder exclude each other.

    Raises InputError for an unknown name, BundleError where there is no RTL in the bundle, ToolError where a tool or
    the network is missing, ToolRunError where the RTL cannot be compiled, StorageError.
    """
    if name not in BOARDS:
        raise InputError(f"unknown virtual board {name!r}: {nearest(name, BOARDS)}")
    called, version = BOARDS[name]
    python = pynq_python(pynq or version, said)
    library = simulated_fabric(bundle, said)
    ps = load_board(name).ps
    assert ps is not None
    hardware = {
        "library": str(library),
        "board": called,
        "kind": ps.kind,
        "reference_mhz": ps.reference_mhz,
        "pll_mhz": ps.pll_mhz,
        "ddr_mib": ps.ddr_mib,
        "clock_scale": clock_scale,
    }
    own = folder if folder is not None else cache_folder("boards") / name
    return [str(python), "-I", "-W", _WARNING, str(board_program()), json.dumps(hardware), str(own)]


def simulated_fabric(bundle: Bundle, said: Callable[[str], None]) -> Path:
    """The accelerator, Verilated with the shim: made once for each RTL and each version of the tools."""
    files = {member.removeprefix(_RTL): data for member, data in bundle.files.items() if member.startswith(_RTL)}
    if f"{WRAPPER}.v" not in files:
        raise BundleError("the bundle has no RTL to simulate; build it again")
    shim = resources.files("boards.virtual").joinpath("shim.cpp").read_text(encoding="utf-8")
    content = {name: sha256(data) for name, data in sorted(files.items())}
    tools = [(tool.name, str(tool.path), tool.version) for tool in (find_verilator(), find_cxx())]
    target = cache_folder("fabrics") / f"{sha256(json.dumps([content, shim, tools]).encode())[:32]}.so"
    with suppress(FileNotFoundError):  # another process may just have dropped it
        os.utime(target)
        return target
    said("simulating the fabric: Verilator and g++ compile the bundle's RTL, once")
    with _beside(target) as scratch:
        build_library(files, WRAPPER, shim, scratch, timeout_s=COMPILE_SECONDS).rename(target)
    with suppress(FileNotFoundError):  # another process does the same
        kept = sorted(target.parent.glob("*.so"), key=lambda path: path.stat().st_mtime_ns, reverse=True)
        for old in kept[KEPT:]:
            old.unlink()
    return target


def board_program() -> Path:
    """The agent and the virtual board as one file that runs in pynq's environment, where nothing else of ours is."""
    files = {"__main__.py": _START.encode(), f"{PACKAGE}/__init__.py": b""}
    agent = driver_files(resources.files("hw").joinpath("host_format.py").read_text(encoding="utf-8"))
    for name, data in agent.items():
        package, _, module = name.partition("/")
        if package == PACKAGE:
            files[f"{PACKAGE}/agent/{module}"] = data
    for file in resources.files("boards.virtual").iterdir():
        if file.name.endswith(".py"):
            files[f"{PACKAGE}/virtual/{file.name}"] = file.read_bytes()
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as archive:
        for name, data in sorted(files.items()):
            archive.writestr(zipfile.ZipInfo(name), data)
    target = cache_folder() / f"virtual-{sha256(written.getvalue())[:16]}.zip"
    if not target.exists():
        with _beside(target) as scratch:
            (scratch / target.name).write_bytes(written.getvalue())
            (scratch / target.name).rename(target)
    return target


@contextmanager
def _beside(target: Path) -> Iterator[Path]:
    """A folder from which what is whole can be renamed to ``target``; other processes may make the same meanwhile."""
    try:
        with tempfile.TemporaryDirectory(prefix=".", dir=target.parent) as scratch:
            yield Path(scratch)
    except OSError as error:
        raise StorageError(
            f"cannot write {target}: {error.strerror}; make room there or set XDG_CACHE_HOME to another folder"
        ) from None
