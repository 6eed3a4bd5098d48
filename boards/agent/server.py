"""The agent's operations, and nothing else: hello, put_bundle, load, run, measure_latency, measure_power, reset.

No operation takes a path, an address or a name: bundles are named by their SHA-256, and the folder is the agent's own.
"""

from __future__ import annotations

import math
import os
import platform
import re
import select
import sys
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .archive import sha256
from .device import Device
from .errors import AgentError
from .fabric import Fabric
from .store import Store
from .unpack import unpack
from .wire import MOST_DATA, PROTOCOL, Reader, WireError, Writer, receive, send

MOST_REPEATS = 10_000
MOST_SECONDS = 60.0
IDLE_SECONDS = 900.0
"""Without a request for so long the session ends: a host that lost its power says nothing, and would keep the board."""
Answer = tuple[Mapping[str, Any], bytes]


class Patient:
    """Reads from a pipe whose other end may fall silent; OSError after ``seconds`` without a byte."""

    def __init__(self, pipe: Any, seconds: float) -> None:
        self._pipe, self._seconds = pipe, seconds

    def read(self, size: int, /) -> bytes:
        """At most ``size`` bytes; none at the end."""
        if not select.select([self._pipe], [], [], self._seconds)[0]:
            raise TimeoutError(f"no request for {self._seconds:g} s")
        data: bytes = self._pipe.read(size)
        return data


class Server:
    """One host's session with the board."""

    def __init__(self, store: Store, fabric: Fabric) -> None:
        self._store, self._fabric = store, fabric
        self._device: Device | None = None
        self._operations: dict[str, tuple[dict[str, type], Callable[[Mapping[str, Any], bytes], Answer]]] = {
            "hello": ({}, self._hello),
            "put_bundle": ({"sha256": str}, self._put_bundle),
            "load": ({"sha256": str}, self._load),
            "run": ({}, self._run),
            "measure_latency": ({"repeats": int}, self._measure_latency),
            "measure_power": ({"seconds": float}, self._measure_power),
            "reset": ({}, self._reset),
        }

    def serve(self, requests: Reader, answers: Writer) -> int:
        """Answer until the host goes: 0 where it went between frames, 1 where it broke off or spoke something else."""
        try:
            while (frame := receive(requests)) is not None:
                send(answers, *self.answer(*frame))
        except WireError as error:
            try:
                send(answers, _refusal("request", str(error)))
            except OSError:
                return 1  # the host does not listen any more either
            return 1
        except OSError:
            return 1
        else:
            return 0
        finally:
            self.close()

    def answer(self, header: Mapping[str, Any], data: bytes) -> Answer:
        """The answer to one request; errors are answers too."""
        try:
            operation = header.get("op")
            if not isinstance(operation, str) or operation not in self._operations:
                known = ", ".join(self._operations)
                raise AgentError("request", f"unknown operation {str(operation)[:80]!r}; this agent has: {known}")
            keys, carry_out = self._operations[operation]
            if operation != "hello":
                self._store.lease()
            return carry_out(_arguments(header, keys), data)
        except AgentError as error:
            return _refusal(error.kind, str(error)), b""
        except OSError as error:
            return _refusal("storage", f"the board's system refuses: {error}"), b""
        except MemoryError:
            return _refusal("storage", "the board has too little memory for this; send less at a time"), b""
        except Exception as error:  # noqa: BLE001 - a mistake of ours must not take the board from its user
            return _refusal("internal", f"the agent failed: {type(error).__name__}: {error}; report this"), b""

    def close(self) -> None:
        """Free what the hardware was given, then let go of the board."""
        self._device = None
        self._fabric.close()
        self._store.close()

    def _hello(self, _: Mapping[str, Any], __: bytes) -> Answer:
        values = {
            "protocol": PROTOCOL,
            "python": platform.python_version(),
            "machine": platform.machine(),
            "board": self._fabric.board(),
            "simulated": self._fabric.simulated,
            "versions": dict(self._fabric.versions()),
            "root": os.geteuid() == 0,
            "free_bytes": self._store.free_bytes(),
            "bundles": self._store.bundles(),
            "most_bytes": MOST_DATA,
        }
        return {"ok": True, **values}, b""

    def _put_bundle(self, arguments: Mapping[str, Any], data: bytes) -> Answer:
        digest = _digest(arguments["sha256"])
        if sha256(data) != digest:
            raise AgentError("bundle", f"bundle {digest[:16]} arrived with SHA-256 {sha256(data)[:16]}; send it again")
        unpack(data)
        self._store.put(data)
        return {"ok": True}, b""

    def _load(self, arguments: Mapping[str, Any], _: bytes) -> Answer:
        digest = _digest(arguments["sha256"])
        contents = unpack(self._store.get(digest))
        self._device = None  # whatever becomes of this, the earlier one is gone
        bit = self._store.overlay(contents.bit, contents.hwh)
        self._device = Device.load(self._fabric, contents, bit)
        return {"ok": True, **self._device.description()}, b""

    def _run(self, _: Mapping[str, Any], data: bytes) -> Answer:
        device = self._loaded()
        words = _frames(device, data)
        size = len(words) * device.output_words * device.dtype.itemsize
        if size > MOST_DATA:
            raise AgentError("request", f"{len(words)} frames would give {size} bytes; send fewer at a time")
        return {"ok": True, "frames": len(words)}, device.run(words).tobytes()

    def _measure_latency(self, arguments: Mapping[str, Any], data: bytes) -> Answer:
        device, repeats = self._loaded(), arguments["repeats"]
        if not 1 <= repeats <= MOST_REPEATS:
            raise AgentError("request", f"repeats = {repeats}; it is 1 to {MOST_REPEATS}")
        return {"ok": True, **device.latency(_some_frames(device, data), repeats)}, b""

    def _measure_power(self, arguments: Mapping[str, Any], data: bytes) -> Answer:
        device, seconds = self._loaded(), arguments["seconds"]
        if not (math.isfinite(seconds) and 0 < seconds <= MOST_SECONDS):
            raise AgentError("request", f"seconds = {seconds}; it is above 0, at most {MOST_SECONDS:g}")
        return {"ok": True, **device.power(_some_frames(device, data), seconds)}, b""

    def _reset(self, _: Mapping[str, Any], __: bytes) -> Answer:
        self._loaded().reset()
        return {"ok": True}, b""

    def _loaded(self) -> Device:
        if self._device is None:
            raise AgentError("request", "nothing is loaded on the board; load a bundle first")
        return self._device


