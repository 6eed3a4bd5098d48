"""The host's side of the agent: a child process that speaks frames on its stdin and stdout, usually ssh.

Every operation has a time limit, after which the child and all that it started are killed. Nothing of the host's
is changed by any failure: a new :class:`Remote` may begin at once.
"""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import signal
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from boards.agent.device import BATCHES
from boards.agent.wire import MOST_DATA, PROTOCOL, WireError, receive, send
from codesign.errors import (
    BundleError,
    CodesignError,
    InputError,
    MismatchError,
    StorageError,
    ToolError,
    ToolRunError,
)

SECONDS: Mapping[str, float] = {
    "hello": 30.0, "put_bundle": 60.0, "load": 180.0, "run": 60.0, "measure_latency": 300.0, "measure_power": 60.0,
    "reset": 30.0,
}  # fmt: skip
"""Limit of each operation; data get more by their size, and measurements by what was asked."""
BYTES_PER_SECOND = 200_000
"""Slower than this a link counts as broken."""
END_SECONDS = 5.0
_ERRORS: Mapping[str, type[CodesignError]] = {
    "request": InputError, "busy": ToolError, "bundle": BundleError, "storage": StorageError,
    "mismatch": MismatchError, "timeout": ToolRunError, "hardware": ToolRunError, "environment": ToolError,
    "internal": ToolRunError,
}  # fmt: skip
_AGAIN = "set the board up (docs/boards.md)"
_HINTS = (
    (
        "IDENTIFICATION HAS CHANGED",
        "another board, or a new image? If you know why: ssh-keygen -R {host}, then ssh {name}",
    ),
    ("Host key verification failed", "check the board's key, then connect once by hand: ssh {name}"),
    ("Permission denied (", "the key is not on the board: ssh-copy-id {name}"),
    ("a password is required", f"sudo on the board asks for a password; {_AGAIN}"),
    ("not allowed to", f"sudo on the board refuses; {_AGAIN}"),
    ("Could not resolve", "no such host: correct its name, or use the board's address"),
    ("Connection refused", "the board runs no ssh server: is it booted?"),
    ("timed out", "the board does not answer: is it on, and on this network?"),
    ("No route to host", "the board does not answer: is it on, and on this network?"),
    ("Network is unreachable", "this computer has no way to the board: is it on this network?"),
    ("Connection reset", "the board ended the connection: is it still booting? Try again"),
    ("Connection closed", "the board ended the connection: is it still booting? Try again"),
    ("not found", f"the agent is not on the board; {_AGAIN}"),
    ("No such file", f"the agent is not on the board; {_AGAIN}"),
    ("No space left", "the board's disk is full; make room there"),
)


def ssh_command(host: str, program: Sequence[str]) -> list[str]:
    """The command for ssh that never asks for anything, and notices within 20 seconds that the board is gone.

    ``host``: ``board`` or ``user@board``; user, port and key otherwise come from ssh's own configuration. InputError
    where it is no host. ``program``: what starts the agent on the board, such as ``["sudo", "-n", ...]``.
    """
    if not re.fullmatch(r"([\w.][\w.-]*@)?[A-Za-z0-9][A-Za-z0-9.-]*", host):
        raise InputError(f"{host!r} is no host for ssh; give it as board or user@board")
    options = {
        "BatchMode": "yes", "ConnectTimeout": "10", "ServerAliveInterval": "5", "ServerAliveCountMax": "3",
        "ClearAllForwardings": "yes", "ForwardAgent": "no", "ControlMaster": "no",
    }  # fmt: skip
    return ["ssh", "-T", *(f"-o{key}={value}" for key, value in options.items()), host, "--", shlex.join(program)]


def unusable(name: str, said: str, last: str) -> ToolError | None:
    """The error for a connection that did not come about, by what ssh or sudo said; None for unknown words."""
    host = name.rpartition("@")[2]
    for text, hint in _HINTS:
        if text in said:
            return ToolError(f"cannot use board {name}: {last}; {hint.format(name=name, host=host)}")
    return None


