"""The command line: its verbs, what it says to bad input, and its exit codes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from codesign import cli
from codesign.cli import main
from codesign.errors import CodesignError, StorageError
from codesign.study import Study, load_study

ROOT = Path(__file__).resolve().parents[2]
HEAVY = ("tensorflow", "hls4ml", "pymoo", "plotly", "sklearn", "da4ml", "scipy", "numpy")


def command(*arguments, cwd=None, **environment):
    return subprocess.run(
        [sys.executable, "-P", "-m", "codesign", *arguments],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refused(capsys, *arguments):
    """The one message of a call that ends with exit code 2."""
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("codesign: error: ")
    return err.removeprefix("codesign: error: ").removesuffix("\n")


def test_help_names_the_verbs():
    done = command("--help")
    assert done.returncode == 0
    assert done.stdout.startswith("usage: codesign [-h]")
    for verb in ("init", "search", "show", "report", "doctor"):
        assert f"\n    {verb} " in done.stdout


def test_without_a_verb_it_helps():
    done = command()
    assert done.returncode == 2
    assert done.stdout == ""
    assert "\n    search " in done.stderr


def test_unknown_verb():
    done = command("serch")
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("codesign: error: argument VERB: invalid choice: 'serch'")


def test_version():
    assert command("--version").stdout == "codesign 0.1.0\n"


@pytest.mark.parametrize("arguments", [["show"], ["show", "shown", "0"], ["doctor", "--json"], ["init", "new.toml"]])
def test_light_verbs_load_nothing_heavy(searched_folder, tmp_path, arguments):
    (tmp_path / "runs").symlink_to(searched_folder / "runs")
    code = (
        f"import sys; from codesign.cli import main; main({arguments})\n"
        f"print([name for name in {HEAVY} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.splitlines()[-1] == "[]"


def test_init_writes_the_default_study_and_overwrites_nothing(here, capsys):
    assert main(["init"]) == 0
    assert capsys.readouterr().out == "wrote study.toml; edit it, then: python -m codesign search study.toml\n"
    assert load_study(here / "study.toml") == Study()
    for key in Study().flat():
        assert f"{key.split('.')[1]} = " in (here / "study.toml").read_text()
    (here / "study.toml").write_text("mine")
    assert refused(capsys, "init") == (
        "study.toml exists and is not overwritten; give another name: python -m codesign init NAME.toml"
    )
    assert (here / "study.toml").read_text() == "mine"


def test_init_where_nothing_can_be_written(here, capsys):
    assert main(["init", "no/such/x.toml"]) == StorageError.exit_code
    assert capsys.readouterr().err == (
        "codesign: error: cannot write no/such/x.toml: No such file or directory; "
        "give another place: python -m codesign init PATH\n"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "study not found: s.toml; write one with: python -m codesign init s.toml"),
        ("[search\n", "s.toml is not TOML: Expected ']' at the end of a table declaration (at line 1, column 8)"),
        ("[search]\npopulaton = 4\n", "s.toml: unknown key search.populaton = 4; did you mean population?"),
        ("[serch]\n", "s.toml: unknown section [serch]; did you mean search?"),
        ('[search]\nepochs = "20"\n', 's.toml: search.epochs = "20" is not a whole number from 1 to 1000'),
        (
            '[target]\nboard = "pynq-z9"\n',
            "unknown board 'pynq-z9': did you mean pynq-z2 or pynq-z1? (your own: the path of its .toml file)",
        ),
        (
            "[budget]\nlut = 99999\n",
            "budget.lut = 99999 is more than the 53,200 of xc7z020clg400-1; lower it",
        ),
        (
            '[data]\npath = "none.npz"\n',
            "no such file: {here}/none.npz",
        ),
    ],
)
def test_bad_studies(here, capsys, text, message):
    if text is not None:
        (here / "s.toml").write_text(text)
    assert refused(capsys, "search", "s.toml") == message.replace("{here}", str(here))
    assert not (here / "runs").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["show"], "no runs in {here}/runs; start with: python -m codesign search"),
        (["report", "x"], "no run 'x' in {here}/runs; there are none yet; begin: python -m codesign search"),
    ],
)
def test_no_runs(here, capsys, arguments, message):
    assert refused(capsys, *arguments) == message.replace("{here}", str(here))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["show", "shwn"], "no run 'shwn' in {here}/runs; did you mean shown?"),
        (
            ["show", "shown", "xyz"],
            "no candidate 'xyz' in runs/shown; list them with: python -m codesign show shown --all",
        ),
        (["show", "shown", "0", "--follow"], "--follow is for a whole run; leave out the ID '0'"),
        (["show", "shown", "0", "--all"], "--all is for a whole run; leave out the ID '0'"),
    ],
)
def test_bad_runs_and_candidates(searched, capsys, arguments, message):
    assert refused(capsys, *arguments) == message.replace("{here}", str(Path.cwd()))


@pytest.mark.parametrize("count", ["0", "-1", "two", "1.5"])
def test_bad_workers(count):
    done = command("search", f"--workers={count}")
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == (
        f"codesign search: error: argument --workers: {count!r} is not a whole number of at least 1"
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"not a database, but long enough to be looked at" * 40, "/store.sqlite is damaged (file is not a database)"),
        (b"", " holds no search yet; start with: python -m codesign search"),
    ],
)
def test_damaged_store(here, capsys, content, message):
    (here / "runs" / "x").mkdir(parents=True)
    (here / "runs" / "x" / "store.sqlite").write_bytes(content)
    assert refused(capsys, "show").startswith(f"runs/x{message}")


def test_packages_from_two_places_name_the_intruder(here):
    (here / "hw").mkdir()
    (here / "hw" / "__init__.py").touch()
    done = command("doctor", PYTHONPATH=f"{here}{os.pathsep}{ROOT}")
    assert done.returncode == 2
    assert done.stderr == (
        f"codesign: error: another 'hw' stands before codesign's own: {here}/hw instead of {ROOT}/hw; "
        "leave its folder, or take it off PYTHONPATH (scripts/codesign does both)\n"
    )


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (StorageError("full"), 2, "codesign: error: full\n"),
        (CodesignError("odd"), 1, "codesign: error: odd\n"),
        (KeyboardInterrupt(), 130, "codesign: stopped\n"),
    ],
)
def test_errors_become_a_message_and_an_exit_code(monkeypatch, capsys, error, code, said):
    def fail():
        raise error

    monkeypatch.setattr(cli, "require_one_place", fail)
    assert main(["doctor"]) == code
    assert capsys.readouterr().err == said


def test_a_closed_pipe_is_no_error(searched_folder):
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-P", "-m", "codesign", "show", "--json"],
        cwd=searched_folder, env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=writing, stderr=subprocess.PIPE, text=True, check=False,
    )  # fmt: skip
    os.close(writing)
    assert done.returncode == 141
    assert done.stderr == ""
