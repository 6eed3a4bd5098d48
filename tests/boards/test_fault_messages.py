"""docs/boards.md: every hint is among its symptoms, every symptom is said somewhere, and its notebook lines run."""

from __future__ import annotations

import ast
import re
import sys

import numpy as np
import pytest
from agent_bundles import ROOT, made
from agent_standin import StandinFabric

from boards.remote import _HINTS

PAGE = (ROOT / "docs" / "boards.md").read_text(encoding="utf-8")
TROUBLE = re.findall(r"^## Troubleshooting$(.*?)^## ", PAGE, re.MULTILINE | re.DOTALL)[0]
SOURCES = [*(ROOT / "boards").rglob("*.py"), *(ROOT / "codesign").rglob("*.py")]
SSH = (
    "Could not resolve hostname",
    "(publickey",
    "REMOTE HOST IDENTIFICATION HAS CHANGED",
    *(text for text, _ in _HINTS),
)
"""What ssh and sudo say themselves."""


def said() -> str:
    """Every text in the sources that may be a message, one per line; the parts of f-strings apart.

    Docstrings say nothing to a user, and the first of each pair in _HINTS is what ssh says, not we.
    """
    found = []
    for path in SOURCES:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        silent = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            names = [target.id for target in getattr(node, "targets", ()) if isinstance(target, ast.Name)]
            if "_HINTS" in names and isinstance(node, ast.Assign) and isinstance(node.value, ast.Tuple):
                silent.update(id(hint.elts[0]) for hint in node.value.elts if isinstance(hint, ast.Tuple))
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in silent:
                found.append(node.value)
    return "\n".join(found)


def symptoms() -> list[str]:
    first = [line.split("|")[1] for line in TROUBLE.splitlines() if line.startswith("| ") and "---" not in line]
    return [text for cell in first for text in re.findall(r"`([^`]+)`", cell)]


def test_there_are_symptoms():
    assert len(symptoms()) > 40


@pytest.mark.parametrize("hint", [text for text, _ in _HINTS])
def test_every_hint_is_among_them(hint):
    """And its advice can be followed there."""
    listed = "\n".join(symptoms()).casefold()
    synonyms = {
        "a password is required": "for a password",
        "not allowed to": "refuses",
        "not found": "not on the board",
    }
    synonyms |= {"No such file": "not on the board", "No space left": "the board's disk refuses"}
    synonyms |= {"Permission denied (": "permission denied", "timed out": "timed out"}
    assert synonyms.get(hint, hint).casefold() in listed


def test_every_symptom_is_said_somewhere():
    """By us, or by ssh; "..." stands for what differs."""
    ours = said()
    for symptom in symptoms():
        for part in symptom.split("..."):
            words = part.strip(" .,:;()")
            known = words in ours or any(words in text or text in words for text in SSH)
            assert known, f"nothing says {words!r} of {symptom!r}"


def test_the_notebooks_lines_run(tmp_path, monkeypatch):
    """As they are on the page, but for the bundle's name and the fabric."""
    (block,) = re.findall(r"^```ipython\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    path = tmp_path / "cdg.zip"
    made().bundle.write(path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setitem(sys.modules, "codesign_board", None)  # so that what is imported goes again
    del sys.modules["codesign_board"]
    lines = block.replace("cdg_0123456789abcdef.zip", str(path)).replace(
        ").predict(x)", ", fabric=fabric, folder=folder).predict(x)"
    )
    x = np.random.default_rng(2).normal(0.5, 1.0, (9, 13))
    values = {"x": x, "fabric": StandinFabric(), "folder": tmp_path / "agent"}
    exec(lines.replace("Accelerator(", "found = Accelerator("), values)
    assert values["found"].shape == (9,)
    assert sys.modules["codesign_board"].__file__.startswith(str(path))
    assert block.count("\n") == 3
