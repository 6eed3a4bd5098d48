"""What starts a virtual board: bundles for simulation, pynq's environment, the compiled fabric, and isolation."""

from __future__ import annotations

import ast
import io
import json
import os
import re
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from test_build import store_run

from boards.bundle import Bundle, parse_bundle
from boards.remote import Remote
from codesign.build import simulation_bundle
from codesign.build_subject import Buildable
from codesign.deployment import pynq_environment, virtual_board
from codesign.deployment.pynq_environment import VERSIONS, pynq_python
from codesign.deployment.virtual_board import BOARDS, board_program, simulated_fabric, virtual_command
from codesign.errors import BundleError, InputError, StorageError, ToolError, ToolRunError
from codesign.run import read_run
from hw.host_format import HostFormat
from hw.measure.cache import cache_folder

ROOT = Path(__file__).resolve().parents[2]


def bundle_of(folder: Path, target: str, mode: str = "parallel") -> Bundle:
    record = store_run(folder, target, mode)
    return simulation_bundle(Buildable.stored(read_run(folder / "runs" / "small"), record))


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return bundle_of(tmp_path_factory.mktemp("run"), 'board = "pynq-z1"')


@pytest.fixture(scope="module")
def hollow(bundle):
    """A fabric that compiles fast: the ports of an accelerator, without one."""
    text = bundle.files["rtl/cdg_accelerator_ip.v"].decode()
    ports = text[: text.index("  cdg_accelerator accelerator (")] + "endmodule\n"
    return Bundle(bundle.manifest, {"rtl/cdg_accelerator_ip.v": ports.encode()})


@pytest.fixture(scope="module")
def environments():
    try:
        for version in VERSIONS:
            pynq_python(version, print)
    except ToolError as error:
        pytest.skip(str(error))


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """A user who has nothing yet, but for Verilator's compiled runtime."""
    runtimes = list(cache_folder().glob("verilated-*.o"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for runtime in runtimes:
        (cache_folder() / runtime.name).symlink_to(runtime)
    return tmp_path / "cache" / "codesign"


def content(cache):
    """What it has besides."""
    return [path for path in cache.iterdir() if path.suffix != ".o"]


@pytest.mark.parametrize(("board", "mode"), [("pynq-z1", "parallel"), ("zcu104", "folded")])
def test_a_stored_candidate_on_a_virtual_board(tmp_path, environments, board, mode):
    """Golden vectors bit for bit; cycles are the design's, with those of the frames around it."""
    record = store_run(tmp_path, f'board = "{board}"', mode)
    run = read_run(tmp_path / "runs" / "small")
    subject = Buildable.stored(run, record)
    design, bundle = subject.design, simulation_bundle(subject)
    x, y = (np.load(io.BytesIO(bundle.files[f"golden/{name}.npy"])) for name in ("inputs", "outputs"))
    frames = HostFormat.from_json(bundle.manifest["host_format"])
    with Remote(virtual_command(board, bundle, folder=tmp_path / "agent"), board) as remote:
        remote.load(remote.put_bundle(bundle.content()))
        assert np.array_equal(frames.decode(remote.run(frames.encode(x), frames.output_words)), y)
        measured = remote.measure_latency(frames.encode(x), 3)
    assert measured["single"]["latency_min"] == measured["single"]["latency_max"] == bundle.manifest["latency_cycles"]
    assert bundle.manifest["latency_cycles"] == design.latency_cycles + frames.input_words + frames.output_words
    interval = max(design.interval_cycles, frames.input_words, frames.output_words)
    assert measured["batches"][-1]["interval_cycles"] == bundle.manifest["interval_cycles"] == interval


def test_a_bundle_for_simulation(tmp_path, bundle):
    (tmp_path / "again").mkdir()
    content = bundle.content()
    assert content == bundle_of(tmp_path / "again", 'board = "pynq-z1"').content()
    read = parse_bundle(content, "it")
    assert read.manifest["simulation_only"] is True
    stem = read.manifest["stem"]
    payload = read.files[f"{stem}.bit"]
    payload = json.loads(payload[payload.index(b"{") :].rstrip(b"\0"))
    assert payload == {"stem": stem, "build_id": read.manifest["build_id"], "for": "virtual boards"}
    assert {"rtl/cdg_accelerator_ip.v", f"{stem}.hwh", "golden/inputs.npy", "codesign_board/server.py"} <= set(
        read.files
    )
    assert "build" not in read.manifest["figures"], "nothing was built"


def test_a_bare_part_has_no_virtual_board(tmp_path):
    with pytest.raises(InputError, match=r"is for the bare part xczu3eg"):
        bundle_of(tmp_path, 'part = "xczu3eg"')


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("pynq-z11", "unknown virtual board 'pynq-z11': did you mean pynq-z1?"),
        ("", "unknown virtual board '': known: pynq-z1, zcu104"),
    ],
)
def test_unknown_boards(bundle, name, said):
    with pytest.raises(InputError, match=f"^{re.escape(said)}$"):
        virtual_command(name, bundle)


