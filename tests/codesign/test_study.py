from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boards.catalogue import load_target
from boards.remote import ssh_command
from codesign.errors import StudyError
from codesign.study import Study, load_study, markdown_table, parse_study
from codesign.toml_text import toml_value
from nas.spaces import mlp

DEFAULT = """\
[study]
name = "digits-z1"
seed = 1
[data]
name = "digits"
task = "classification"
scale = "minmax"
validation = 0.2
[target]
board = "pynq-z1"
clock_mhz = 100
[budget]
lut = "25%"
[search]
space = "mlp"
objectives = ["error", "latency", "lut"]
population = 16
generations = 4
epochs = 20
[space]
depth = [1, 3]
activation_bits = ["ternary", 2, 3, 4]
mode = ["parallel", "folded"]
"""

BAD = {
    "[serch]": "unknown section [serch]; did you mean search?",
    "search = 1": "search = 1 is not a section; write [search] above its keys",
    "[search]\npopulaton = 3": "unknown key search.populaton = 3; did you mean population?",
    '[search]\npopulation = "many"': 'search.population = "many" is not a whole number from 2 to 1000',
    "[search]\npopulation = true": "search.population = true is not a whole number from 2 to 1000",
    "[search]\npopulation = 1": "search.population = 1 is not a whole number from 2 to 1000",
    "[search]\npopulation = 16.0": "search.population = 16.0 is not a whole number from 2 to 1000",
    '[search]\nobjectives = ["error", "power"]': 'search.objectives = ["error", "power"] is not a list of error, '
    "latency, interval, lut, ff, bram, dsp, share, parameters, bit_operations, toggles, weight_flips, input_noise",
    '[search]\nobjectives = ["val_error", "lut"]': 'search.objectives = ["val_error", "lut"] is not a list of error, '
    "latency, interval, lut, ff, bram, dsp, share, parameters, bit_operations, toggles, weight_flips, input_noise; "
    "'val_error': did you mean error?",
    "[stop]\ntarget = {latency_cycles = 9}": "stop.target = {latency_cycles = 9} is not a table of "
    "objectives and numbers above 0, such as {error = 0.05, lut = 3000}; 'latency_cycles': did you mean latency?",
    "[search]\nobjectives = []": "search.objectives = [] is not a list of error, latency, interval, lut, ff, "
    "bram, dsp, share, parameters, bit_operations, toggles, weight_flips, input_noise",
    "[robustness]\nweight_flips = 0.9": "robustness.weight_flips = 0.9 is not a number from 0 to 0.5",
    '[budget]\nlut = "250%"': 'budget.lut = "250%" is not a share of the part up to "100%", or a whole number',
    "[budget]\nlut = -1": 'budget.lut = -1 is not a share of the part up to "100%", or a whole number',
    "[budget]\nfps = inf": "budget.fps = inf is not a number above 0",
    "[budget]\nlatency_us = nan": "budget.latency_us = nan is not a number above 0",
    '[data]\nname = "digit"': 'data.name = "digit" is not a dataset; did you mean digits?',
    '[data]\nname = "mnist"\npath = "x.npz"': 'data.name = "mnist" and path = "x.npz" exclude each other; give one',
    '[data]\ntask = "ranking"': 'data.task = "ranking" is not "classification" or "regression"',
    "[data]\nvalidation = 0.9": "data.validation = 0.9 is not a number from 0.05 to 0.5",
    '[target]\nboard = "a"\npart = "b"': 'target.board = "a" and part = "b" exclude each other; give one',
    '[data]\nname = "openml:a\\u0000"': 'data.name = "openml:a\\u0000" is not one of digits, mnist, fashion_mnist, '
    "cifar10, cifar100 or openml:NAME",
    '[data]\npath = "a\\u0000b.npz"': 'data.path = "a\\u0000b.npz" is not the path of an .npz file',
    '[data]\npath = ""': 'data.path = "" is not the path of an .npz file',
    '[target]\nboard = "\\u0000"': 'target.board = "\\u0000" is not the name of a board, or the path of its .toml file',
    '[target]\npart = "\\u0000"': 'target.part = "\\u0000" is not the name of a part, or the path of its .toml file',
    "[target]\nclock_mhz = 2024-01-01": "target.clock_mhz = 2024-01-01 is not a number from 1 to 1000",
    '[board]\nhosts = "xilinx@pynq1"': 'board.hosts = "xilinx@pynq1" is not a list of hosts: user@board for ssh, or '
    "virtual:NAME with the name of a board",
    '[board]\nhosts = ["a@b", "a@b"]': 'board.hosts = ["a@b", "a@b"] names the same value twice',
    '[board]\nhosts = ["a b"]': 'board.hosts = ["a b"] is not a list of hosts: user@board for ssh, or virtual:NAME '
    "with the name of a board",
    '[board]\nhosts = ["-oProxyCommand=x"]': 'board.hosts = ["-oProxyCommand=x"] is not a list of hosts: user@board '
    "for ssh, or virtual:NAME with the name of a board",
    '[board]\nhosts = ["virtual:"]': 'board.hosts = ["virtual:"] is not a list of hosts: user@board for ssh, or '
    "virtual:NAME with the name of a board",
    "[board]\nper_generation = 0": "board.per_generation = 0 is not a whole number from 1 to 1000",
    "[space]\ndepth = [3, 1]": "space.depth = [3, 1] must be [fewest, most]",
    "[space]\ndepth = [1, 2, 3]": "space.depth = [1, 2, 3] is not a pair [fewest, most] of whole numbers from 1 to 4",
    "[space]\ndepth = [1, 5]": "space.depth = [1, 5] is not a pair [fewest, most] of whole numbers from 1 to 4",
    "[space]\nwidth = [8, 8]": "space.width = [8, 8] names the same value twice",
    "[space]\nactivation_bits = [5]": 'space.activation_bits = [5] is not a list of "ternary", 2, 3, 4',
    '[space]\nmode = "folded"': 'space.mode = "folded" is not a list of "parallel", "folded", "solved"',
    '[study]\nname = "../x"': 'study.name = "../x" is not a name of letters, digits, . _ -',
    "[space]\nthreshold = [0.2]": "space.threshold = [0.2] is not a list of numbers from 0.3 to 1.5",
    '[space]\nweights = ["quaternary"]': 'space.weights = ["quaternary"] is not a list of "ternary", "binary"',
    "[space]\nlearning_rate = [0]": "space.learning_rate = [0] is not a list of numbers above 0, at most 1",
    "[space]\npruning = [1.0]": "space.pruning = [1.0] is not a list of numbers from 0 to 0.9",
    '[space]\nper_layer = ["depth"]': 'space.per_layer = ["depth"] is not a list of "width", "activation_bits"',
    "[rungs]\nepochs = [4, 2]": "rungs.epochs = [4, 2] must ascend: each rung trains longer than the last",
    "[rungs]\nepochs = [2, 2]": "rungs.epochs = [2, 2] names the same value twice",
    "[rungs]\nepochs = [0]": "rungs.epochs = [0] is not a list of whole numbers from 1 to 1000, in ascending order",
    "[rungs]\nepochs = [2, 21]": "rungs.epochs = [2, 21] must not exceed search.epochs = 20: no rung trains longer "
    "than in full",
    "[rungs]\nsurrogate = true": "rungs.surrogate = true ranks nobody without epochs; give them, such as epochs = [2]",
    "[rungs]\nshare = 0.3": "rungs.share = 0.3 drops nobody without epochs; give them, such as epochs = [2]",
    "[rungs]\nepochs = [2]\nshare = 1.0": "rungs.share = 1.0 is not a number from 0.05 to 0.95",
    '[rungs]\nepochs = [2]\n[search]\nobjectives = ["latency", "lut"]': "rungs.epochs = [2] rank by an error, and "
    'search.objectives = ["latency", "lut"] has none; add "error", or leave the rungs out',
    "[final]\nseeds = -1": "final.seeds = -1 is not a whole number from 0 to 100",
    "[final]\nepochs = 60": "final.epochs = 60 trains nobody with seeds = 0; set seeds, such as seeds = 3",
    "[final]\nseeds = 2\nepochs = 10": "final.epochs = 10 is less than search.epochs = 20: training again is in full",
    '[final]\nseeds = 2\n[board]\nhosts = ["a@b"]': "final.seeds = 2 and board.hosts exclude each other: boards "
    "measured other weights; leave one out",
    "[[space]]\nwidth = [3]": "space = [{width = [3]}] is not a section; write [space] above its keys",
}


