"""The hls4ml backend ``codesign``: hls4ml's own calls give our RTL and our figures.

hls4ml finds it by the entry point ``hls4ml.backends``; nothing of ours needs to be imported::

    hls_model = hls4ml.converters.convert_from_keras_model(model, hls_config=config, backend="codesign")
    hls_model.compile()           # lowers, writes the RTL, holds QKeras against the integer network
    logits = hls_model.predict(x)
    report = hls_model.build()    # synthesizes, times and simulates; every figure with its provenance
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from hls4ml.model.flow import register_flow
from hls4ml.writer.writers import Writer
from numpy.typing import NDArray

from codesign.architecture import Hardware, Mode
from codesign.errors import InputError, ModelError, nearest
from codesign.measuring import Subject, measure_subject, write_project
from codesign.place import require_one_place
from codesign.target import Target
from hw.hls4ml_flow import keras_3, parser_backend
from hw.onnx_check import hold_onnx

NAME = "Codesign"
PART, CLOCK_PERIOD_NS = "xc7z020clg400-1", 10
_STRATEGIES: Mapping[str, Mode] = {"latency": "parallel", "distributed_arithmetic": "parallel", "resource": "folded"}
_WEIGHTED = ("Dense", "Conv1D", "Conv2D", "DepthwiseConv1D", "DepthwiseConv2D")
_SUBJECT = "_codesign_subject"


class CodesignWriter(Writer):  # type: ignore[misc]  # hls4ml is untyped
    """Writes RTL sources, file list, golden vectors and a README into ``output_dir``."""

    def write_hls(self, model: Any) -> None:
        """Write the project."""
        write_project(_subject(model), Path(model.config.get_output_dir()))


class CodesignBackend(parser_backend()):  # type: ignore[misc]
    """hls4ml's side of codesign: ``write``, ``compile``, ``predict``, ``build``."""

    def __init__(self) -> None:
        super().__init__(NAME)
        self._writer_flow = register_flow("write", ["codesign:write_hls"], requires=["codesign:ip"], backend=self.name)

    def get_writer_flow(self) -> Any:
        """The flow that writes."""
        return self._writer_flow

    def create_initial_config(
        self,
        part: str | None = None,
        clock_period: float = CLOCK_PERIOD_NS,
        io_type: str = "io_parallel",
        board: str | None = None,
        **others: Any,
    ) -> dict[str, Any]:
        """The configuration of a conversion; InputError for what this backend cannot honour."""
        _refuse_keras_3_parser()
        if others:
            known = ("part", "board", "clock_period", "io_type")
            key = next(iter(others))
            raise InputError(f"{key} = {others[key]!r} is no option of the codesign backend; {nearest(key, known)}")
        if io_type not in ("io_parallel", "io_stream"):
            raise InputError(
                f"io_type = {io_type!r} is not built; use 'io_parallel' or 'io_stream', which mean the same"
            )
        if part and board:
            raise InputError(f"part = {part!r} and board = {board!r} exclude each other; give one")
        _target(part or PART, board, clock_period)  # what cannot be built is refused now
        config: dict[str, Any] = super().create_initial_config(part or PART, clock_period, Board=board)
        return config

    def compile(self, model: Any) -> None:
        """Lower the model and hold it against QKeras (or ONNX' evaluator); there is no library to load."""
        _subject(model)

    def predict(self, model: Any, x: NDArray[Any]) -> NDArray[np.float32]:
        """Logits (n, outputs) of real inputs (n, ...), by the integer network that the RTL equals bit for bit."""
        return _subject(model).predict(np.asarray(x)).astype(np.float32)

    def build(self, model: Any, csim: bool = False, synth: bool = True, **others: Any) -> dict[str, Any]:
        """Synthesize, time and simulate; the report, also written as ``report.json`` into ``output_dir``.

        ``csim`` holds hls4ml's own C simulation against the integer network as well.
        """
        wanted = [key for key, value in {**others, "synth=False": not synth}.items() if value]
        if wanted:
            raise InputError(f"build({wanted[0]}) is not what this backend does: it synthesizes and simulates its RTL")
        subject = _subject(model)
        if csim and subject.model is None:
            raise InputError("build(csim=True): hls4ml's C simulation is only made of Keras models; leave csim out")
        return measure_subject(subject, out=Path(model.config.get_output_dir()), c_simulation=csim).to_json()


