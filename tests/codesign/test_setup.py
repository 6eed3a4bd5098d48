"""scripts/codesign with stand-ins for Python and pip: what it checks, makes, keeps and says.

What the stand-ins cannot show, that the pinned packages install and work together, a fresh clone does.
"""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import signal
import subprocess
import time
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOOLS = "bash env dirname readlink uname getconf awk df du cut cat sha256sum flock rm mkdir find cp sleep touch"
# a Python that makes a virtual environment of itself, and whose pip only notes what it is asked for
PYTHON = """#!/usr/bin/env bash
case "$*" in
  "-c import platform"*) echo "${FAKE_VERSION:-3.11.9}" ;;
  "-c"*) printf '%s' "${FAKE_MISSING:-}" ;;
  "--version") echo "Python ${FAKE_VERSION:-3.11.9}" ;;
  "-m venv "*) mkdir -p "$3/bin" "$3/lib/python3.11/site-packages"; cp "$0" "$3/bin/python" ;;
  "-P -m codesign.deployment.pynq_environment") echo "in $PWD"; exit "${FAKE_PYNQ:-0}" ;;
  "-m pip install"*) echo "$*" >>"$FAKE_LOG"; sleep "${FAKE_SLEEP:-0}"; exit "${FAKE_PIP:-0}" ;;
  *) echo "in $PWD: $*"; echo "path: ${PYTHONPATH-unset}" ;;
esac
"""