def main(arguments: list[str], fabric: Fabric, folder: str) -> int:
    """Serve on stdin and stdout, which from then on nobody else in this process has; gives the exit code.

    One argument, where there is one, is the agent's folder in place of ``folder``.
    """
    import signal
    from pathlib import Path

    requests, answers = os.fdopen(os.dup(0), "rb", buffering=0), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)  # what pynq prints must not be taken for an answer
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, lambda number, _: sys.exit(128 + number))  # so that buffers are freed
    try:
        store = Store(Path(arguments[0] if arguments else folder))
    except AgentError as error:
        send(answers, _refusal(error.kind, str(error)))
        return 2
    return Server(store, fabric).serve(Patient(requests, IDLE_SECONDS), answers)


def _refusal(kind: str, message: str) -> Mapping[str, Any]:
    return {"ok": False, "kind": kind, "message": message[:4000]}


def _arguments(header: Mapping[str, Any], keys: Mapping[str, type]) -> Mapping[str, Any]:
    given = {key: value for key, value in header.items() if key != "op"}
    if set(given) != set(keys):
        raise AgentError("request", f"{header['op']} takes {sorted(keys)}, not {sorted(given)!s:.200}")
    for key, kind in keys.items():
        if type(given[key]) is not kind:
            raise AgentError("request", f"{key} = {given[key]!r:.80} is not of type {kind.__name__}")
    return given


def _digest(text: str) -> str:
    if not re.fullmatch(r"[0-9a-f]{64}", text):
        raise AgentError("request", f"{text[:80]!r} is no SHA-256; bundles have no other names")
    return text


def _frames(device: Device, data: bytes) -> NDArray[Any]:
    """Input words (n, input_words) of raw bytes."""
    size = device.input_words * device.dtype.itemsize
    if len(data) % size:
        raise AgentError("request", f"{len(data)} bytes are no whole number of frames of {size} bytes")
    return np.frombuffer(data, device.dtype).reshape(-1, device.input_words)


def _some_frames(device: Device, data: bytes) -> NDArray[Any]:
    words = _frames(device, data)
    if not len(words):
        raise AgentError("request", "a measurement takes at least one frame; send some")
    return words