def test_a_bundle_without_rtl(bundle, environments):
    files = {name: data for name, data in bundle.files.items() if not name.startswith("rtl/")}
    with pytest.raises(BundleError, match=r"^the bundle has no RTL to simulate; build it again$"):
        virtual_command("pynq-z1", Bundle(bundle.manifest, files))


def test_the_command(bundle, environments, cache, monkeypatch):
    monkeypatch.setattr(virtual_board, "pynq_python", lambda version, _: Path(f"/python-{version}"))
    monkeypatch.setattr(virtual_board, "simulated_fabric", lambda *_: Path("/fabric.so"))
    for name, (called, version) in BOARDS.items():
        command = virtual_command(name, bundle, clock_scale=0.8)
        assert command[:2] == [f"/python-{version}", "-I"]
        described = json.loads(command[-2])
        assert (described["board"], described["library"], described["clock_scale"]) == (called, "/fabric.so", 0.8)
        assert command[-1] == str(cache / "boards" / name)
    assert virtual_command("pynq-z1", bundle, pynq="4.0.0")[0] == "/python-4.0.0"


def test_a_fabric_is_compiled_once(hollow, cache, monkeypatch):
    said = []
    first = simulated_fabric(hollow, said.append)
    assert said == ["simulating the fabric: Verilator and g++ compile the bundle's RTL, once"]
    os.utime(first, (0, 0))
    assert simulated_fabric(hollow, said.append) == first
    assert len(said) == 1
    assert first.stat().st_mtime > 0, "it was used lately"
    monkeypatch.setattr(virtual_board, "KEPT", 1)
    other = {name: data + b"// other\n" for name, data in hollow.files.items()}
    second = simulated_fabric(Bundle(hollow.manifest, other), said.append)
    assert list((cache / "fabrics").iterdir()) == [second], "only so many are kept, and nothing else"


def test_two_processes_may_compile_one_fabric(hollow, cache, tmp_path):
    hollow.write(tmp_path / "bundle.zip")
    program = (
        "from pathlib import Path; from boards.bundle import read_bundle\n"
        "from codesign.deployment.virtual_board import simulated_fabric\n"
        f"print(simulated_fabric(read_bundle(Path({str(tmp_path / 'bundle.zip')!r})), lambda _: None))"
    )
    running = [
        subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(2)
    ]
    found = {process.communicate(timeout=300)[0].strip() for process in running}
    assert [process.returncode for process in running] == [0, 0]
    assert {str(path) for path in (cache / "fabrics").iterdir()} == found
    assert len(found) == 1


def test_rtl_that_does_not_compile(bundle, cache):
    files = {**bundle.files, "rtl/cdg_accelerator_ip.v": b"module cdg_accelerator_ip (; endmodule\n"}
    with pytest.raises(ToolRunError, match=r"^verilator_bin ended with code 1: %Error: ") as caught:
        simulated_fabric(Bundle(bundle.manifest, files), print)
    assert "cdg_accelerator_ip.v:1:28: syntax error" in caught.value.log
    assert list((cache / "fabrics").iterdir()) == []


