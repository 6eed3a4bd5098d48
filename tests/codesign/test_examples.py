"""Every example in README and docs: Python is run, studies are read, command lines are parsed."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from boards.catalogue import BOARD_KEYS, load_part
from codesign import cli
from codesign.study import parse_study

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
OTHER_ENVIRONMENT = "TensorFlow 2.14"  # its block is run by test_verbatim_notebook.py
COMMAND = "scripts/codesign "


def blocks(page: Path, *languages: str) -> list[str]:
    """Fenced blocks of a page in these languages ("" for none), without those for another environment."""
    found = re.findall(r"^(?:<!-- (.*?) -->\n)?```(\w*)\n(.*?)^```$", page.read_text(), re.DOTALL | re.MULTILINE)
    return [text for mark, language, text in found if language in languages and mark != OTHER_ENVIRONMENT]


def commands(page: Path) -> list[str]:
    """Every ``scripts/codesign ...`` with arguments, in blocks and in running text."""
    lines = [
        line.strip().removeprefix("$ ") for text in blocks(page, "", "sh", "console") for line in text.splitlines()
    ]
    shown = [line.removeprefix(COMMAND) for line in lines if line.startswith(COMMAND)]
    return shown + re.findall(rf"`{COMMAND}([^`]+)`", page.read_text())


def test_the_pages_have_the_examples_that_are_tested() -> None:
    own_model = ROOT / "docs" / "own-model.md"
    assert len(blocks(own_model, "python")) >= 4
    assert "measure mine.h5" in commands(own_model)
    assert {"search", "search study.toml"} <= set(commands(ROOT / "README.md"))


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "python")], ids=lambda page: page.name)
def test_python_runs(page: Path, tmp_path: Path) -> None:
    """A page's blocks are one program, in an empty folder."""
    environment = {key: value for key, value in os.environ.items() if key != "TF_USE_LEGACY_KERAS"}
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(blocks(page, "python"))],
        cwd=tmp_path,
        env={**environment, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    keys = (ROOT / "docs" / "json.md").read_text().partition("## `measure --json`")[2].partition("\n## ")[0]
    for report in tmp_path.glob("*/report.json"):
        assert set(json.loads(report.read_text())) <= set(re.findall(r"`(\w+)`", keys)), "docs/json.md lacks a key"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_toml_is_a_study_a_part_or_a_board(page: Path, tmp_path: Path) -> None:
    for text in blocks(page, "toml"):
        values = tomllib.loads(text)
        if "resources" in values:
            path = tmp_path / "part.toml"
            path.write_text(text)
            load_part(str(path))
        elif "part" in values:
            assert set(values) | {"ps"} == set(BOARD_KEYS)
        else:
            parse_study(text, page.name)


@pytest.mark.parametrize("page", [page for page in PAGES if commands(page)], ids=lambda page: page.name)
def test_command_lines_are_accepted(page: Path) -> None:
    for command in commands(page):
        try:
            cli._parser().parse_args(shlex.split(command, comments=True))
        except SystemExit as ended:
            pytest.fail(f"{page.name}: {COMMAND}{command} ends with {ended.code}")
