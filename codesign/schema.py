"""The sections of a study: every key with its default, bounds and meaning; [space] and the stages stand apart."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from codesign.errors import nearest
from codesign.target import BOARD, CLOCK_MHZ, VIRTUAL
from codesign.toml_text import toml_value
from nas.algorithms import DEEPMAKER
from nas.image_spaces import IMAGE_SPACES
from nas.spaces import SPACES
from quant.names import KERAS_FILES

DATASETS = ("digits", *KERAS_FILES)
OPENML = "openml:"
_SHARE = r"^(100(\.0+)?|\d{1,2}(\.\d+)?)%$"
_TEXT = r"^[^\x00]+$"  # no path has a NUL
_HOST = rf"^({VIRTUAL}[\w.-]+|([\w.][\w.-]*@)?[A-Za-z0-9][A-Za-z0-9.-]*)$"
_SPACE = rf"^({'|'.join((*SPACES, *IMAGE_SPACES))}|[A-Za-z_][A-Za-z0-9_.]*:[A-Za-z_][A-Za-z0-9_]*)$"
_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"


def _key(default: Any, meaning: str, expects: str, *, example: str = "", **bounds: Any) -> Any:
    """A field: ``expects`` completes "... is not" in errors; ``example`` is shown where there is no default."""
    return Field(default, description=meaning, json_schema_extra={"expects": expects, "example": example}, **bounds)


def _frozen(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _frozen(inner) for key, inner in value.items()}
    return tuple(value) if isinstance(value, list) else value


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _arrays_are_tuples(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        return {key: _frozen(value) for key, value in values.items()}

    @model_validator(mode="after")
    def _choices_differ(self) -> Self:
        for key in type(self).model_fields:
            values = getattr(self, key)
            if isinstance(values, tuple) and len(set(values)) < len(values) and key != "depth":
                raise ValueError(f"{key} = {toml_value(values)} names the same value twice")
        return self


class StudySection(_Section):
    """[study]: the run."""

    name: str = _key(
        "digits-z1", "names the run: results are in runs/NAME", "a name of letters, digits, . _ -", pattern=_NAME
    )
    seed: int = _key(
        1, "the same seed gives the same search", "a whole number from 0 to 2147483647", ge=0, le=2**31 - 1
    )


class DataSection(_Section):
    """[data]: what is learned."""

    name: str | None = _key(
        None,
        "the dataset; digits when path is not given either",
        f"one of {', '.join(DATASETS)} or openml:NAME",
        example="digits",
        pattern=_TEXT,
    )
    path: str | None = _key(
        None,
        "instead of a name: an .npz file with x_train, y_train, x_test, y_test",
        "the path of an .npz file",
        example="x.npz",
        pattern=_TEXT,
    )
    task: Literal["classification", "regression"] = _key(
        "classification",
        "what the network does; regression needs path, and its error is an RMSE",
        '"classification" or "regression"',
    )
    scale: Literal["minmax", "standard", "none"] = _key(
        "minmax", "how inputs are scaled; fitted on training data only", 'one of "minmax", "standard", "none"'
    )
    validation: float = _key(
        0.2, "share of the training data that selects candidates", "a number from 0.05 to 0.5", ge=0.05, le=0.5
    )

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if self.name is not None and self.path is not None:
            raise ValueError(
                f"name = {toml_value(self.name)} and path = {toml_value(self.path)} exclude each other; give one"
            )
        if self.name is None and self.path is None:
            object.__setattr__(self, "name", "digits")
        elif self.name is not None and self.name not in DATASETS and not self.name.startswith(OPENML):
            hint = nearest(self.name, [*DATASETS, "openml:NAME"])
            raise ValueError(f"name = {toml_value(self.name)} is not a dataset; {hint}")
        return self


class TargetSection(_Section):
    """[target]: where it runs."""

    board: str | None = _key(
        None,
        "the board; pynq-z1 when part is not given either",
        "the name of a board, or the path of its .toml file",
        example="pynq-z1",
        pattern=_TEXT,
    )
    part: str | None = _key(
        None,
        "instead of a board: a bare part",
        "the name of a part, or the path of its .toml file",
        example="xczu7ev-ffvc1156-2-e",
        pattern=_TEXT,
    )
    clock_mhz: float = _key(
        CLOCK_MHZ, "clock that every candidate must reach (PYNQ's default)", "a number from 1 to 1000", ge=1, le=1000
    )

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if self.board is not None and self.part is not None:
            raise ValueError(
                f"board = {toml_value(self.board)} and part = {toml_value(self.part)} exclude each other; give one"
            )
        if self.board is None and self.part is None:
            object.__setattr__(self, "board", BOARD)
        return self


Count = Annotated[int, Field(ge=0)]
Share = Annotated[str, Field(pattern=_SHARE)]
_AMOUNT = 'a share of the part up to "100%", or a whole number'


class BudgetSection(_Section):
    """[budget]: what a candidate may use at most; without a key, all that the part has."""

    lut: Count | Share | None = _key("25%", "look-up tables: share of the part, or a count", _AMOUNT)
    ff: Count | Share | None = _key(None, "flip-flops", _AMOUNT, example="25%")
    bram: Count | Share | None = _key(None, "block RAM tiles of 36 Kb", _AMOUNT, example="10%")
    dsp: Count | Share | None = _key(None, "DSP slices", _AMOUNT, example="0")
    latency_us: float | None = _key(None, "microseconds from input to output", "a number above 0", example="5.0", gt=0)
    fps: float | None = _key(None, "inferences per second, at least", "a number above 0", example="100000.0", gt=0)


Positive = Annotated[float, Field(ge=0)]
ObjectiveName = Literal[
    "error",
    "latency",
    "interval",
    "lut",
    "ff",
    "bram",
    "dsp",
    "share",
    "parameters",
    "bit_operations",
    "toggles",
    "weight_flips",
    "input_noise",
]


class SearchSection(_Section):
    """[search]: how it is searched."""

    space: str = _key(
        "mlp",
        "family of networks",
        '"mlp" (multi-layer perceptrons), "convnet" or "densenet" (both for images), or MODULE:FUNCTION that makes '
        "a space of your own",
        pattern=_SPACE,
    )
    objectives: tuple[ObjectiveName, ...] = _key(
        ("error", "latency", "lut"),
        "what is made small",
        "a list of error, latency, interval, lut, ff, bram, dsp, share, parameters, bit_operations, toggles, "
        "weight_flips, input_noise",
        min_length=1,
    )
    population: int = _key(16, "candidates per generation", "a whole number from 2 to 1000", ge=2, le=1000)
    generations: int = _key(4, "generations, the first included", "a whole number from 1 to 1000", ge=1, le=1000)
    epochs: int = _key(
        20, "passes over the training data per candidate", "a whole number from 1 to 1000", ge=1, le=1000
    )
    batch_size: int = _key(32, "samples per training step", "a whole number from 1 to 65536", ge=1, le=65536)
    algorithm: Literal["nsga2", "deepmaker", "annealing", "random"] = _key(
        "nsga2",
        "how it is searched; deepmaker has defaults of its own",
        'one of "nsga2", "deepmaker", "annealing", "random"',
    )

    @model_validator(mode="after")
    def _preset(self) -> Self:
        if self.algorithm == "deepmaker":
            for key, value in DEEPMAKER.items():
                if key not in self.model_fields_set:
                    object.__setattr__(self, key, value)
        return self


class RobustnessSection(_Section):
    """[robustness]: the faults that the objectives weight_flips and input_noise try."""

    weight_flips: float = _key(
        0.01, "probability of each weight bit to be flipped", "a number from 0 to 0.5", ge=0, le=0.5
    )
    input_noise: float = _key(
        0.1, "normal noise, in standard deviations of each input", "a number from 0 to 10", ge=0, le=10
    )


class StopSection(_Section):
    """[stop]: what ends a search before its last generation; always between two generations."""

    hours: float | None = _key(None, "wall time of the search", "a number above 0", example="8.0", gt=0)
    stalled: int | None = _key(
        None,
        "generations in which the hypervolume, once above 0, grew by less than 0.1 % in all",
        "a whole number from 1 to 1000",
        example="5",
        ge=1,
        le=1000,
    )
    target: dict[ObjectiveName, Positive] = _key(
        {},
        "one candidate that reaches all of these ends the search",
        "a table of objectives and numbers above 0, such as {error = 0.05, lut = 3000}",
    )


Host = Annotated[str, Field(pattern=_HOST)]


class BoardSection(_Section):
    """[board]: boards that measure candidates while the search runs."""

    hosts: tuple[Host, ...] = _key(
        (),
        "boards that measure candidates during the search; none: it runs without boards",
        "a list of hosts: user@board for ssh, or virtual:NAME with the name of a board",
    )
    per_generation: int = _key(
        2,
        "candidates that are built and measured on boards per generation",
        "a whole number from 1 to 1000",
        ge=1,
        le=1000,
    )
