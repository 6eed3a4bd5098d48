"""Parts and boards, read from TOML files: those that come with the package and those a user brings."""

from __future__ import annotations

import functools
import math
import tomllib
from collections.abc import Mapping
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from boards.board import BOARD_KEYS, PS_KEYS, Board, processing_system
from codesign.errors import TargetError, nearest
from codesign.target import Part, Target

FAMILIES = ("xc7", "xcup")
PART_KEYS: Mapping[str, type] = {
    "name": str, "aliases": list, "family": str, "speed_grade": str, "source": str, "resources": dict,
}  # fmt: skip
RESOURCE_KEYS: Mapping[str, type] = dict.fromkeys(("lut", "ff", "bram", "dsp", "uram"), int)
PART_OPTIONAL = {"aliases"}
RESOURCE_OPTIONAL = {"uram"}
BOARD_OPTIONAL = {"ps"}
PS_OPTIONAL = {"preset"}


def load_part(name: str) -> Part:
    """The part of this name or alias, or of this file when the name ends in ``.toml``.

    TargetError for an unknown name, with the nearest ones, and for a file that cannot be used.
    """
    if name.endswith(".toml"):
        return _part(*_user_file(name))[0]
    parts = _parts()
    if name not in parts:
        raise TargetError(f"unknown part {name!r}: {nearest(name, parts)} (your own: the path of its .toml file)")
    return parts[name]


def load_target(board: str | None, part: str | None, clock_mhz: float) -> Target:
    """The target of a study: a board or a bare part (exactly one of them), at this clock.

    The part that a board's file names may be a file too; its path starts from the folder of the board's file.
    """
    if (board is None) == (part is None):
        given = "neither" if board is None else f"board = {board!r} and part = {part!r}"
        raise TargetError(f"give either a board or a part; given: {given}")
    if not (math.isfinite(clock_mhz) and clock_mhz > 0):
        raise TargetError(f"clock_mhz = {clock_mhz:g} is not a clock: give a positive number of MHz")
    if board is None:
        assert part is not None
        return Target(load_part(part), clock_mhz)
    found = load_board(board)
    part = found.part
    if board.endswith(".toml") and part.endswith(".toml"):
        part = str(Path(board).parent / part)
    return Target(load_part(part), clock_mhz, found.name)


def load_board(name: str) -> Board:
    """The board of this name, or of this file when the name ends in ``.toml``; TargetError otherwise."""
    if name.endswith(".toml"):
        return _board(*_user_file(name))
    boards = _boards()
    if name not in boards:
        raise TargetError(f"unknown board {name!r}: {nearest(name, boards)} (your own: the path of its .toml file)")
    return boards[name]


def part_names() -> list[str]:
    """Full names of the parts that come with the package."""
    return sorted({part.name for part in _parts().values()})


def board_names() -> list[str]:
    """Names of the boards that come with the package."""
    return sorted(_boards())


@functools.cache
def _parts() -> dict[str, Part]:
    """Parts by name and by alias."""
    found: dict[str, Part] = {}
    for file in _toml_files("boards.parts"):
        part, aliases = _part(_parse(file.read_bytes(), file.name), file.name)
        for name in (part.name, *aliases):
            assert name not in found, f"two part files claim {name}"
            found[name] = part
    return found


@functools.cache
def _boards() -> dict[str, Board]:
    """Boards by name."""
    boards = (_board(_parse(file.read_bytes(), file.name), file.name) for file in _toml_files("boards"))
    return {board.name: board for board in boards}


def _toml_files(package: str) -> list[Traversable]:
    files = (file for file in resources.files(package).iterdir() if file.name.endswith(".toml"))
    return sorted(files, key=lambda file: file.name)


def _user_file(name: str) -> tuple[dict[str, Any], str]:
    try:
        content = Path(name).read_bytes()
    except OSError as error:
        raise TargetError(f"cannot read {name}: {error.strerror}") from error
    except ValueError as error:  # a NUL in it
        raise TargetError(f"cannot read {name!r}: {error}") from None
    return _parse(content, name), name


def _parse(content: bytes, where: str) -> dict[str, Any]:
    try:
        return tomllib.loads(content.decode("utf-8"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise TargetError(f"{where} is not a TOML file: {error}") from error


def _part(values: Mapping[str, Any], where: str) -> tuple[Part, list[str]]:
    _check(values, PART_KEYS, PART_OPTIONAL, where)
    counts = values["resources"]
    _check(counts, RESOURCE_KEYS, RESOURCE_OPTIONAL, f"{where} [resources]")
    for key, value in counts.items():
        if value < 0:
            raise TargetError(f"{where} [resources]: {key} = {value} is negative")
    if values["family"] not in FAMILIES:
        raise TargetError(f"{where}: unknown family {values['family']!r}: {nearest(values['family'], FAMILIES)}")
    part = Part(values["name"], values["family"], values["speed_grade"], {"uram": 0, **counts})
    return part, values.get("aliases", [])


def _board(values: Mapping[str, Any], where: str) -> Board:
    _check(values, BOARD_KEYS, BOARD_OPTIONAL, where)
    ps = None
    if "ps" in values:
        _check(values["ps"], PS_KEYS, PS_OPTIONAL, f"{where} [ps]")
        ps = processing_system({"preset": {}, **values["ps"]}, f"{where} [ps]")
    return Board(values["name"], values["title"], values["part"], ps)


def _check(values: Mapping[str, Any], keys: Mapping[str, type], optional: set[str], where: str) -> None:
    """Closed schema: every key known, present and of its type."""
    for key in values:
        if key not in keys:
            raise TargetError(f"{where}: unknown key {key!r}: {nearest(key, keys)}")
    for key, kind in keys.items():
        if key not in values:
            if key not in optional:
                raise TargetError(f"{where}: missing key {key!r}")
        elif type(values[key]) is not kind:
            raise TargetError(f"{where}: {key} = {values[key]!r} must be {_KIND_NAMES[kind]}")


_KIND_NAMES = {
    str: "a text", int: "a whole number", float: "a number with a point", list: "a list of texts", dict: "a table",
}  # fmt: skip
