"""Every error that codesign raises on purpose.

::

    CodesignError                  exit code of the command line
    ├── InputError            2    something the user gave cannot be used
    │   ├── StudyError             study file: missing, not TOML, unknown or wrong key
    │   ├── DataError              dataset: missing, wrong shapes, NaN, one class, ...
    │   ├── TargetError            unknown board or part, budget that makes no sense
    │   ├── ModelError             a model that cannot be lowered exactly
    │   ├── RunError               a run that is damaged, locked, missing or of another version
    │   └── BundleError            a bundle that is damaged, unsafe or of another version
    ├── ToolError             2    an external tool is missing or broken
    │   └── ToolMissingError  3    one that is not needed otherwise, such as Vivado, is missing
    ├── CandidateError        1    one candidate failed; stored, the search goes on
    │   ├── ToolRunError           a tool ended with an error, hung or ran out of memory
    │   │   ├── TimingError            a routed design does not meet its clock
    │   │   └── ReportError        a tool's report is damaged, cut short, or of something else
    │   └── MismatchError          two levels of the same network gave different bits
    └── StorageError          2    the disk refused what had to be stored

Messages echo the offending value and say what to do about it.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from codesign.measurement import Measurement


class CodesignError(Exception):
    """Root of the tree."""

    exit_code = 1


class InputError(CodesignError):
    """Something the user gave cannot be used."""

    exit_code = 2


class StudyError(InputError):
    """The study file cannot be used."""


class DataError(InputError):
    """The dataset cannot be used."""


class TargetError(InputError):
    """The board, part or budget cannot be used."""


class ModelError(InputError):
    """A model cannot be lowered exactly; names the layer."""


class RunError(InputError):
    """A run folder cannot be used."""


class BundleError(InputError):
    """A bundle cannot be used."""


class ToolError(CodesignError):
    """An external tool is missing or does not work at all."""

    exit_code = 2


class ToolMissingError(ToolError):
    """A tool that only what was asked for needs was not found; says what works without it."""

    exit_code = 3


class ToolTerminatedError(ToolError):
    """A tool was asked to end by somebody else: by a machine that is shut down, or that wants its memory."""


class CandidateError(CodesignError):
    """One candidate failed. The search stores it and goes on."""

    def __init__(self, message: str, log: str = "") -> None:
        super().__init__(message)
        self.log = log

    def __reduce__(self) -> tuple[type[CandidateError], tuple[str, str]]:
        return type(self), (str(self), self.log)


class ToolRunError(CandidateError):
    """A tool ended with an error, exceeded its time limit or ran out of memory."""


class TimingError(ToolRunError):
    """A routed design does not meet its clock; ``measurement`` holds its figures."""

    def __init__(self, message: str, log: str = "", measurement: Measurement | None = None) -> None:
        super().__init__(message, log)
        self.measurement = measurement

    def __reduce__(self) -> tuple[type[CandidateError], tuple[str, str, Measurement | None]]:  # type: ignore[override]
        return type(self), (str(self), self.log, self.measurement)


class ReportError(ToolRunError):
    """A tool's report cannot be used; names file and line."""


class MismatchError(CandidateError):
    """Two levels of the same network gave different bits."""


class StorageError(CodesignError):
    """The disk refused what had to be stored."""

    exit_code = 2


def nearest(name: str, known: Iterable[str]) -> str:
    """A clause naming the known spellings closest to ``name``, for error messages."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    return f"did you mean {' or '.join(close)}?" if close else f"known: {', '.join(names)}"