def test_the_documented_study_is_the_default():
    assert parse_study(DEFAULT, "x") == Study() == parse_study("", "x")


@pytest.mark.parametrize(("text", "message"), BAD.items(), ids=BAD)
def test_a_bad_study_says_what_is_wrong(tmp_path, text, message):
    path = tmp_path / "study.toml"
    path.write_text(text)
    with pytest.raises(StudyError) as caught:
        load_study(path)
    assert str(caught.value) == f"{path}: {message}"
    assert caught.value.exit_code == 2


def test_a_file_that_is_no_study(tmp_path):
    path = tmp_path / "study.toml"
    with pytest.raises(StudyError, match=rf"^study not found: {path}; write one with: python -m codesign init {path}$"):
        load_study(path)
    with pytest.raises(StudyError, match=rf"^study {tmp_path} cannot be read: Is a directory$"):
        load_study(tmp_path)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(StudyError, match=rf"^study {path} cannot be read: it is not UTF-8 text$"):
        load_study(path)
    path.write_text("[search]\npopulation 3\n")
    expected = f"{path} is not TOML: Expected '=' after a key in a key/value pair (at line 2, column 12)"
    with pytest.raises(StudyError, match=f"^{re.escape(expected)}$"):
        load_study(path)


@pytest.mark.parametrize("comments", [False, True])
def test_toml_round_trip(comments):
    text = '[budget]\nlut = 9000\nfps = 1000.5\n[data]\npath = "/a b\\\\c\\u007f\\"é"\n[target]\npart = "xc7a35t"\n'
    study = parse_study(text, "x")
    assert parse_study(study.to_toml(comments=comments), "x") == study
    assert study.data.path == '/a b\\c\x7f"é'
    assert study.data.name is None
    assert study.target.board is None


