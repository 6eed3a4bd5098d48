"""A bundle onto a board: checked, loaded, held bit for bit against its golden vectors, and measured."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from boards.agent.archive import GOLDEN_INPUTS, GOLDEN_OUTPUTS
from boards.agent.versions import reads_hwh
from boards.bundle import Bundle
from boards.meters import Meter
from boards.remote import Remote
from codesign.counting import number_of
from codesign.deployment.figures import (
    Origin,
    clock_is_off,
    measured_clock,
    mismatch_figure,
    power_figures,
    timing_figures,
)
from codesign.errors import BundleError, CodesignError, InputError, MismatchError, StorageError, ToolError, ToolRunError
from codesign.measurement import Figure, Measurement
from hw.host_format import HostFormat

Outcome = Literal["ok", "warning", "failed"]
LOOKING, COMPARING = "looking at the board", "golden vectors"
PYNQ: Mapping[str, tuple[str, ...]] = {"pynq-z1": ("3.0", "3.1"), "pynq-z2": ("3.0", "3.1"), "zcu104": ("3.1", "4.0")}
"""Versions of pynq that docs/boards.md describes, by board."""
REPEATS, SIMULATED_REPEATS = 1000, 50
"""Single frames: enough for a second of a real board's time, by which its clock is measured."""
POWER_SECONDS, PROBE_SECONDS = 5.0, 0.1
POWER_FRAMES, POWER_BYTES = 4096, 8 << 20
"""At once, for power, so that the accelerator works for more of the time: so many frames, or fewer of this size."""
_SPARE = 4 << 20
_REGISTER_TOLERANCE = 0.005
_SHOWN = 10


@dataclass(frozen=True)
class Check:
    """One thing that was looked at, and what was found."""

    name: str
    outcome: Outcome
    words: str


@dataclass(frozen=True)
class Deployed:
    """What a board showed: every golden vector was equal bit for bit.

    ``measurement``: figures ``board_*``, on_board, or simulated where the board is a virtual one. ``described``: what
    the board said of itself (``hello``) and of what it loaded (``load``). ``seconds`` by step.
    """

    measurement: Measurement
    described: Mapping[str, Any]
    checks: tuple[Check, ...]
    seconds: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def nothing(cls) -> Deployed:
        """Of a board that was not reached."""
        return cls(Measurement({}), {}, ())


def deploy(
    bundle: Bundle, remote: Remote, *, step: Callable[[str], None] = lambda _: None, meter: Meter | None = None
) -> Deployed:
    """Load ``bundle`` on the board behind ``remote``, compare, measure. ``step`` is told what begins.

    Raises MismatchError where one bit differs, ToolError, StorageError and BundleError where board and bundle do not
    go together, ToolRunError where the board fails in between. The session stays the caller's to close.
    """
    return Deployment(bundle, remote, step=step, meter=meter).deploy()


