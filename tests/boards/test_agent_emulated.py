"""The agent and the host format on the boards' processors, emulated by qemu-user; 32 bits are another NumPy.

Needs qemu-arm or qemu-aarch64 on PATH, and a root file system with python3 and NumPy for it, whose folder is named by
``CODESIGN_ROOT_ARMHF`` or ``CODESIGN_ROOT_ARM64``, such as debootstrap makes. There is no pynq in it. It was run with
qemu 7.2 and Debian 12's Python 3.11.2 and NumPy 1.24.2.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from agent_bundles import ROOT, STANDIN, made
from agent_standin import LATENCY

from boards.agent.wire import receive, send
from boards.remote import Remote

ARCHITECTURES = {"armv7l": ("qemu-arm", "CODESIGN_ROOT_ARMHF"), "aarch64": ("qemu-aarch64", "CODESIGN_ROOT_ARM64")}
FORMAT = """
import json, sys
sys.path.insert(0, sys.argv[1])
import numpy as np
from codesign_board.host_format import HostFormat
asked = json.loads(sys.argv[2])
form = HostFormat.from_json(asked["format"])
words = form.encode(np.array(asked["inputs"]))
print(json.dumps([words.tobytes().hex(), form.decode(np.frombuffer(bytes.fromhex(asked["outputs"]), words.dtype)
                  .reshape(-1, form.output_words)).tolist()]))
"""


@pytest.fixture(params=sorted(ARCHITECTURES))
def python(request):
    """The emulated machine's name, and what runs its Python."""
    emulator, setting = ARCHITECTURES[request.param]
    found = shutil.which(emulator) or shutil.which(f"{emulator}-static")
    root = os.environ.get(setting)
    if found is None or root is None:
        pytest.skip(f"needs {emulator} on PATH, and {setting}: a root file system with python3 and NumPy")
    command = [found, "-L", root, "-E", f"PYTHONHOME={root}/usr", str(Path(root) / "usr" / "bin" / "python3")]
    return request.param, command


def test_the_agent_answers(python, tmp_path):
    machine, command = python
    subject, bundle = made(), tmp_path / "bundle.zip"
    subject.bundle.write(bundle)
    requests = io.BytesIO()
    send(requests, {"op": "hello"})
    send(requests, {"op": "put_bundle", "sha256": subject.digest}, subject.content)
    send(requests, {"op": "load", "sha256": subject.digest})
    done = subprocess.run(
        [*command, str(bundle), str(tmp_path / "agent")], input=requests.getvalue(), capture_output=True, check=False
    )
    answers = io.BytesIO(done.stdout)
    assert receive(answers)[0]["machine"] == machine
    assert receive(answers)[0] == {"ok": True}
    assert "has no pynq" in receive(answers)[0]["message"]
    assert (receive(answers), done.returncode) == (None, 0), done.stderr


def test_frames_go_through_the_agents_device(python, tmp_path):
    """On the stand-in for a fabric: bursts, counters and the wire in words of this processor."""
    machine, command = python
    interpreter = command.pop()
    places = f"PYTHONPATH={ROOT}{os.pathsep}{STANDIN.parent}"
    subject = made()
    with Remote([*command, "-E", places, interpreter, str(STANDIN), str(tmp_path / "agent")], machine) as remote:
        assert remote.hello()["machine"] == machine
        remote.load(remote.put_bundle(subject.content))
        found = remote.run(subject.words(300), subject.format.output_words)
        assert np.array_equal(subject.format.decode(found), subject.outputs(300))
        assert remote.measure_latency(subject.words(3), 2)["single"]["latency_min"] == LATENCY


def test_the_host_format_is_the_same(python, tmp_path):
    _, command = python
    subject, bundle = made(), tmp_path / "bundle.zip"
    subject.bundle.write(bundle)
    kind, rng = subject.format.input, np.random.default_rng(8)
    inputs = rng.integers(kind.low, kind.high + 1, (20, kind.size))
    outputs = rng.integers(0, 256, (20, subject.format.output_words * subject.format.word_bits // 8), dtype=np.uint8)
    asked = {"format": subject.format.to_json(), "inputs": inputs.tolist(), "outputs": outputs.tobytes().hex()}
    done = subprocess.run(
        [*command, "-c", FORMAT, str(bundle), json.dumps(asked)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    words = subject.format.encode(inputs)
    decoded = subject.format.decode(outputs.view(words.dtype))
    assert json.loads(done.stdout) == [words.tobytes().hex(), decoded.tolist()]