class Checkout:
    def __init__(self, folder: Path):
        self.root = folder / "check out"
        shutil.copytree(ROOT / "scripts", self.root / "scripts", ignore=shutil.ignore_patterns("__pycache__"))
        for name in ("requirements.txt", "requirements-dev.txt"):
            (self.root / name).write_text("six==1.17.0\n")
        shutil.copy(ROOT / "pyproject.toml", self.root)
        self.site = self.root / ".venv/lib/python3.11/site-packages"
        self.bin = folder / "bin"
        self.bin.mkdir()
        for tool in TOOLS.split():
            (self.bin / tool).symlink_to(shutil.which(tool))
        for tool in ("g++", "make"):
            self.program(tool, "exit 0")
        self.program("python3.11", PYTHON.partition("\n")[2])
        self.log = folder / "pip.log"
        self.environment = {"PATH": str(self.bin), "FAKE_LOG": str(self.log), "PYTHONPATH": "/elsewhere"}

    def program(self, name: str, text: str) -> None:
        path = self.bin / name
        path.unlink(missing_ok=True)
        path.write_text("#!/usr/bin/env bash\n" + text)
        path.chmod(0o755)

    def start(self, *arguments: str, cwd: Path | None = None, script: Path | None = None, **environment: str):
        return subprocess.Popen(
            [str(script or self.root / "scripts" / "codesign"), *arguments],
            cwd=cwd or self.root,
            env={**self.environment, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            process_group=0,
        )

    def run(self, *arguments: str, **how):
        process = self.start(*arguments, **how)
        out, err = process.communicate(timeout=60)
        return process.returncode, out, err

    def installs(self) -> int:
        return len(self.log.read_text().splitlines()) if self.log.exists() else 0


@pytest.fixture
def checkout(tmp_path):
    return Checkout(tmp_path)


def refused(checkout, **environment):
    """The message of a set-up that was refused before anything was made."""
    code, out, err = checkout.run("doctor", **environment)
    assert code == 2
    assert out == ""
    assert not (checkout.root / ".venv").exists()
    return err


def test_first_use_makes_the_environment_and_later_ones_only_run(checkout, tmp_path):
    code, out, err = checkout.run("show", "a b", cwd=tmp_path)
    assert code == 0
    assert out == f"in {tmp_path}: -P -m codesign show a b\npath: unset\n"
    assert err.splitlines() == [
        f"codesign: first use: making {checkout.root}/.venv with Python 3.11.9",
        "codesign: downloads about 430 MB of Python packages (TensorFlow is 270 of them), takes 1.9 GB of disk",
        "codesign: step 1 of 2: virtual environment",
        "codesign: step 2 of 2: packages",
        "codesign: ready",
    ]
    assert (checkout.site / "codesign-checkout.pth").read_text() == f"{checkout.root}\n"
    assert checkout.run("doctor")[::2] == (0, "")
    assert checkout.installs() == 1
    assert "--no-deps" in checkout.log.read_text()


def installed(checkout):
    """What `importlib.metadata` finds of codesign in the environment."""
    return list(importlib.metadata.distributions(name="codesign-fpga", path=[str(checkout.site)]))


def test_the_checkout_is_found_like_a_package(checkout):
    """By the name, version and entry points that a wheel would have, and all of it named for pip to take away."""
    checkout.run("doctor")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    (found,) = installed(checkout)
    assert (found.metadata["Name"], found.version) == (project["name"], project["version"])
    assert {point.group: {point.name: point.value} for point in found.entry_points} == project["entry-points"]
    made = {path.relative_to(checkout.site) for path in checkout.site.rglob("*") if path.is_file()}
    assert {Path(file) for file in found.files} == made


def test_an_environment_of_before_is_mended_without_an_installation(checkout):
    checkout.run("doctor")
    shutil.rmtree(installed(checkout)[0]._path)
    (checkout.root / ".venv" / "pyproject.toml.ready").unlink()
    assert checkout.run("doctor")[::2] == (0, "")
    assert [found.version for found in installed(checkout)] == ["0.1.0"]
    assert checkout.installs() == 1


def test_a_new_version_takes_the_place_of_the_old(checkout):
    checkout.run("doctor")
    path = checkout.root / "pyproject.toml"
    path.write_text(path.read_text().replace('version = "0.1.0"', 'version = "0.2.0"'))
    assert checkout.run("doctor")[::2] == (0, "")
    assert [found.version for found in installed(checkout)] == ["0.2.0"]
    assert checkout.installs() == 1


def test_through_a_symbolic_link(checkout, tmp_path):
    link = tmp_path / "link"
    link.symlink_to(checkout.root / "scripts" / "codesign")
    assert checkout.run("doctor", script=link)[0] == 0
    assert (checkout.root / ".venv/requirements.txt.ready").exists()


def test_changed_requirements_update_the_environment(checkout):
    checkout.run("doctor")
    with (checkout.root / "requirements.txt").open("a") as file:
        file.write("pip==1\n")
    code, _, err = checkout.run("doctor")
    assert code == 0
    assert err == (f"codesign: requirements.txt or the place of the checkout changed: updating {checkout.root}/.venv\n")
    assert checkout.installs() == 2


def test_a_failed_installation_says_so_and_is_redone(checkout):
    code, _, err = checkout.run("doctor", FAKE_PIP="1")
    assert code == 2
    assert err.splitlines()[-1] == (
        "codesign: the installation did not finish (pip's message is above); start it again, it resumes."
    )
    (checkout.root / ".venv" / "half").touch()
    assert checkout.run("doctor")[0] == 0
    assert not (checkout.root / ".venv" / "half").exists()


def test_a_killed_installation_is_redone(checkout):
    process = checkout.start("doctor", FAKE_SLEEP="60")
    while checkout.installs() == 0:
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    code, out, _ = checkout.run("doctor")
    assert code == 0
    assert "-m codesign doctor" in out
    assert checkout.installs() == 2


def test_two_at_once_install_once(checkout):
    first = checkout.start("doctor", FAKE_SLEEP="1")
    while checkout.installs() == 0:
        time.sleep(0.01)
    code, _, err = checkout.run("doctor")
    first.communicate()
    assert (code, first.returncode) == (0, 0)
    assert err == f"codesign: another set-up is running in {checkout.root}/.venv; waiting for it\n"
    assert checkout.installs() == 1


def run_tests(checkout, **environment):
    process = checkout.start("-k", "name", script=checkout.root / "scripts" / "test", **environment)
    out, err = process.communicate(timeout=60)
    assert out.splitlines()[0] == f"in {checkout.root}: -m pytest -n auto --dist loadfile -m not slow -k name"
    return err


def test_tests_add_their_tools_to_the_same_environment(checkout):
    checkout.run("doctor")
    assert run_tests(checkout) == f"codesign: adding the tools for tests and checks (35 MB)\nin {checkout.root}\n"
    assert checkout.installs() == 2


def test_tests_run_without_virtual_boards(checkout):
    """Where their environments cannot be made; those that need them are skipped."""
    assert run_tests(checkout, FAKE_PYNQ="2").splitlines()[-2:] == [
        f"in {checkout.root}",
        "codesign: the tests that need it are skipped",
    ]


def test_wrong_python(checkout):
    (checkout.bin / "python3.11").rename(checkout.bin / "python3")
    assert refused(checkout, FAKE_VERSION="3.12.1") == (
        "codesign: Python 3.11 is needed; found: python3 is 3.12.1. Install python3.11, or set PYTHON to one.\n"
    )


def test_no_python_at_all(checkout):
    (checkout.bin / "python3.11").unlink()
    assert refused(checkout) == (
        "codesign: Python 3.11 is needed; found: no Python at all. Install python3.11, or set PYTHON to one.\n"
    )


def test_python_by_setting(checkout):
    (checkout.bin / "python3.11").rename(checkout.bin / "special")
    assert checkout.run("doctor", PYTHON="special")[0] == 0


def test_venv_without_ensurepip(checkout):
    assert refused(checkout, FAKE_MISSING="ensurepip ") == (
        "codesign: python3.11 lacks the standard module(s) ensurepip; on Debian and Ubuntu: "
        "apt-get install python3.11-venv.\n"
    )


def test_every_missing_tool_has_its_line(checkout):
    (checkout.bin / "g++").unlink()
    (checkout.bin / "make").unlink()
    assert refused(checkout) == "".join(
        f"codesign: {tool} is needed to simulate the hardware and was not found on PATH; "
        f"on Debian and Ubuntu: apt-get install {tool}.\n"
        for tool in ("g++", "make")
    )


@pytest.mark.parametrize(("system", "machine"), [("Darwin", "arm64"), ("MINGW64_NT", "x86_64"), ("Linux", "aarch64")])
def test_other_systems(checkout, system, machine):
    checkout.program("uname", f'[ "$1" = -s ] && echo {system} || echo {machine}')
    assert refused(checkout) == (
        f"codesign: Linux x86-64 is needed; this is {system} {machine}. "
        "On Windows use WSL2, where it works the same; on a Mac use a Linux x86-64 machine.\n"
    )


def test_other_c_library(checkout):
    checkout.program("getconf", "exit 1")
    assert refused(checkout) == "codesign: glibc 2.28 or newer is needed; found: another C library.\n"


def test_full_disk(checkout):
    checkout.program("df", 'echo head; echo "dev 1 1 300 1% /"')
    assert refused(checkout, TMPDIR="/tmp") == (
        f"codesign: 2100 MB of disk are needed in {checkout.root}; 300 MB are free.\n"
        "codesign: 500 MB are needed in /tmp while downloading; 300 MB are free. Set TMPDIR to a folder with room.\n"
    )
