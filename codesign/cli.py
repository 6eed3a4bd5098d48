"""The command line: verbs, their arguments, and errors as one message and an exit code."""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from codesign.errors import CodesignError, InputError
from codesign.place import PROGRAM, require_one_place
from codesign.target import BOARD, CLOCK_MHZ

if TYPE_CHECKING:
    from hw.solver import Goal

_INTERRUPTED = 130
_PIPE_CLOSED = 141
_STUDY = "study.toml"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb; the exit code: 0, 130 after Ctrl-C, or what the error says (2: the input, 3: a tool, ...)."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if not hasattr(options, "verb"):
        parser.print_help(sys.stderr)
        return 2
    try:
        require_one_place()
        code: int = options.verb(options)
        sys.stdout.flush()
    except BrokenPipeError:
        # whoever read the output has seen enough; the interpreter's own flush at exit must not complain either
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _PIPE_CLOSED
    except CodesignError as error:
        print(f"codesign: error: {error}", file=sys.stderr)  # noqa: T201
        return error.exit_code
    except KeyboardInterrupt:
        print("codesign: stopped", file=sys.stderr)  # noqa: T201
        return _INTERRUPTED
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="codesign",
        description="Searches ternary networks for FPGAs by measuring each candidate's own hardware.",
        epilog=f"Results are in runs/NAME below the current folder. Start with: {PROGRAM} search",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"codesign {version()}")
    verbs = parser.add_subparsers(metavar="VERB")

    def verb(name: str, run: object, description: str) -> argparse.ArgumentParser:
        added = verbs.add_parser(name, help=description, description=description, allow_abbrev=False)
        added.set_defaults(verb=run)
        return added

    init = verb("init", _init, "write a study file with every default and a comment on each key")
    init.add_argument("path", nargs="?", type=Path, default=Path(_STUDY), metavar="PATH", help=f"default: {_STUDY}")

    search = verb("search", _search, "search, or continue a search; without a study: digits on a PYNQ-Z1")
    search.add_argument("study", nargs="?", type=Path, metavar="STUDY.toml", help=f"written by: {PROGRAM} init")
    crew = search.add_mutually_exclusive_group()
    crew.add_argument("--workers", type=_count, metavar="N", help="worker processes (default: one per core)")
    crew.add_argument("--cluster", metavar="ADDRESS", help="a dask scheduler instead, e.g. tcp://10.0.0.1:8786")

    show = verb("show", _show, "a run's front and counts, or all that is known of one candidate")
    show.add_argument("run", nargs="?", metavar="RUN", help="name or folder of a run (default: the newest)")
    show.add_argument("id", nargs="?", metavar="ID", help="the first digits of a candidate's id")
    how = show.add_mutually_exclusive_group()
    how.add_argument("--json", action="store_true", help="for programs; the keys are in docs/json.md")
    how.add_argument("--all", action="store_true", help="every candidate of a run, on a line each: status, costs, why")
    how.add_argument("--follow", action="store_true", help="watch a running search until it ends")

    report = verb("report", _report, "write a run's report.html, which opens in any browser, offline")
    report.add_argument("run", nargs="?", metavar="RUN", help="name or folder of a run (default: the newest)")
    report.add_argument("run2", nargs="?", metavar="RUN2", help="a second run, to compare the two")

    measure = verb("measure", _measure, "build, synthesize, time and simulate a QKeras or QONNX model of one's own")
    measure.add_argument(
        "model", metavar="MODEL", help="a .keras, .h5 or .onnx file; or RUN:ID, a run's candidate, for --via"
    )
    where = measure.add_mutually_exclusive_group()
    where.add_argument("--board", metavar="BOARD", help=f"default: {BOARD}")
    where.add_argument("--part", metavar="PART", help="instead of a board: a bare part")
    measure.add_argument("--clock", type=float, default=CLOCK_MHZ, metavar="MHZ", help="default: %(default)g")
    pace = measure.add_mutually_exclusive_group()
    pace.add_argument(
        "--folding", type=_count, metavar="CYCLES",
        help="fold each layer to this initiation interval (default: fully parallel)",
    )  # fmt: skip
    pace.add_argument("--interval", type=_count, metavar="CYCLES", help="find each layer's folding for this interval")
    pace.add_argument("--latency", type=_count, metavar="CYCLES", help="find each layer's folding for this latency")
    pace.add_argument(
        "--fit", type=_percent, metavar="PERCENT", help="as fast as fits this share of the part's LUTs and block RAMs"
    )
    measure.add_argument("--argmax", action="store_true", help="the hardware gives the largest output's place, not all")
    measure.add_argument("--out", type=Path, metavar="DIR", help="keep RTL, golden vectors, README and report here")
    measure.add_argument(
        "--via", default="rtl", metavar="LIST",
        help="other instruments too, with commas: rtl,vivado,vivado-routed,nextpnr,hls,c (default: %(default)s)",
    )  # fmt: skip
    measure.add_argument("--host", metavar="HOST", help="with c: user@board, on whose processor it is timed too")
    measure.add_argument(
        "--submit",
        type=Path,
        metavar="FILE",
        help="write figures without any name here, for you to send us if you like",
    )
    measure.add_argument("--json", action="store_true", help="for programs; the keys are in docs/json.md")

    _add_build(verb)
    _add_board_verbs(verb)

    doctor = verb("doctor", _doctor, "what was found on this machine, and what each missing thing would add")
    doctor.add_argument("--json", action="store_true", help="for programs; the keys are in docs/json.md")
    return parser