def test_a_cache_that_cannot_be_made(bundle, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(StorageError, match=r"^cannot write .*: Not a directory; set XDG_CACHE_HOME to another folder$"):
        simulated_fabric(bundle, print)


def test_the_environment_is_made_by_one(cache, monkeypatch):
    """Also again, where its Python has gone since."""
    made, said = [], []

    def make(folder, version, listed):
        made.append(version)
        (folder / "bin").mkdir(parents=True)
        (folder / "bin" / "python").touch()
        assert f"\npynq=={version}\n" in listed

    monkeypatch.setattr(pynq_environment, "_make", make)
    threads = [threading.Thread(target=pynq_python, args=("3.1.2", said.append)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == ["3.1.2"]
    assert said == [
        "first use of a virtual board with pynq 3.1.2: downloads about 90 MB of Python packages, takes 160 MB in "
        f"{cache}"
    ]
    pynq_python("3.1.2", said.append).unlink()
    assert pynq_python("4.0.0", said.append) != pynq_python("3.0.1", said.append)
    assert made == ["3.1.2", "4.0.0", "3.0.1"]


@pytest.mark.slow
def test_without_a_network_the_environment_says_so(cache, monkeypatch):
    """pip's own failure, with nothing to take packages from; nothing half-made stays, and the Python is taken away."""
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    said = (
        r"^the environment of pynq 4\.0\.0 for virtual boards could not be made: python ended with code 1: .*; "
        r"it takes a network once, then it stays in .*: try again with one$"
    )
    with pytest.raises(ToolError, match=said):
        pynq_python("4.0.0", lambda _: None)
    assert [path.suffix for path in content(cache)] == [".lock"]


@pytest.mark.parametrize("version", VERSIONS)
def test_pins_are_complete(version):
    """By name and version only, each once, with what the agent and pynq's Overlay import."""
    text = (ROOT / "boards" / "virtual" / f"pynq-{version}.txt").read_text()
    pins = [line for line in text.splitlines() if not line.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9_-]+==[0-9.]+", pin) for pin in pins)
    names = [pin.partition("==")[0].lower() for pin in pins]
    assert len(set(names)) == len(names)
    assert f"pynq=={version}" in pins
    assert any(pin.startswith("pycparser==2.") for pin in pins)


def test_nothing_of_this_project_is_on_its_path(bundle, environments, tmp_path):
    """Not even where the user's settings put it there: the agent has what a board has, and the virtual board."""
    python, *options, program, _, _ = virtual_command("pynq-z1", bundle, folder=tmp_path)
    script = (
        "import importlib.util as u, json, sys; sys.path.insert(0, sys.argv[1])\n"
        "print(json.dumps([[name for name in sys.argv[2:] if u.find_spec(name)], sys.path]))"
    )
    names = ["codesign", "boards", "hw", "nas", "quant", "tensorflow", "pyosys", "pynq", "codesign_board"]
    done = subprocess.run(
        [python, *options, "-c", script, program, *names],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    found, path = json.loads(done.stdout)
    assert found == ["pynq", "codesign_board"]
    assert not any(place.startswith(str(ROOT)) for place in path)


def test_the_program_is_one_file_of_its_content(cache, monkeypatch):
    first = board_program()
    assert board_program() == first
    assert re.fullmatch(r"virtual-[0-9a-f]{16}\.zip", first.name)
    monkeypatch.setattr(virtual_board, "_START", "pass\n")
    assert board_program() != first
    assert {path.suffix for path in content(cache)} == {".zip"}


def test_the_virtual_board_imports_what_is_there():
    """The standard library, NumPy, the agent beside it, and pynq in one place, which is imported when it is needed."""
    folder = ROOT / "boards" / "virtual"
    for path in folder.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names = {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                names = {node.module.split(".")[0]}
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 1 or (node.level == 2 and node.module.startswith("agent")), path
                assert (node.module, path.name) != ("device", "fabric.py"), "it needs pynq"
                continue
            else:
                continue
            allowed = set(sys.stdlib_module_names) | {"numpy"} | ({"pynq"} if path.name == "device.py" else set())
            assert names <= allowed, path