class Remote:
    """A session with the agent that ``command`` starts; ``name`` is the board's in messages.

    Errors of every operation: ToolError where the board cannot be used at all, or someone else uses it; ToolRunError
    where it failed in between or took too long; MismatchError, BundleError, StorageError, InputError as the agent says.
    After ToolError and ToolRunError by a lost connection the session is over.
    """

    def __init__(self, command: Sequence[str], name: str) -> None:
        self.name = name
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the session; a pipe that nobody reads would fill
        try:
            # its own session, so that whatever it starts ends with it
            self._child = subprocess.Popen(
                list(command),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._said,
                start_new_session=True,
            )
        except OSError as error:
            self._said.close()
            raise ToolError(f"cannot start {command[0]!r} for board {name}: {error.strerror}; install it") from None
        self._frame_seconds = 0.0
        self._answered = False
        self._late = False
        self._interrupted = False

    def hello(self) -> dict[str, Any]:
        """What the agent says of board and software; ToolError where it is of another version."""
        found, _ = self._ask("hello")
        if found.get("protocol") != PROTOCOL:
            raise ToolError(
                f"the agent on {self.name} speaks protocol {found.get('protocol')!r}, this version of codesign "
                f"{PROTOCOL}; set the board up again"
            )
        return found

    def put_bundle(self, content: bytes) -> str:
        """Send a bundle, unless the board has it; gives the name to :meth:`load` it by."""
        if len(content) > MOST_DATA:
            raise BundleError(
                f"the bundle has {len(content) >> 20} MiB; the agent on {self.name} takes {MOST_DATA >> 20} MiB"
            )
        digest = hashlib.sha256(content).hexdigest()
        if digest not in self.hello()["bundles"]:
            self._ask("put_bundle", content, sha256=digest)
        return digest

    def load(self, digest: str) -> dict[str, Any]:
        """Program the board; gives build id, clock, words of frames, and ``frame_seconds``, which none exceeds."""
        found, _ = self._ask("load", sha256=digest)
        self._frame_seconds = float(found["frame_seconds"])
        return found

    def run(self, words: NDArray[Any], output_words: int) -> NDArray[Any]:
        """Output words (n, output_words) of input words (n, input_words), as :mod:`hw.host_format` makes them."""
        frame = max(words.shape[1], output_words) * words.dtype.itemsize
        at_once = max(1, MOST_DATA // 4 // frame)
        found = [self._run(words[i : i + at_once], output_words) for i in range(0, len(words), at_once)]
        return np.concatenate(found) if found else np.zeros((0, output_words), words.dtype)

    def measure_latency(self, words: NDArray[Any], repeats: int) -> dict[str, Any]:
        """Cycles of ``repeats`` single frames, cycles and seconds of batches; see :meth:`.Device.latency`."""
        more = self._work(repeats + sum(BATCHES))
        return self._ask("measure_latency", _octets(words), more=more, repeats=repeats)[0]

    def measure_power(self, words: NDArray[Any], seconds: float) -> dict[str, Any]:
        """Watts by rail, idle and at work; see :meth:`.Device.power`."""
        return self._ask(
            "measure_power", _octets(words), more=2 * seconds + self._work(len(words)), seconds=float(seconds)
        )[0]

    def reset(self) -> None:
        """Drop every frame on its way."""
        self._ask("reset")

    def close(self) -> None:
        """End the session; the agent frees the board when its stdin ends, and is killed where it does not."""
        if self._child.returncode is None:
            with suppress(OSError):
                assert self._child.stdin is not None
                self._child.stdin.close()
            try:
                self._child.wait(END_SECONDS)
            except subprocess.TimeoutExpired:
                self._kill()
        self._end()

    def __enter__(self) -> Remote:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _run(self, words: NDArray[Any], output_words: int) -> NDArray[Any]:
        back = len(words) * output_words * words.dtype.itemsize
        answer, data = self._ask("run", _octets(words), more=back / BYTES_PER_SECOND + self._work(len(words)))
        dtype = words.dtype.newbyteorder("<")
        if answer.get("frames") != len(words) or len(data) != back:
            raise self._broken(f"it answered {len(words)} frames with {answer.get('frames')!r} in {len(data)} bytes")
        return np.frombuffer(data, dtype).reshape(len(words), output_words)

    def _work(self, frames: int) -> float:
        """Seconds that so many frames may take the board, one after the other."""
        return 10 * frames * self._frame_seconds

    def _ask(
        self, operation: str, data: bytes = b"", more: float = 0.0, **arguments: Any
    ) -> tuple[dict[str, Any], bytes]:
        """The agent's answer; its refusal as an error."""
        if self._said.closed:
            raise ToolError(f"the session with {self.name} is over; begin a new one")
        if self._interrupted:
            raise self._broken("an operation was interrupted")
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        seconds = SECONDS[operation] + more + len(data) / BYTES_PER_SECOND
        try:
            with self._limited(seconds):
                send(self._child.stdin, {"op": operation, **arguments}, data)
                frame = receive(self._child.stdout)
        except (OSError, WireError) as error:
            raise self._broken(str(error), operation, seconds) from None
        if frame is None:
            raise self._broken("it ended the session", operation, seconds)
        self._answered = True
        answer, found = frame
        if answer.get("ok") is not True:
            kind, message = answer.get("kind"), str(answer.get("message"))
            raise _ERRORS.get(str(kind), ToolRunError)(f"board {self.name}: {message}")
        return answer, found

    @contextmanager
    def _limited(self, seconds: float) -> Iterator[None]:
        """Kills the child after so many seconds: its pipes then end, whichever of them is waited for."""

        def late() -> None:
            self._late = True
            self._kill()

        timer = threading.Timer(seconds, late)
        timer.start()
        try:
            yield
        except BaseException:
            self._interrupted = True  # half a frame may be on its way, or an answer that nobody waits for
            self._kill()
            raise
        finally:
            timer.cancel()
            timer.join()

    def _broken(self, what: str, operation: str = "", seconds: float = 0.0) -> CodesignError:
        """The error for a session that is over, with what the other side said last, and ends it."""
        self._kill()
        self._said.seek(0)
        said = self._said.read()[-4000:].decode("utf-8", "replace").strip()
        self._end()
        last = said.splitlines()[-1][:500] if said else f"exit code {self._child.returncode}"
        if self._late:
            words = f"board {self.name} did not answer {operation} within {seconds:.3g} s; is it still up? ({last})"
            return ToolRunError(words, said)
        if not self._answered:
            unknown = ToolError(f"no agent answers on board {self.name}: {what} ({last})")
            return unusable(self.name, said, last) or unknown
        return ToolRunError(f"the connection to board {self.name} was lost: {what} ({last}); try again", said)

    def _kill(self) -> None:
        if self._child.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(self._child.pid, signal.SIGKILL)

    def _end(self) -> None:
        self._child.wait()
        for stream in (self._child.stdin, self._child.stdout, self._said):
            with suppress(OSError):  # what was not sent cannot be now
                assert stream is not None
                stream.close()


def _octets(words: NDArray[Any]) -> bytes:
    return np.ascontiguousarray(words, words.dtype.newbyteorder("<")).tobytes()
