"""The table of faults in docs/boards.md: every row names tests, and every test it names exists."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "boards.md").read_text(encoding="utf-8")
_TEST = re.compile(r"`(test_\w+\.py)::(test_\w+)`")


def rows(page: str) -> list[tuple[str, str]]:
    """What happens and the tests, of each row of the table."""
    (section,) = re.findall(r"^## Faults$(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL)
    lines = [line for line in section.splitlines() if line.startswith("|")]
    cells = [re.split(r"(?<!\\)\|", line.strip("|")) for line in lines[2:]]
    assert all(len(row) == 3 for row in cells)
    return [(row[0].strip(), row[2]) for row in cells]


def functions_of(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def missing(page: str) -> list[str]:
    """Rows without a test, and tests that are not there."""
    files = {path.name: path for path in (ROOT / "tests").rglob("test_*.py")}
    found = []
    for fault, tests in rows(page):
        named = _TEST.findall(tests)
        left_over = _TEST.sub("", tests).strip(" ,")
        if not named or left_over:
            found.append(f"{fault}: {left_over or 'no test'}")
        found += [
            f"{file}::{test}" for file, test in named if file not in files or test not in functions_of(files[file])
        ]
    return found


def test_every_fault_has_a_test_that_exists():
    assert not missing(PAGE)
    assert len(rows(PAGE)) > 20


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("::test_many_random_frames`", "::test_few_random_frames`", "test_agent_faults.py::test_few_random_frames"),
        ("`test_wire.py::test_every", "`test_wires.py::test_every", "test_wires.py::test_every_truncation_is_noticed"),
        (
            "`test_agent.py::test_a_bundle_for_another_board_is_refused`",
            "by hand",
            "a bundle for another board: by hand",
        ),
        (
            "`test_agent_bundles.py::test_a_bundle_damaged_on_the_disk_is_not_loaded`",
            "",
            "a bundle that decays on the card: no test",
        ),
    ],
)
def test_a_row_without_one_is_noticed(old, new, said):
    assert old in PAGE
    assert missing(PAGE.replace(old, new)) == [said]


@pytest.mark.parametrize(
    "word",
    [
        "fuzz|random", "truncated", "oversized", "wrong hash", "another board", "path traversal", "goes away",
        "SIGKILL", "disk is full", "reboots", "two hosts", "stale", "TLAST", "wait\\(\\)", "pynq 4.0", "pycparser 3",
    ],
)  # fmt: skip
def test_the_faults_that_must_be_there_are(word):
    assert [fault for fault, _ in rows(PAGE) if re.search(word, fault)]
