"""Users' own QKeras models from a file."""

from __future__ import annotations

import json
import tempfile
import warnings
import zipfile
from pathlib import Path
from typing import Any

from codesign.errors import ModelError

_HDF5 = b"\x89HDF\r\n\x1a\n"


def load_model(path: Path) -> Any:
    """The Keras 2 model with QKeras layers saved in ``path`` (.keras, .h5); ModelError where it cannot be read."""
    saved_by = _saved_by(path)
    if not saved_by:
        raise ModelError(f"{path} does not say which Keras saved it: save the whole model with model.save('model.h5')")
    if not saved_by.startswith("2."):
        raise ModelError(
            f"{path} was saved by Keras {saved_by}; QKeras models are Keras 2 (tf_keras): save it again from there"
        )
    from .tf import qkeras, quiet_stderr

    try:
        with quiet_stderr(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # deprecations inside QKeras and Keras
            return _from_zip(path) if zipfile.is_zipfile(path) else qkeras.utils.load_qmodel(str(path), compile=False)
    except Exception as error:  # Keras raises whatever its layers raise
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ModelError(f"{path} cannot be loaded as a QKeras model: {reason}") from error


def _from_zip(path: Path) -> Any:
    """What is in a .keras file. Keras hands QActivation a quantizer's configuration, of which it makes nothing."""
    from .tf import keras, qkeras

    custom: dict[str, Any] = {}
    qkeras.utils._add_supported_quantized_objects(custom)
    with tempfile.TemporaryDirectory(prefix="codesign-") as folder, zipfile.ZipFile(path) as archive:
        config = json.loads(archive.read("config.json"))
        for layer in config["config"].get("layers", []):
            if layer["class_name"] == "QActivation":
                layer["config"]["activation"] = _call(layer["config"]["activation"])
        model = keras.saving.deserialize_keras_object(config, custom_objects=custom)
        model.load_weights(archive.extract("model.weights.h5", folder))
    return model


def _call(quantizer: Any) -> Any:
    """A quantizer's configuration as the text that QKeras evaluates, e.g. ``quantized_relu(bits=4, integer=0)``."""
    if not isinstance(quantizer, dict):
        return quantizer
    given = {key: value for key, value in quantizer["config"].items() if value is not None}  # it reads None as a text
    arguments = ", ".join(f"{key}={int(value) if isinstance(value, bool) else value!r}" for key, value in given.items())
    return f"{quantizer['class_name']}({arguments})"


def _saved_by(path: Path) -> str:
    """The Keras version noted in a file."""
    try:
        with path.open("rb") as file:
            start = file.read(len(_HDF5))
        if start == _HDF5:
            return _saved_by_hdf5(path)
        if start.startswith(b"PK"):
            with zipfile.ZipFile(path) as archive:
                return str(json.loads(archive.read("metadata.json"))["keras_version"])
    except FileNotFoundError:
        raise ModelError(f"no such file: {path}") from None
    except (OSError, zipfile.BadZipFile, KeyError, ValueError) as error:
        raise ModelError(f"{path} cannot be read as a Keras model: {error}") from None
    raise ModelError(f"{path} is neither a .keras nor an HDF5 file: save the model with model.save('model.h5')")


def _saved_by_hdf5(path: Path) -> str:
    import h5py

    with h5py.File(path) as file:
        if "model_config" not in file.attrs:
            raise ModelError(f"{path} holds no model, perhaps weights only: save the whole with model.save('model.h5')")
        version = file.attrs.get("keras_version", "")
    return version.decode() if isinstance(version, bytes) else str(version)
