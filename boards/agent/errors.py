"""What the agent says when it will not or cannot do something."""

from __future__ import annotations

KINDS = ("request", "busy", "bundle", "storage", "mismatch", "timeout", "hardware", "environment", "internal")


class AgentError(Exception):
    """``kind`` is one of :data:`KINDS`; the message goes to the host as it is, so it says what to do.

    request: not what the protocol allows. busy: another agent holds the board. bundle: damaged or for another board.
    storage: the board's disk refuses. mismatch: the hardware is not what the bundle says. timeout, hardware: the
    hardware did not answer, or reports an error. environment: the board's own software lacks something. internal: a
    mistake of ours.
    """

    def __init__(self, kind: str, message: str) -> None:
        assert kind in KINDS, kind
        super().__init__(message)
        self.kind = kind
