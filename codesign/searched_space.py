"""The space that a study describes: a named one with the study's choices."""

from __future__ import annotations

from codesign.study import Study
from nas.space import Space
from nas.spaces import SPACES


def searched_space(study: Study, inputs: int, outputs: int) -> Space:
    """The space of ``study`` for data of ``inputs`` features and networks of ``outputs`` logits."""
    space = SPACES[study.search.space](inputs, outputs).with_choices(study.space.choices())
    return space.with_tied(study.space.tied())