@pytest.mark.parametrize("host", ["pynq", "xilinx@pynq1", "xilinx@192.168.2.99", "my.user@board-2.lab"])
def test_hosts_are_those_that_ssh_is_given(host):
    assert parse_study(f'[board]\nhosts = ["{host}", "virtual:zcu104"]', "x").board.hosts == (host, "virtual:zcu104")
    assert host in ssh_command(host, ["true"])


def test_which_boards_measure_does_not_hinder_a_search_that_is_continued():
    none, one, other = (parse_study(f"[board]\nhosts = {hosts}", "x") for hosts in ("[]", '["a@b"]', '["c@d"]'))
    assert one.hinders(other) == []
    assert one.differences(other) == ['board.hosts: ["a@b"] -> ["c@d"]']
    assert none.hinders(one) == ['board.hosts: [] -> ["a@b"]']
    assert one.hinders(none) == ['board.hosts: ["a@b"] -> []']


def test_comments_explain_every_key():
    lines = Study().to_toml(comments=True).splitlines()
    keys = [line.removeprefix("# ").split(" = ")[0] for line in lines if " = " in line]
    assert keys == [key.split(".")[1] for key in Study().flat()]
    assert all("  # " in line for line in lines if " = " in line)
    assert '# ff = "25%"  # flip-flops; a share of the part up to "100%", or a whole number' in lines


