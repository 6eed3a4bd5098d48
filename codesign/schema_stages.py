"""The sections of a study about what comes before and after full training: rungs, and the final stage."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from codesign.schema import _key, _Section
from codesign.toml_text import toml_value

SHARE = 0.5
Epochs = Annotated[int, Field(ge=1, le=1000)]


class RungsSection(_Section):
    """[rungs]: short trainings that decide who is trained in full, synthesized and simulated."""

    epochs: tuple[Epochs, ...] = _key(
        (),
        "epochs of each rung's training; none: every candidate is trained in full and synthesized",
        "a list of whole numbers from 1 to 1000, in ascending order",
    )
    share: float = _key(
        SHARE, "share of a rung's candidates that go on, rounded up", "a number from 0.05 to 0.95", ge=0.05, le=0.95
    )

    surrogate: bool = _key(
        False,
        "choose by LUT, FF, Fmax and latency as predicted from the candidates measured so far, not by structure alone",
        "true or false",
    )

    @model_validator(mode="after")
    def _ascending(self) -> Self:
        if list(self.epochs) != sorted(self.epochs):
            raise ValueError(f"epochs = {toml_value(self.epochs)} must ascend: each rung trains longer than the last")
        if not self.epochs and self.share != SHARE:
            raise ValueError(f"share = {self.share} drops nobody without epochs; give them, such as epochs = [2]")
        if not self.epochs and self.surrogate:
            raise ValueError("surrogate = true ranks nobody without epochs; give them, such as epochs = [2]")
        return self


class FinalSection(_Section):
    """[final]: front members trained again when the search is over; only figures of these trainings are reported."""

    seeds: int = _key(
        0,
        "how often each front member is trained and measured again, from other seeds; 0: not at all",
        "a whole number from 0 to 100",
        ge=0,
        le=100,
    )
    epochs: int | None = _key(
        None,
        "passes over the training data then; search.epochs unless set",
        "a whole number from 1 to 10000",
        example="60",
        ge=1,
        le=10000,
    )

    @model_validator(mode="after")
    def _trains(self) -> Self:
        if self.epochs is not None and not self.seeds:
            raise ValueError(f"epochs = {self.epochs} trains nobody with seeds = 0; set seeds, such as seeds = 3")
        return self