def register(register_backend: Callable[..., None], register_writer: Callable[..., None]) -> None:
    """What hls4ml calls when it loads its plugins."""
    require_one_place()
    register_writer(NAME, CodesignWriter)
    register_backend(NAME, CodesignBackend)


def _subject(model: Any) -> Subject:
    """The network to measure, made from hls4ml's graph once."""
    subject: Subject | None = getattr(model, _SUBJECT, None)
    if subject is None:
        settings = model.config.config
        for key, name in (("InputData", "input_data_tb"), ("OutputPredictions", "output_data_tb")):
            if settings.get(key) is not None:
                raise InputError(f"{name} = {settings[key]!r} is not used: vectors are drawn from the whole range")
        period = float(settings["ClockPeriod"])
        target = _target(settings["Part"], settings.get("Board"), period)
        name = model.config.get_project_name()
        hardware = hardware_of(model)
        keras_model = settings.get("KerasModel")
        if keras_model is not None:
            subject = Subject.from_keras(keras_model, hardware, target, name)
        elif settings.get("OnnxModel") is None:
            raise ModelError("only Keras and ONNX models are built: of others there is no reference to compare with")
        else:
            subject = Subject.from_model_graph(model, hardware, target, name)
            hold_onnx(settings["OnnxModel"], name, subject.graph, subject.vectors())
        setattr(model, _SUBJECT, subject)
    return subject


def hardware_of(model: Any) -> Hardware:
    """Mode and folding from hls4ml's Strategy and ReuseFactor; ModelError where they cannot be honoured.

    ``Latency`` is parallel and has ReuseFactor 1; ``Resource`` is folded, its ReuseFactor the target initiation
    interval of every layer in cycles.
    """
    found = {}
    for layer in model.get_layers():
        if layer.class_name in _WEIGHTED:
            strategy = str(model.config.get_strategy(layer)).lower()
            found[layer.name] = strategy, int(model.config.get_reuse_factor(layer))
    if not found:
        raise ModelError("the model has no layer with weights; there is nothing to build")
    for name, (strategy, reuse) in found.items():
        if strategy not in _STRATEGIES:
            raise ModelError(f"layer {name!r}: Strategy {strategy!r} is not built; {nearest(strategy, _STRATEGIES)}")
        if (_STRATEGIES[strategy] == "parallel") != (reuse == 1):
            raise ModelError(
                f"layer {name!r}: Strategy {strategy!r} with ReuseFactor {reuse} cannot be honoured: "
                "Latency has ReuseFactor 1, Resource more than 1"
            )
    (first, setting), *others = found.items()
    for name, other in others:
        if other != setting:
            raise ModelError(
                f"layer {name!r} has {_said(other)}, layer {first!r} {_said(setting)}: give all layers the same"
            )
    strategy, reuse = setting
    return Hardware(_STRATEGIES[strategy], reuse)


def _said(setting: tuple[str, int]) -> str:
    return f"Strategy {setting[0]!r} and ReuseFactor {setting[1]}"


def _target(part: str, board: str | None, clock_period: float) -> Target:
    from boards.catalogue import load_target

    if not isinstance(clock_period, int | float) or not clock_period > 0:
        raise InputError(f"clock_period = {clock_period!r} is not a positive number of nanoseconds")
    return load_target(board, None if board else part, 1000.0 / clock_period)


def _refuse_keras_3_parser() -> None:
    """Where hls4ml's public call would take its Keras 3 parser for a Keras 2 model, say what works."""
    caller = sys._getframe(2)  # hls4ml: convert_from_keras_model -> create_config -> create_initial_config
    while caller is not None and caller.f_code.co_name != "convert_from_keras_model":
        caller = caller.f_back  # type: ignore[assignment]
    if caller is None or not caller.f_globals.get("__name__", "").startswith("hls4ml."):
        return
    newer, model = keras_3(), caller.f_locals.get("model")
    if newer and not isinstance(model, newer.Model):
        raise InputError(
            f"hls4ml's convert_from_keras_model takes its Keras 3 parser here (Keras {newer.__version__} is "
            "installed), which cannot read a QKeras model; codesign.convert_from_keras_model takes the same arguments"
        )
