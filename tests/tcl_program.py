"""A program run by Tcl scripts, such as Vivado, in a real Tcl interpreter: it has a few commands and no others."""

from __future__ import annotations

import contextlib
import tkinter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

# nothing of the system but files
_HIDDEN = ("exec", "socket", "load", "source", "interp", "after", "vwait", "unload", "fconfigure", "pid")


class Refused(Exception):
    """What the program would end with an error for, or what a script of ours may not do."""


@dataclass
class TclProgram:
    """One run in ``folder``; each of ``COMMANDS`` is a method of that name with an underscore before it."""

    folder: Path
    part: str
    release: str = "2024.1"
    output: list[str] = field(default_factory=list)
    say: Callable[[str], None] = lambda text: None
    code: int | None = None
    COMMANDS = ()

    def run(self, script: str) -> int:
        """The exit code; what was printed is in ``output``."""
        tcl = tkinter.Tcl()
        self.evaluate = tcl.eval
        for name in _HIDDEN:
            tcl.eval(f"rename {name} {{}}")
        tcl.eval(
            'proc unknown {name args} { error "invalid command name \\"$name\\"" }'
        )  # none is looked for elsewhere
        tcl.createcommand("stub_call", self._call)
        for name in (*self.COMMANDS, "exit"):
            tcl.eval(f"""proc {name} args {{
                lassign [stub_call {name} {{*}}$args] failed result
                if {{$failed}} {{ error $result }}
                return $result
            }}""")
        tcl.eval("""rename puts tcl_puts
            proc puts args {
                if {[string match file* [lindex $args end-1]]} { return [tcl_puts {*}$args] }
                stub_call puts [lindex $args end]
            }""")
        with contextlib.chdir(self.folder):
            try:
                tcl.eval(script)
            except tkinter.TclError as error:
                if self.code is None:
                    self.output.append(f"ERROR: {error}")
                    return 1
        return self.code or 0

    def _call(self, name: str, *arguments: str) -> tuple[int, str]:
        if name == "puts":
            self.output.append(arguments[0])
            self.say(arguments[0])
            return 0, ""
        if name == "exit":
            self.code = int(arguments[0])
            return 1, "exit"
        try:
            return 0, getattr(self, f"_{name}")(*arguments) or ""
        except Refused as refusal:
            return 1, str(refusal)
        except (TypeError, ValueError, KeyError) as error:  # arguments of another form than is known
            return 1, f"{name} {' '.join(arguments)}: {error!r}"

    @staticmethod
    def _needs(condition, what):
        if not condition:
            raise Refused(f"this needs {what}")


def assert_is(found, wanted):
    if found != wanted:
        raise Refused(f"{found!r} is not {wanted!r}")


def named(kind, thing):
    found, _, name = thing.partition(":")
    assert_is(found, kind)
    return name
