"""Tools that are not needed for a search: found on PATH or by a setting, and missed only by who asks for them."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from codesign.errors import ToolMissingError, ToolRunError
from hw.measure import tools

_GET = r"(?:get|obtain|acquire|find|check(?:[ -]?out)?)\b"
LICENCE = re.compile(
    r"^(?!INFO).*(?:"
    r"\[Common 17-34[58]\]"  # no valid licence was found; one could not be got
    r"|\bflex(?:net|lm)\b.*error *: *-\d+"  # Flexera's own, e.g. -5: no such feature, -15 and -97: no server
    r"|\bno such feature exists"
    r"|\blicen[sc]e (?:server )?(?:was |is |are )?not (?:found|available)"
    r"|\blicen[sc]e check(?:[ -]?out)?\b.*\bfail"
    rf"|\b(?:fail(?:ed|ure)? to|cannot|can't|could not|unable to) (?:connect to|{_GET}).*\blicen[sc]es?\b"
    r"|\bno (?:valid )?licen[sc]e\b"
    r").*$",
    re.MULTILINE | re.IGNORECASE,
)
"""Lines in which Vivado, Vitis HLS and the licence manager in them say that there is none."""


@dataclass(frozen=True)
class OptionalTool:
    """``programs`` in the order they are taken; the environment variable ``setting`` goes before PATH.

    ``version`` is a pattern of what the program says when called with ``ask``: nothing, where it takes too long for
    that. ``tested`` is a range of versions (first and last year) that what reads its output is written for; None
    where versions say no year, and none is marked.
    """

    name: str
    setting: str
    programs: tuple[str, ...]
    ask: Sequence[str]
    version: str
    tested: tuple[int, int] | None = None

    def find(self, otherwise: str) -> Path:
        """The program; ToolMissingError without it, which says what to do ``otherwise``."""
        setting = os.environ.get(self.setting)
        for program in (setting,) if setting else self.programs:
            found = shutil.which(program)
            if found is not None:
                return Path(found)
        known = " or ".join(repr(program) for program in self.programs)
        where = f"{self.setting} = {setting!r} is no program" if setting else f"no program {known} is on PATH"
        raise ToolMissingError(f"{self.name} was not found: {where}; set {self.setting} to its path, or {otherwise}")

    def version_of(self, program: Path) -> str:
        """The version that the program says; empty where it is not asked. ToolRunError where it does not work."""
        if not self.ask:
            return ""
        code, said = tools.answer([str(program), *self.ask])
        if code is None:
            raise ToolRunError(f"{self.name} at {program} did not answer within {tools.ANSWER_SECONDS:g} s", said)
        found = re.search(self.version, said)
        if not found:
            lines = said.strip().splitlines() or ["no output"]
            reason = f"it does not say its version (code {code}): {lines[-1]}"
            raise ToolRunError(f"{self.name} at {program} does not work: {reason}", said)
        return found[1]

    def warning(self, version: str) -> str:
        """What is to be said of this version; empty where it is one of those that are known here."""
        year = re.match(r"(\d{4})\.", version)
        if self.tested is None or (year and self.tested[0] <= int(year[1]) <= self.tested[1]):
            return ""
        first, last = self.tested
        return f"{self.name} {version} is not a version that this is written for ({first}.1 to {last}.x)"

    def marks(self, version: str) -> dict[str, str]:
        """What is among the details of a figure by this version where nobody has tried it."""
        warning = self.warning(version)
        return {"untested": warning} if warning else {}


VIVADO = OptionalTool("Vivado", "CODESIGN_VIVADO", ("vivado",), ("-version",), r"[Vv]ivado v(\d\S*)", (2020, 2025))
VITIS_HLS = OptionalTool(
    # since 2023.2 vitis-run starts HLS, and since 2025.1 nothing else does
    *("Vitis HLS", "CODESIGN_VITIS_HLS", ("vitis-run", "vitis_hls")),
    *((), "", (2020, 2025)),
)
NEXTPNR = OptionalTool(
    "nextpnr-xilinx", "CODESIGN_NEXTPNR", ("nextpnr-xilinx",), ("--version",), r"\(Version ([^)\s]+)\)"
)


def run_vendor(
    program: Path,
    arguments: Sequence[str],
    folder: Path,
    *,
    name: str,
    timeout_s: float,
    memory_mib: int,
    log: str,
    env: Mapping[str, str] | None = None,
) -> str:
    """As ``tools.run_tool``, but that a missing licence is told as one; what it printed is in ``folder/log``."""
    try:
        return tools.run_tool(
            [str(program), *arguments],
            cwd=folder, timeout_s=timeout_s, log=folder / log, memory_mib=memory_mib, env=env, name=name,
        )  # fmt: skip
    except ToolRunError as error:
        raise ToolRunError(_without_licence(name, error.log) or str(error), error.log) from None


def remove_report(name: str, path: Path) -> None:
    """Remove what an earlier run left, so that it does not pass for this one's; ToolRunError where it is no file."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise ToolRunError(f"{name} cannot write {path}: {error.strerror}; remove it") from None


def no_report(name: str, report: str, said: str) -> ToolRunError:
    """Of a tool that printed ``said`` and ended without an error and without its ``report``."""
    reason = _without_licence(name, said) or f"{name} ended without an error but wrote no {report}"
    return ToolRunError(reason, said[-tools.LOG_TAIL :])


def _without_licence(name: str, said: str) -> str:
    """That there is none, by what a tool printed; empty where it says nothing of it."""
    found = [line.strip() for line in LICENCE.findall(said)]
    if not found:
        return ""
    return f"{name} has no licence for this: {next((line for line in found if line.startswith('ERROR')), found[0])}"