def _add_build(verb: Callable[[str, object, str], argparse.ArgumentParser]) -> None:
    description = (
        "make a bitstream, a Vivado IP, RTL, C or hls4ml's project of a candidate, or of a network of one's own"
    )
    build = verb("build", _build, description)
    build.add_argument(
        "run",
        nargs="?",
        metavar="RUN|DIR|MODEL",
        help="a run (default: the newest), the folder of measure --out, or, for c and hls, a .keras, .h5, .onnx file",
    )
    build.add_argument(
        "--pick", metavar="WHICH",
        help="of a run: knee (default), lowest-error, lowest-latency, or the first digits of a candidate's id",
    )  # fmt: skip
    targets = ("bitstream", "ip", "rtl", "c", "hls")
    build.add_argument("--target", choices=targets, default="bitstream", help="default: bitstream")
    build.add_argument(
        "--dry-run", action="store_true", help="for a bitstream: write all that Vivado needs, run nothing"
    )
    build.add_argument(
        "--vectors", type=Path, metavar="X.npy", help="for c: golden vectors of these inputs; may exceed the memory"
    )
    build.add_argument(
        "--format", action="append", default=[], metavar="WHAT=fixed<W,I>",
        help="for c of a MODEL, for what is not ternary: of input, weight, result, LAYER.weight or LAYER.result",
    )  # fmt: skip
    build.add_argument(
        "--data", type=Path, metavar="X.npz", help="with --format: x_test and y_test to report the accuracy on"
    )


def _add_board_verbs(verb: Callable[[str, object, str], argparse.ArgumentParser]) -> None:
    """Those that take a host."""
    deploy = verb("deploy", _deploy, "load a bundle on a board, hold it against its golden vectors, measure it")
    _add_board(deploy)
    deploy.add_argument(
        "--meter", metavar="METER", help="power meter of a board without sensors: csv:PATH or serial:DEVICE[@BAUD]"
    )
    deploy.add_argument("--setup", action="store_true", help="print what to paste on a board before its first use")

    run = verb("run", _run, "run samples of one's own through a bundle on a board")
    _add_board(run)
    run.add_argument(
        "--input", type=Path, required=True, metavar="X.npz", help="x (or x_test): features as in training; y if known"
    )
    run.add_argument("--output", type=Path, metavar="Y.npz", help="write logits, and classes or predicted values, here")


