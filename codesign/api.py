"""The Python API: what the command line does, as functions on plain values."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from codesign.listener import Listener
from codesign.loop import search as run_search
from codesign.measuring import Measured, measure
from codesign.run import Run, find_run, read_run, run_folder
from codesign.study import Study, load_study, study_of
from quant.prune import prune

__all__ = ["Measured", "Run", "Study", "convert_from_keras_model", "load", "measure", "prune", "search"]


def search(
    study: Study | Mapping[str, Any] | str | Path | None = None,
    *,
    workers: int | None = None,
    cluster: str | None = None,
    listener: Listener | None = None,
) -> Run:
    """Search a study (its file, its sections as a dict, or the default one) in ``runs/NAME``; continues what is there.

    ``cluster``: the address of a dask scheduler whose workers evaluate the candidates, instead of ``workers`` here.
    Returns the finished run. Raises StudyError, DataError, TargetError or RunError for what cannot be used.
    """
    from codesign.doctor import require_tools

    if study is None:
        study = Study()
    elif isinstance(study, str | Path):
        study = load_study(Path(study))
    elif isinstance(study, Mapping):
        study = study_of(study, "study")
    require_tools()
    return run_search(study, run_folder(study), workers=workers, cluster=cluster, listener=listener)


def load(run: str | Path | None = None) -> Run:
    """A run by name or folder (default: the newest), as it is now."""
    return read_run(find_run(None if run is None else str(run)))


def convert_from_keras_model(model: Any, *arguments: Any, **options: Any) -> Any:
    """hls4ml's ``convert_from_keras_model`` for a QKeras model, whichever Keras is installed beside it.

    The same arguments and result; ``backend`` is ``"codesign"`` unless another is given.
    """
    import hls4ml

    from codesign import hls4ml_plugin
    from hw.hls4ml_flow import convert_keras

    if hls4ml_plugin.NAME.lower() not in hls4ml.backends.get_available_backends():  # a path alone has no entry point
        hls4ml_plugin.register(hls4ml.backends.register_backend, hls4ml.writer.writers.register_writer)
    return convert_keras(model, *arguments, **options)