class Deployment:
    """One bundle on one board, step by step. What is known stays readable when a step fails.

    ``check`` is told of each finding as it is made. ``at`` is the step that runs or failed.
    """

    def __init__(
        self,
        bundle: Bundle,
        remote: Remote,
        *,
        step: Callable[[str], None] = lambda _: None,
        check: Callable[[Check], None] = lambda _: None,
        meter: Meter | None = None,
    ) -> None:
        self._bundle, self._remote, self._meter = bundle, remote, meter
        self._step, self._check = step, check
        self.format, self._x, self._y = _golden(bundle)
        self._words = self.format.encode(self._x)
        self._origin: Origin | None = None
        self.at = ""
        self.checks: list[Check] = []
        self.figures: dict[str, Figure] = {}
        self.described: dict[str, Any] = {}
        self.seconds: dict[str, float] = {}

    def deploy(self) -> Deployed:
        """Every step, in order; see :func:`deploy`."""
        self.ready()
        with self._answered():
            with self._stepping("latency and throughput"):
                self._measure_timing()
            with self._stepping("power"):
                self._measure_power()
        return self.known()

    def ready(self) -> None:
        """Every step up to golden vectors: the accelerator is on the board, and computes what it must."""
        content = self._bundle.content()
        with self._answered():
            with self._stepping(LOOKING):
                self._preflight(len(content))
            with self._stepping("copying"):
                digest = self._remote.put_bundle(content)
                self._found("bundle", f"{len(content) / 2**20:.1f} MiB, SHA-256 {digest[:16]}")
            with self._stepping("programming"):
                self._load(digest)
            with self._stepping(COMPARING):
                self._compare()

    def known(self) -> Deployed:
        """What is known by now; only after :meth:`deploy` has returned are the outputs known to be right."""
        return Deployed(Measurement(dict(self.figures)), dict(self.described), tuple(self.checks), dict(self.seconds))

    def _preflight(self, size: int) -> None:
        hello = self._remote.hello()
        self.described["hello"] = {key: value for key, value in hello.items() if key not in ("ok", "bundles")}
        self._origin = Origin.of(hello, self._bundle.manifest["board"])
        kind = "a virtual board: every figure is simulated" if hello["simulated"] else hello["machine"]
        self._found("reachable", f"{kind}, Python {hello['python']}, protocol {hello['protocol']}")
        self._check_board(hello)
        if not hello["simulated"]:
            self._check_root(hello)
        elif self._meter is not None:
            raise InputError("a virtual board draws no power; leave out --meter")
        self._check_pynq(hello)
        self._check_space(hello, size)

    def _check_board(self, hello: Mapping[str, Any]) -> None:
        wanted, found = self._bundle.manifest["board"], hello["board"]
        if found is None:
            self._found("board", f"its image does not say which board it is; the bundle is for {wanted}", "warning")
        elif found.casefold() != wanted.casefold():
            words = f"the bundle is for board {wanted!r}, and {self._remote.name} is {found!r}"
            raise self._failed("board", BundleError(f"{words}; build it for that board, or give another --host"))
        else:
            self._found("board", found)

    def _check_root(self, hello: Mapping[str, Any]) -> None:
        if not hello["root"]:
            words = f"the agent on {self._remote.name} does not run as root, which overlays need"
            raise self._failed("root", ToolError(f"{words}; set the board up again (docs/boards.md)"))
        self._found("root", "yes")

    def _check_pynq(self, hello: Mapping[str, Any]) -> None:
        versions, board = hello["versions"], self._bundle.manifest["board"]
        pynq, pycparser = versions.get("pynq"), versions.get("pycparser")
        if pynq is None:
            words = f"the agent's Python on {self._remote.name} ({hello['python']}) has no pynq"
            raise self._failed("pynq", ToolError(f"{words}; use an image with PYNQ, then set the board up again"))
        if not reads_hwh(pynq, pycparser):
            words = f"pycparser {pycparser} on {self._remote.name}, and pynq {pynq} reads .hwh files with 2.x only"
            raise self._failed("pycparser", ToolError(f"{words}; there, as root: pip install 'pycparser<3'"))
        known = PYNQ.get(board)
        if known is not None and ".".join(pynq.split(".")[:2]) not in known:
            words = f"pynq {pynq}; {board} is described for {', '.join(known)}"
            self._found("pynq", words, "warning")
        else:
            self._found("pynq", f"pynq {pynq}")

    def _check_space(self, hello: Mapping[str, Any], size: int) -> None:
        free, needed = hello["free_bytes"], 2 * size + _SPARE  # the bundle, and its overlay beside it
        if free < needed:
            words = f"{free >> 20} MiB are free on the disk of {self._remote.name}, {needed >> 20} MiB are needed"
            raise self._failed("space", StorageError(f"{words}; make room there"))
        self._found("space", f"{free >> 20} MiB free")

    def _load(self, digest: str) -> None:
        loaded = {key: value for key, value in self._remote.load(digest).items() if key != "ok"}
        self.described["load"] = loaded
        wanted, built = float(self._bundle.manifest["clock_mhz"]), self._bundle.manifest["build_id"]
        if loaded["build_id"] != built:
            words = f"build {loaded['build_id']} is loaded on {self._remote.name}, not {built}"
            raise self._failed("build id", MismatchError(f"{words}; deploy again"))
        self._found("build id", built)
        found = float(loaded["clock_mhz"])
        if abs(found - wanted) > _REGISTER_TOLERANCE * wanted:
            words = f"the fabric clock of {self._remote.name} is set to {found:g} MHz; the bundle is for {wanted:g}"
            raise self._failed("clock register", ToolRunError(f"{words}; reboot the board, then deploy again"))
        self._found("clock register", f"{found:g} MHz")

    def _compare(self) -> None:
        x, y = self._x, self._y
        found = self.format.decode(self._remote.run(self._words, self.format.output_words))
        wrong = np.flatnonzero((found != y).any(axis=1))
        if len(wrong):
            first = int(wrong[0])
            said = (
                f"{len(wrong)} of {len(x)} golden vectors give other outputs on {self._remote.name}, first vector "
                f"{first}: {found[first].tolist()} instead of {y[first].tolist()} ({GOLDEN_INPUTS} and "
                f"{GOLDEN_OUTPUTS} in the bundle); nothing that it computes is to be trusted"
            )
            lines = [f"vector {i}: {found[i].tolist()} instead of {y[i].tolist()}" for i in wrong[:_SHOWN]]
            raise self._failed("golden vectors", MismatchError(said, "\n".join(lines)))
        self._found("golden vectors", f"{len(x)} of {len(x)} equal, bit for bit")
        assert self._origin is not None
        self.figures |= mismatch_figure(len(x), self._origin)

    def _measure_timing(self) -> None:
        assert self._origin is not None
        repeats = SIMULATED_REPEATS if self._origin.simulated else REPEATS
        latency = self._remote.measure_latency(self._words, repeats)
        self.figures |= timing_figures(latency, self._bundle.manifest, self._origin)
        single, scheduled = latency["single"], self._bundle.manifest["latency_cycles"]
        low, high = single["latency_min"], single["latency_max"]
        if low == high == scheduled:
            self._found("latency", f"{number_of(high, 'cycle')}, as scheduled")
        else:
            self._found("latency", f"{low:,} to {high:,} cycles; {scheduled:,} were scheduled", "warning")
        clock, register = measured_clock(latency), float(latency["clock_mhz"])
        if clock_is_off(latency):
            words = f"THE CLOCK RUNS AT {clock:.4g} MHz, its register says {register:g}; times are of {clock:.4g} MHz"
            self._found("measured clock", words, "warning")
        else:
            self._found("measured clock", f"{clock:.4g} MHz")

    def _measure_power(self) -> None:
        assert self._origin is not None
        if self._origin.simulated:
            self._found("power", "none: a simulation draws none")
            return
        try:
            if self._meter is None and not self._remote.measure_power(self._words, PROBE_SECONDS)["rails"]:
                self._found("power", "none: the board has no sensor, and no --meter was given")
                return
            found = self._power(self._origin)
        except ToolError as error:  # a sensor or a meter that gives nothing; what else was measured stands
            self._found("power", f"none: {error}", "warning")
            return
        self.figures |= found
        for figure in found.values():
            where, difference = figure.details["measures"], figure.details["difference"]
            self._found("power", f"{figure.value:.3g} W ({where}); at work against idle: {difference}")

    def _power(self, origin: Origin) -> dict[str, Figure]:
        frames = max(len(self._words), min(POWER_FRAMES, POWER_BYTES // self._words[0].nbytes))
        batch = np.resize(self._words, (frames, self._words.shape[1]))

        def ask() -> Mapping[str, Any]:
            return self._remote.measure_power(batch, POWER_SECONDS)

        if self._meter is None:
            answer, metered = ask(), None
        else:
            answer, metered = self._meter.measure(ask)
        self.described["power"] = answer
        return power_figures(answer, metered, origin)

    @contextmanager
    def _answered(self) -> Iterator[None]:
        """Turns an answer that lacks what it must have into an error of ours."""
        try:
            yield
        except (KeyError, TypeError, ValueError, ZeroDivisionError) as error:
            raise ToolRunError(
                f"board {self._remote.name}: its answer at {self.at!r} is not as it must be ({error!r}); "
                "set the board up again (docs/boards.md)"
            ) from None

    @contextmanager
    def _stepping(self, name: str) -> Iterator[None]:
        self.at = name
        self._step(name)
        began = time.monotonic()
        try:
            yield
        finally:
            self.seconds[name] = time.monotonic() - began

    def _found(self, name: str, words: str, outcome: Outcome = "ok") -> None:
        check = Check(name, outcome, words)
        self.checks.append(check)
        self._check(check)

    def _failed(self, name: str, error: CodesignError) -> CodesignError:
        self._found(name, str(error), "failed")
        return error


def _golden(bundle: Bundle) -> tuple[HostFormat, NDArray[np.int64], NDArray[np.int64]]:
    """Format and golden vectors, as they must be for each other; BundleError otherwise."""
    try:
        format_ = HostFormat.from_json(bundle.manifest["host_format"])
        x, y = (
            np.asarray(np.load(io.BytesIO(bundle.files[name]), allow_pickle=False), np.int64)
            for name in (GOLDEN_INPUTS, GOLDEN_OUTPUTS)
        )
        format_.encode(x)
        if not len(x) or y.shape != (len(x), format_.output.size):
            raise ValueError(f"inputs of shape {x.shape}, outputs of {y.shape}")
    except (KeyError, ValueError, EOFError, TypeError) as error:
        raise BundleError(f"the bundle has no usable golden vectors: {error}; build it again") from None
    return format_, x, y
