"""The wheel holds all that a checkout has, and runs from any folder; packages from elsewhere are named."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from wheels import PACKAGES, ROOT, build_wheel


def run(*command: str, cwd: Path, path: Path | None = None) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    if path is not None:
        environment["PYTHONPATH"] = str(path)
    return subprocess.run(
        [sys.executable, *command], cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    return build_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def site(wheel):
    folder = wheel.parent / "site"
    found = run("-m", "pip", "install", "--no-deps", "--target", str(folder), str(wheel), cwd=wheel.parent)
    assert found.returncode == 0, found.stderr
    return folder


def test_everything_that_is_no_python_comes_along(wheel) -> None:
    packed = set(zipfile.ZipFile(wheel).namelist())
    kept = {
        str(path.relative_to(ROOT))
        for name in PACKAGES
        for path in (ROOT / name).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert kept <= packed, sorted(kept - packed)
    assert {name.split("/")[0] for name in packed if ".dist-info" not in name} == set(PACKAGES)


@pytest.mark.parametrize("place", ["empty folder", "checkout"])
def test_doctor_runs_from_any_folder(site, tmp_path: Path, place: str) -> None:
    cwd = tmp_path if place == "empty folder" else ROOT
    found = run("-m", "codesign", "doctor", cwd=cwd, path=site)
    assert found.returncode == 0, found.stdout + found.stderr
    assert "yosys" in found.stdout


def test_a_model_is_measured_with_the_wheel_alone(site, tmp_path: Path) -> None:
    from user_models import saved, small

    path = saved(small(), tmp_path / "mine.h5")
    found = run("-m", "codesign", "measure", str(path), "--folding", "16", cwd=tmp_path, path=site)
    assert found.returncode == 0, found.stderr
    assert "synthesized" in found.stdout


def test_hls4ml_finds_the_backend_by_itself(site, tmp_path: Path) -> None:
    program = "import hls4ml; print('codesign' in hls4ml.backends.get_available_backends())"
    found = run("-W", "ignore", "-c", program, cwd=tmp_path, path=site)
    assert found.stdout.strip().splitlines()[-1] == "True", found.stdout + found.stderr


def test_a_package_from_elsewhere_is_named(site, tmp_path: Path) -> None:
    (tmp_path / "hw").mkdir()
    (tmp_path / "hw" / "__init__.py").write_text("")
    found = run("-m", "codesign", "doctor", cwd=tmp_path, path=site)
    assert found.returncode == 2
    assert f"another 'hw' stands before codesign's own: {tmp_path / 'hw'}" in found.stderr
    assert "Traceback" not in found.stderr
