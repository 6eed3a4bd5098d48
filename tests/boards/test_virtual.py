"""Virtual boards over the real wire: the agent as real boards run it, real pynq, and the Verilated accelerator."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from virtual_bundles import BOARDS, PYNQ, WORDS, changed, python_with, real, start

from boards.bundle import Bundle
from boards.remote import Remote
from codesign.deployment.virtual_board import virtual_command
from codesign.errors import BundleError, MismatchError, ToolError, ToolRunError

LATENCY_REPEATS = 20


@pytest.mark.parametrize("pynq", PYNQ)
@pytest.mark.parametrize("board", BOARDS)
@pytest.mark.parametrize("word_bits", WORDS)
def test_load_run_and_measure(tmp_path, board, pynq, word_bits):
    """Bit-exact with the integer network, and in the cycles that the manifest promises."""
    made = real(board, word_bits)
    manifest, words = made.bundle.manifest, made.words(700)
    with start(board, made, tmp_path / "agent", pynq=pynq) as remote:
        hello = remote.hello()
        assert (hello["simulated"], hello["versions"]["pynq"]) == (True, pynq)
        assert hello["board"].casefold() == board
        loaded = remote.load(remote.put_bundle(made.content))
        assert loaded["word_bits"] == word_bits
        assert loaded["clock_mhz"] == pytest.approx(manifest["clock_mhz"], rel=1e-6)
        found = made.format.decode(remote.run(words, made.format.output_words))
        assert np.array_equal(found, made.outputs(700))
        measured = remote.measure_latency(words, LATENCY_REPEATS)
    single = measured["single"]
    assert {single[f"latency_{which}"] for which in ("last", "min", "max")} == {manifest["latency_cycles"]}
    assert single["frames_in"] == single["frames_out"] == LATENCY_REPEATS
    assert single["stalls"] == 0
    intervals = [batch["interval_cycles"] for batch in measured["batches"]]
    assert intervals == [None, *[manifest["interval_cycles"]] * 3]
    counted = measured["counted"]
    assert counted["cycles"] / counted["seconds"] / 1e6 == pytest.approx(manifest["clock_mhz"], rel=1e-6)
    largest = measured["batches"][-1]
    cycles = largest["frames"] * manifest["interval_cycles"]
    assert largest["seconds"] * manifest["clock_mhz"] * 1e6 == pytest.approx(cycles, rel=0.02)


def test_more_than_a_burst(tmp_path):
    """A mebibyte goes in one transfer of the DMA; more than 65,536 of these frames take two."""
    made, count = real(), 66_000
    with start("pynq-z1", made, tmp_path / "agent") as remote:
        remote.load(remote.put_bundle(made.content))
        found = made.format.decode(remote.run(made.words(count), made.format.output_words))
    assert np.array_equal(found, made.outputs(count))


def test_a_clock_slower_than_its_registers_say_is_measured(tmp_path):
    made = real()
    with start("pynq-z1", made, tmp_path / "agent", clock_scale=0.8) as remote:
        assert remote.load(remote.put_bundle(made.content))["clock_mhz"] == 100.0
        counted = remote.measure_latency(made.words(8), 5)["counted"]
    assert counted["cycles"] / counted["seconds"] == pytest.approx(80e6)


def test_power_is_measured_by_nothing(tmp_path):
    made = real("zcu104")
    with start("zcu104", made, tmp_path / "agent") as remote:
        remote.load(remote.put_bundle(made.content))
        measured = remote.measure_power(made.words(8), 0.05)
    assert measured["rails"] == {}
    assert measured["frames"] > 0


def test_one_agent_for_each_board(tmp_path):
    made = real()
    with start("pynq-z1", made, tmp_path / "a") as first, start("pynq-z1", made, tmp_path / "a") as second:
        digest = first.put_bundle(made.content)
        with pytest.raises(ToolError, match=r"^board pynq-z1: the board is in use by process \d+ on it; try"):
            second.load(digest)
        with start("pynq-z1", made, tmp_path / "b") as third:
            third.put_bundle(made.content)
        first.close()
        second.load(digest)


def test_a_bundle_for_another_board(tmp_path):
    made = real("zcu104")
    with start("pynq-z1", made, tmp_path / "agent") as remote, pytest.raises(BundleError) as caught:
        remote.load(remote.put_bundle(made.content))
    assert str(caught.value) == "board pynq-z1: the bundle is for board 'zcu104', and this is 'Pynq-Z1'"


def test_a_stale_bitstream_is_noticed(tmp_path):
    """The fabric is what it was, whatever is programmed: only the build id tells."""
    there, other = real(seed=1), real(seed=2)
    with start("pynq-z1", there, tmp_path / "agent") as remote:
        digest = remote.put_bundle(other.content)
        with pytest.raises(MismatchError, match=r"answers after programming, not [0-9a-f]{32}: a stale bitstream"):
            remote.load(digest)
        remote.load(remote.put_bundle(there.content))
        words = there.words(5)
        assert np.array_equal(there.format.decode(remote.run(words, there.format.output_words)), there.outputs(5))


def test_a_bundle_with_a_bitstream_runs_too(tmp_path):
    """As Vivado makes it: its RTL is simulated, whatever is in its .bit."""
    made = real()
    bundle = Bundle({**made.bundle.manifest, "simulation_only": False}, made.bundle.files)
    with start("pynq-z1", made, tmp_path / "agent") as remote:
        remote.load(remote.put_bundle(bundle.content()))


def test_without_tlast_the_wait_ends_and_says_so(tmp_path):
    """The receiver waits for ever, as on a board; the agent does not, and goes on answering."""
    made = changed(real(), {"cdg_accelerator_ip.v": (".m_axis_tlast(m_axis_tlast)", ".m_axis_tlast()")})
    with start("pynq-z1", made, tmp_path / "agent") as remote:
        remote.load(remote.put_bundle(made.content))
        with pytest.raises(ToolRunError) as caught:
            remote.run(made.words(3), made.format.output_words)
        said = r"did not receive all within 2\.0 s; .* took 3 frames and sent 3 .*; every frame left it, so TLAST"
        assert re.search(said, str(caught.value))
        remote.reset()
        assert remote.hello()["board"] == "Pynq-Z1"


def test_results_that_differ_are_seen(tmp_path):
    """What comes back is what the fabric computed, not what was expected of it."""
    made = changed(real(), {"cdg_accelerator_ip.v": (".s_axis_tdata(s_axis_tdata)", ".s_axis_tdata(~s_axis_tdata)")})
    with start("pynq-z1", made, tmp_path / "agent") as remote:
        remote.load(remote.put_bundle(made.content))
        found = made.format.decode(remote.run(made.words(50), made.format.output_words))
    assert not np.array_equal(found, made.outputs(50))


@pytest.mark.parametrize("pynq", PYNQ)
def test_pycparser_3_is_named_as_the_cause(tmp_path, pynq):
    """The real one, before the environment's own: drivers of pynq 3.1 do not import with it; those of 4.0 do again."""
    pycparser = pytest.importorskip("pycparser")
    if not pycparser.__version__.startswith("3."):
        pytest.skip(f"needs pycparser 3 beside the tests; found: {pycparser.__version__}")
    made, package, site = real(), Path(pycparser.__path__[0]), tmp_path / "site"
    for source in (package, next(package.parent.glob("pycparser-3*.dist-info"))):
        shutil.copytree(source, site / source.name)
    python_with(pynq)
    python, *options, program, board, folder = virtual_command("pynq-z1", made.bundle, pynq=pynq, folder=tmp_path / "a")
    shim = f"import runpy, sys; sys.path.insert(0, {str(site)!r}); runpy.run_path({program!r}, run_name='__main__')"
    with Remote([python, *options, "-c", shim, board, folder], "old") as remote:
        assert remote.hello()["versions"]["pycparser"].startswith("3.")
        digest = remote.put_bundle(made.content)
        if pynq.startswith("3."):
            with pytest.raises(ToolError, match=r"reads \.hwh files with 2\.x only: pip install 'pycparser<3'$"):
                remote.load(digest)
        else:
            assert remote.load(digest)["clock_mhz"] == 100.0
