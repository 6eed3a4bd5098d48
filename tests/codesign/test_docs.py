"""What the documentation says is checked where a program can check it."""

from __future__ import annotations

import importlib.util
import re
import signal
import tomllib
from pathlib import Path

import pytest

from boards.catalogue import board_names, load_part, load_target
from codesign.measurement import Provenance
from codesign.study import Study, parse_study

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted(DOCS.glob("*.md"))]


def blocks(page: str) -> list[str]:
    return re.findall(r"```toml\n(.*?)```", (DOCS / page).read_text(encoding="utf-8"), re.DOTALL)


def test_the_table_of_keys_is_current():
    spec = importlib.util.spec_from_file_location("study_docs", ROOT / "scripts" / "study_docs.py")
    study_docs = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(study_docs)
    text = (DOCS / "study.md").read_text(encoding="utf-8")
    assert text == study_docs.current(text), "run: .venv/bin/python scripts/study_docs.py"
    for key in Study().flat():
        assert f"| `{key}` |" in text


def test_the_study_shown_is_the_default():
    default, rungs, final, boards = (parse_study(text, "docs/study.md") for text in blocks("study.md"))
    assert default == Study()
    assert rungs.rungs.epochs == (2,)
    assert final.final.seeds == 3
    assert len(boards.board.hosts) == 2


def test_the_part_and_the_board_shown_can_be_used(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    part, by_part, board, by_board = blocks("parts-and-boards.md")
    Path("xc7a50t.toml").write_text(part)
    Path("my-board.toml").write_text(board)
    target = parse_study(by_part, "x").target
    assert load_target(target.board, target.part, 100.0).part.resources["lut"] == 32_600
    target = parse_study(by_board, "x").target
    assert load_target(target.board, target.part, 100.0).part.name == tomllib.loads(part)["name"]


def test_the_boards_and_parts_named_exist():
    text = (DOCS / "parts-and-boards.md").read_text(encoding="utf-8").split("## ")[0]
    named = re.findall(r"`([^`]+)`", text)
    assert set(board_names()) == set(named) & set(board_names())
    for name in set(named) - set(board_names()):
        load_part(name)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for link in re.findall(r"\]\(([^)#]+)", page.read_text(encoding="utf-8")):
        assert link.startswith("https://") or (page.parent / link).exists(), link


def slug(heading: str) -> str:
    """The anchor that Markdown viewers give a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_into_a_page_meet_a_heading(page):
    for link, fragment in re.findall(r"\]\(([^)#:]*)#([^)]+)\)", page.read_text(encoding="utf-8")):
        target = (page.parent / link if link else page).read_text(encoding="utf-8")
        assert fragment in {slug(heading) for heading in re.findall(r"^#+ (.*)$", target, re.MULTILINE)}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_named_exist(page):
    named = re.findall(r"\b(?:codesign|quant|hw|nas|boards|tests|scripts)/[\w/]+\.(?:py|toml|sv)\b", page.read_text())
    missing = [name for name in named if "NAME" not in name and not (ROOT / name).is_file()]
    assert not missing


def test_every_section_of_the_report_is_explained(searched):
    from codesign.report.page import page

    text = (DOCS / "reading-the-report.md").read_text(encoding="utf-8")
    sections = re.findall(r"<h2>(.*?)</h2>", page(searched))
    assert len(sections) > 5
    explained = re.findall(r"^### (.*)$", text, re.MULTILINE)
    optional = {"Trained again", "Rungs", "Boards"} - set(sections)  # this run has none of these
    assert [name for name in explained if name not in optional] == sections
    for provenance in Provenance:
        assert provenance.value in text


def test_exit_codes_are_those_of_the_errors():
    from codesign.errors import CodesignError, InputError, StorageError, ToolError, ToolMissingError

    text = (DOCS / "json.md").read_text(encoding="utf-8")
    codes = {int(code) for code in re.findall(r"^\| (\d+) \|", text, re.MULTILINE)}
    kinds = (CodesignError, InputError, ToolError, ToolMissingError, StorageError)
    assert codes == {0, 128 + signal.SIGINT, 128 + signal.SIGTERM, *(kind.exit_code for kind in kinds)}