def test_examples_of_unset_keys_are_valid_where_they_can_be_set():
    text = Study().to_toml(comments=True).replace("# ff =", "ff =").replace("# bram =", "bram =")
    text = text.replace("# dsp =", "dsp =").replace("# latency_us =", "latency_us =").replace("# fps =", "fps =")
    budget = parse_study(text, "x").budget
    assert (budget.ff, budget.bram, budget.dsp, budget.latency_us, budget.fps) == ("25%", "10%", 0, 5.0, 100000.0)


def test_table_lists_every_key_once():
    rows = [line.split(" | ")[0].strip("| `") for line in markdown_table().splitlines()[2:]]
    assert rows == list(Study().flat())


def test_differences_name_key_and_both_values():
    other = parse_study('[search]\ngenerations = 6\n[budget]\nff = "10%"\n[space]\ndepth = [2, 2]\n', "x")
    assert Study().differences(other) == [
        'budget.ff: (not set) -> "10%"',
        "search.generations: 4 -> 6",
        "space.depth: [1, 3] -> [2, 2]",
    ]
    assert Study().digest() != other.digest()
    assert Study().digest() == parse_study(DEFAULT, "x").digest()


@pytest.mark.parametrize("section, key, file", [  # noqa: PT006
    ("data", "path", "x.npz"), ("target", "board", "x.toml"), ("target", "part", "x.toml"),
])  # fmt: skip
def test_files_are_relative_to_the_study_and_kept_absolute(tmp_path, monkeypatch, section, key, file):
    path = tmp_path / "study.toml"
    monkeypatch.setenv("HOME", "/home/me")
    for written, absolute in (
        (f"sub/{file}", f"{tmp_path}/sub/{file}"),
        (f"/a/{file}", f"/a/{file}"),
        (f"~/{file}", f"/home/me/{file}"),
    ):
        path.write_text(f'[{section}]\n{key} = "{written}"\n')
        assert load_study(path).flat()[f"{section}.{key}"] == absolute


def test_a_path_that_leads_nowhere(tmp_path):
    path = tmp_path / "study.toml"
    path.write_text('[data]\npath = "~no.such.user/x.npz"\n')
    with pytest.raises(
        StudyError, match=r"^~no\.such\.user/x\.npz is not the path of a file: .*; write the whole path$"
    ):
        load_study(path)


def test_names_of_boards_and_parts_are_no_paths(tmp_path):
    path = tmp_path / "study.toml"
    for key, name in (("board", "zcu104"), ("part", "xc7a35t")):
        path.write_text(f'[target]\n{key} = "{name}"\n')
        assert load_study(path).flat()[f"target.{key}"] == name


def test_a_board_and_a_part_beside_the_study_are_found_from_anywhere(tmp_path, monkeypatch):
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "mine.toml").write_text(
        'name = "mine-1"\nfamily = "xc7"\nspeed_grade = "-1"\nsource = "data sheet"\n'
        "[resources]\nlut = 1\nff = 2\nbram = 3\ndsp = 4\n"
    )
    (folder / "board.toml").write_text('name = "desk"\ntitle = "x"\npart = "mine.toml"\nsource = "x"\n')
    monkeypatch.chdir(tmp_path)
    for line, board in (('board = "board.toml"', "desk"), ('part = "mine.toml"', None)):
        (folder / "study.toml").write_text(f"[target]\n{line}\n")
        target = load_study(folder / "study.toml").target
        found = load_target(target.board, target.part, 100.0)
        assert (found.board, found.part.name) == (board, "mine-1")


def test_choices_fit_the_genes_of_the_space():
    space = mlp(64, 10).with_choices(parse_study("[space]\nactivation_bits = [4, 2]", "x").space.choices())
    genes = {gene.name: gene.choices for gene in space.genes}
    assert genes["depth"] == (1, 2, 3)
    assert genes["activation_1"] == ("2", "4")


@given(st.recursive(st.text() | st.integers() | st.booleans(), lambda values: st.lists(values), max_leaves=5))
def test_any_value_is_written_as_toml_reads_it(value):
    import tomllib

    assert tomllib.loads(f"key = {toml_value(value)}")["key"] == value