def _add_board(verb: argparse.ArgumentParser) -> None:
    """What `deploy` and `run` have in common."""
    verb.add_argument(
        "subject", nargs="?", metavar="BUNDLE|RUN|DIR",
        help="a bundle, a run (default: the newest), or the folder of measure --out",
    )  # fmt: skip
    verb.add_argument(
        "--host", required=True, metavar="HOST", help="user@board, or virtual:pynq-z1, virtual:zcu104 (simulated)"
    )
    verb.add_argument("--pick", metavar="WHICH", help="of a run, as for build (default: knee)")


def version() -> str:
    """Version of codesign, also from a checkout that is not installed."""
    try:
        return importlib.metadata.version("codesign-fpga")
    except importlib.metadata.PackageNotFoundError:
        import tomllib

        project = Path(__file__).parent.parent / "pyproject.toml"
        return str(tomllib.loads(project.read_text(encoding="utf-8"))["project"]["version"])


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)


def _percent(text: str) -> float:
    try:
        value = float(text.removesuffix("%"))
    except ValueError:
        value = 0.0
    if not 0 < value <= 100:
        raise argparse.ArgumentTypeError(f"{text!r} is not a share of the part: give a number above 0, up to 100")
    return value


def _init(options: argparse.Namespace) -> int:
    from codesign.init import write_study

    write_study(options.path)
    print(f"wrote {options.path}; edit it, then: {PROGRAM} search {options.path}")  # noqa: T201
    return 0


def _search(options: argparse.Namespace) -> int:
    from rich.console import Console

    from codesign.api import search
    from codesign.progress import ProgressDisplay
    from codesign.report.page import write_report
    from codesign.run import run_folder
    from codesign.study import Study, load_study
    from codesign.summary import print_summary
    from codesign.workers import default_workers

    study = Study() if options.study is None else load_study(options.study)
    console = Console()
    workers = None if options.cluster else options.workers or default_workers()
    folder = run_folder(study)
    place, data = study.target.board or study.target.part, study.data.name or study.data.path
    opening = f"study {study.name}: {data} on {place} at {study.target.clock_mhz:g} MHz; results in {folder}"

    class Progress(ProgressDisplay):
        def begun(self, total: int, known: int) -> None:
            self.message(opening)  # not before: the study may turn out to be unusable
            super().begun(total, known)

    with Progress(console, workers) as progress:
        run = search(study, workers=workers, cluster=options.cluster, listener=progress)
    print_summary(run, console)
    console.print(f"report: {write_report(run)}", soft_wrap=True)
    return 0


def _show(options: argparse.Namespace) -> int:
    from codesign import listing, show
    from codesign.run import find_run

    folder = find_run(options.run)
    if options.id is not None and (options.follow or options.all):
        option = "--follow" if options.follow else "--all"
        raise InputError(f"{option} is for a whole run; leave out the ID {options.id!r}")
    if options.follow:
        show.follow(folder)
    elif options.all:
        listing.show_all(folder)
    elif options.id is None:
        show.show_run(folder, as_json=options.json)
    else:
        show.show_candidate(folder, options.id, as_json=options.json)
    return 0


def _report(options: argparse.Namespace) -> int:
    from codesign.report.page import write_comparison, write_report
    from codesign.run import find_run, read_run

    run = read_run(find_run(options.run))
    path = write_report(run) if options.run2 is None else write_comparison(run, read_run(find_run(options.run2)))
    print(path)  # noqa: T201
    return 0


