"""Python environments with real pynq, for virtual boards: made at their first use, or when the project is set up."""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import sys
import tempfile
from collections.abc import Callable
from importlib import resources
from pathlib import Path

from codesign.errors import CodesignError, StorageError, ToolError, ToolRunError
from hw.measure.cache import cache_folder
from hw.measure.tools import run_tool

VERSIONS = {"3.0.1": 90, "3.1.2": 90, "4.0.0": 40}
"""Of pynq, with what is downloaded for each, in MB; a list of its packages is in boards/virtual."""
DISK_MB = 160
_SECONDS = 1800.0


def pynq_python(version: str, said: Callable[[str], object]) -> Path:
    """The Python that has this version of pynq; ``said`` hears of a download. ToolError where it cannot be made."""
    listed = resources.files("boards.virtual").joinpath(f"pynq-{version}.txt").read_bytes()
    digest = hashlib.sha256(listed + sys.version.encode()).hexdigest()[:12]
    folder = cache_folder() / f"pynq-{version}-{digest}"
    python = folder / "bin" / "python"
    try:
        if not python.exists():
            with (cache_folder() / f"{folder.name}.lock").open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)  # whoever comes second finds it made
                if not python.exists():
                    said(
                        f"first use of a virtual board with pynq {version}: downloads about {VERSIONS[version]} MB of "
                        f"Python packages, takes {DISK_MB} MB in {folder.parent}"
                    )
                    _make(folder, version, listed.decode())
    except OSError as error:
        raise StorageError(
            f"cannot write {folder}: {error.strerror}; make room there or set XDG_CACHE_HOME to another folder"
        ) from None
    return python


def _make(folder: Path, version: str, listed: str) -> None:
    """Beside its place, then there at once: what is there is whole."""
    with tempfile.TemporaryDirectory(prefix=f"{folder.name}.", dir=folder.parent) as name:
        scratch = Path(name)
        python, log = str(scratch / "venv" / "bin" / "python"), scratch / "log"
        (scratch / "packages.txt").write_text(listed, encoding="utf-8")
        builder = next(line for line in listed.splitlines() if line.startswith("setuptools=="))
        install = [python, "-I", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
        try:
            run_tool([sys.executable, "-I", "-m", "venv", "venv"], cwd=scratch, timeout_s=_SECONDS, log=log)
            run_tool([*install, builder], cwd=scratch, timeout_s=_SECONDS, log=log)
            here = ["--no-build-isolation", "--use-pep517", "--no-compile", "-r", "packages.txt"]
            run_tool([*install, *here], cwd=scratch, timeout_s=_SECONDS, log=log)
        except ToolRunError as error:
            raise ToolError(
                f"the environment of pynq {version} for virtual boards could not be made: {error}; it takes a network "
                f"once, then it stays in {folder.parent}: try again with one"
            ) from None
        if folder.is_symlink() or folder.exists():  # its Python has gone
            shutil.rmtree(folder)
        (scratch / "venv").rename(folder)


def main() -> int:
    """Make those of all versions, so that nothing is downloaded later; gives the exit code."""
    try:
        for version in VERSIONS:
            pynq_python(version, lambda text: sys.stderr.write(f"codesign: {text}\n"))
    except CodesignError as error:
        sys.stderr.write(f"codesign: {error}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
