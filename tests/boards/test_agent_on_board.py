"""The agent's package as a board has it: in the bundle, without this project, for notebooks."""

from __future__ import annotations

import ast
import io
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from agent_bundles import ROOT, made, remote
from agent_standin import StandinFabric

from boards.agent.accelerator import Accelerator
from boards.agent.errors import AgentError
from boards.agent.wire import receive, send
from boards.driver import PACKAGE

AGENT = ROOT / "boards" / "agent"


def test_the_notebooks_accelerator(tmp_path):
    """From the bundle itself, as on a board: its copy of the driver; of ours only the stand-in."""
    subject = made()
    bundle = tmp_path / "cdg.zip"
    subject.bundle.write(bundle)
    program = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "import numpy as np; from agent_standin import StandinFabric\n"
        f"from {PACKAGE} import Accelerator\n"
        "with Accelerator(sys.argv[1], fabric=StandinFabric(), folder=sys.argv[2]) as a:\n"
        "    x = np.random.default_rng(5).normal(0.5, 1.0, (40, 13)); print(a.predict(x).tolist(), a.class_names)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(bundle), str(tmp_path / "agent")],
        env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{Path(__file__).parent}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    x = np.random.default_rng(5).normal(0.5, 1.0, (40, 13))
    kind = subject.graph.input.type
    integers = np.clip(np.rint((x - 0.5) * 4.0), kind.low, kind.high).astype(np.int64)
    assert done.stdout.strip() == f"{subject.graph.run(integers).argmax(axis=1).tolist()} ['a', 'b', 'c', 'd']"


@pytest.fixture
def with_host_format(monkeypatch):
    """In a bundle host_format.py is beside the agent's own files."""
    from hw import host_format

    monkeypatch.setitem(sys.modules, "boards.agent.host_format", host_format)


def test_an_accelerator_that_gives_classes_alone(tmp_path, with_host_format):
    path, subject = tmp_path / "cdg.zip", made(argmax=True)
    subject.bundle.write(path)
    x = np.random.default_rng(5).normal(0.5, 1.0, (40, 13))
    integers = subject.graph.input.type.nearest((x - 0.5) * 4.0 / 2**subject.graph.input.type.frac)
    with Accelerator(path, fabric=StandinFabric(), folder=tmp_path / "agent") as accelerator:
        assert np.array_equal(accelerator.predict(x), subject.graph.logits().run(integers).argmax(axis=1))
        with pytest.raises(AgentError, match=r"gives classes alone \(an argmax in hardware\); use predict$"):
            accelerator.logits(x)


def test_an_accelerator_that_differs_is_refused(tmp_path, with_host_format):
    path = tmp_path / "cdg.zip"
    made().bundle.write(path)
    fabric = StandinFabric("wrong")
    with pytest.raises(AgentError, match=r"^1 of 50 golden vectors give other outputs on this board; it is not to be"):
        Accelerator(path, fabric=fabric, folder=tmp_path / "agent")
    assert fabric.log[-1] == "close"
    with (
        Accelerator(path, fabric=StandinFabric(), folder=tmp_path / "agent") as accelerator,
        pytest.raises(ValueError, match="1 input values are NaN"),
    ):
        accelerator.predict(np.array([[float("nan"), *[0.0] * 12]]))


def test_a_cell_that_is_run_again_works(tmp_path, with_host_format):
    """The process' earlier accelerator lets go, whether its name is used again or it never had one."""
    path, folder = tmp_path / "cdg.zip", tmp_path / "agent"
    made().bundle.write(path)
    x, fabrics = np.zeros((2, 13)), [StandinFabric() for _ in range(4)]
    for fabric in fabrics[:2]:
        Accelerator(path, fabric=fabric, folder=folder).predict(x)
        assert fabric.log[-1] == "close"
    first = Accelerator(path, fabric=fabrics[2], folder=folder)
    second = Accelerator(path, fabric=fabrics[3], folder=folder)
    assert fabrics[2].log[-1] == "close"
    with pytest.raises(AgentError, match="^this accelerator was closed, or another one was made; make it again$"):
        first.predict(x)
    first.close()
    assert second.predict(x).shape == (2,)
    second.close()
    second.close()
    assert fabrics[3].log.count("close") == 1


def test_a_board_that_another_process_holds(tmp_path, with_host_format):
    path = tmp_path / "cdg.zip"
    made().bundle.write(path)
    with remote(tmp_path / "agent") as board:
        board.put_bundle(made().content)
        with pytest.raises(AgentError, match=r"^the board is in use by process \d+ on it; try again when"):
            Accelerator(path, fabric=StandinFabric(), folder=tmp_path / "agent")
    Accelerator(path, fabric=StandinFabric(), folder=tmp_path / "agent").close()


def test_the_package_runs_on_what_a_board_has():
    """Python 3.10's syntax; the standard library, NumPy and its own files. pynq is named by text only, when needed."""
    allowed = set(sys.stdlib_module_names) - {"tomllib"} | {"numpy"}
    for path in AGENT.glob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 10))
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                assert {alias.name.split(".")[0] for alias in node.names} <= allowed, path
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                assert node.module.split(".")[0] in allowed, path
                newer = {"StrEnum", "UTC", "Self", "assert_never", "override", "TaskGroup", "batched", "Never"}
                assert not newer & {alias.name for alias in node.names}, path
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 1, path


def test_the_bundle_is_the_agents_program(tmp_path):
    """``python3 BUNDLE`` on a machine without pynq: the agent answers, and says what is missing to load."""
    subject = made()
    bundle = tmp_path / "cdg.zip"
    subject.bundle.write(bundle)
    requests = io.BytesIO()
    send(requests, {"op": "hello"})
    send(requests, {"op": "put_bundle", "sha256": subject.digest}, subject.content)
    send(requests, {"op": "load", "sha256": subject.digest})
    done = subprocess.run(
        [sys.executable, "-I", str(bundle), str(tmp_path / "agent")],
        input=requests.getvalue(),
        capture_output=True,
        check=False,
    )
    answers = io.BytesIO(done.stdout)
    assert receive(answers)[0]["versions"]["pynq"] is None
    assert receive(answers)[0] == {"ok": True}
    refusal = receive(answers)[0]
    assert refusal["kind"] == "environment"
    assert "has no pynq; on a PYNQ board use the image's own" in refusal["message"]
    assert (receive(answers), done.returncode, done.stderr) == (None, 0, b"")