def _measure(options: argparse.Namespace) -> int:
    from codesign.doctor import require_tools

    require_tools()
    from codesign import measured_words
    from codesign.measuring import measure

    via = options.via.split(",")
    with measured_words.announcing() as stage:
        if ":" in options.model and not Path(options.model).exists():
            from codesign.candidate_measuring import measure_candidate

            _require_target_of_run(options)
            result = measure_candidate(
                options.model, via=via, out=options.out, host=options.host, submit=options.submit, stage=stage
            )
        else:
            result = measure(
                options.model, board=options.board, part=options.part, clock_mhz=options.clock, folding=options.folding,
                goal=_goal(options), argmax=options.argmax, out=options.out, via=via, host=options.host,
                submit=options.submit, stage=stage,
            )  # fmt: skip
    measured_words.print_measured(result, options.out, as_json=options.json)
    if options.submit is not None:
        from codesign.submission import require_written

        require_written(options.submit, result.readings)
    return 1 if result.failed else 0


def _require_target_of_run(options: argparse.Namespace) -> None:
    given = ("board", "part", "folding", "interval", "latency", "fit")
    wrong = [f"--{name}" for name in given if getattr(options, name) is not None]
    wrong += ["--clock"] if options.clock != CLOCK_MHZ else []
    wrong += ["--argmax"] if options.argmax else []
    if wrong:
        raise InputError(f"{', '.join(wrong)}: {options.model} is measured as its run built it; leave it out")


def _goal(options: argparse.Namespace) -> Goal | None:
    from hw.solver import Goal

    if options.fit is not None:
        return Goal(share=options.fit / 100)
    if options.interval or options.latency:
        return Goal(interval=options.interval, latency=options.latency)
    return None


def _build(options: argparse.Namespace) -> int:
    from codesign import built_words, exporting
    from codesign.build import build
    from codesign.build_subject import find

    if options.dry_run and options.target != "bitstream":
        raise InputError(f"--dry-run is for a bitstream; --target {options.target} runs nothing anyway: leave it out")
    exporting.require_options(options.target, options.run, options.vectors, options.format, options.data)
    if options.target in exporting.TARGETS:
        given = {"vectors": options.vectors, "formats": options.format, "data": options.data}
        with built_words.phases() as phase:
            exported = exporting.export(options.run, options.pick, options.target, **given, phase=phase)
        built_words.print_exported(exported)
        return 0
    subject = find(options.run, options.pick)
    with built_words.phases() as phase:
        built = build(subject, options.target, dry_run=options.dry_run, phase=phase)
    built_words.print_built(subject, built)
    return 0


def _deploy(options: argparse.Namespace) -> int:
    from codesign.deployment import words as deployed_words
    from codesign.deployment.hosts import setup_block

    if options.setup:
        print(setup_block(options.host), end="")  # noqa: T201
        return 0
    from boards.meters import parse_meter
    from codesign.deployment.keeping import deploy_and_keep
    from codesign.deployment.subject import find_subject

    meter = parse_meter(options.meter) if options.meter is not None else None
    subject = find_subject(options.subject, options.pick, options.host)
    deployed_words.print_opening(subject, options.host)
    with deployed_words.steps() as shown:
        kept = deploy_and_keep(subject, options.host, meter=meter, step=shown.step, check=shown.check)
    deployed_words.print_kept(subject, kept)
    if kept.error is not None:
        raise kept.error
    return 0


def _run(options: argparse.Namespace) -> int:
    from codesign.deployment import words as deployed_words
    from codesign.deployment.running import read_samples, run_on_board, write_outputs
    from codesign.deployment.subject import find_subject
    from codesign.files import require_place

    if options.output is not None:
        require_place(options.output, "--output")
    subject = find_subject(options.subject, options.pick, options.host)
    samples = read_samples(options.input, subject.bundle.manifest)
    deployed_words.print_opening(subject, options.host)
    with deployed_words.steps() as shown:
        ran = run_on_board(subject, options.host, samples, step=shown.step, check=shown.check)
    if options.output is not None:
        write_outputs(options.output, ran, subject.bundle.manifest["class_names"])
    deployed_words.print_ran(subject, ran, len(samples.x), options.output)
    return 0


def _doctor(options: argparse.Namespace) -> int:
    from codesign import doctor

    return doctor.run(as_json=options.json)
