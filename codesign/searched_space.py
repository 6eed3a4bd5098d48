"""The space that a study describes: a named one, or one of the user's, with the study's choices."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from codesign.architecture import Architecture
from codesign.errors import StudyError, nearest
from codesign.schema_space import key_of
from codesign.study import Study
from codesign.toml_text import toml_value
from nas.checking import require_networks
from nas.image_spaces import IMAGE_SPACES, require_room
from nas.space import Choice, Space
from nas.spaces import SPACES

Build = Callable[[Mapping[str, Choice]], Architecture]


def searched_space(study: Study, inputs: int, outputs: int, image: tuple[int, int, int] | None = None) -> Space:
    """The space of ``study`` for data of ``inputs`` features, or images, and networks of ``outputs`` logits.

    Of [space], any but mlp takes what is written. Raises StudyError for a space that cannot be made, and for choices
    that it does not have or that give no network.
    """
    name, usual = study.search.space, _usual(study, inputs, outputs, image)
    _require_genes(study, usual)
    _require_layers(study, usual)
    space = _allowed(study, usual)
    _require_meaning(study, space, usual)
    require_networks(space, usual, _places(study))
    _require_targets_in_budget(study, space)
    if name in IMAGE_SPACES:
        require_room(space)
    space = _tied(study, space)
    return replace(space, build=partial(_network, name, space.build)) if name not in SPACES else space


def space_of_run(study: Study, inputs: int, outputs: int, image: tuple[int, int, int] | None = None) -> Space:
    """The space that a study was searched in, which is not checked again: rules may have come since."""
    return _tied(study, _allowed(study, _usual(study, inputs, outputs, image)))


def _usual(study: Study, inputs: int, outputs: int, image: tuple[int, int, int] | None) -> Space:
    """The space that the study names, with its own choices."""
    name = study.search.space
    if name in SPACES:
        return SPACES[name](inputs, outputs)
    return _of_images(study, image, outputs) if name in IMAGE_SPACES else _users(name, inputs, outputs)


def _allowed(study: Study, usual: Space) -> Space:
    choices = {gene: given for gene, given in study.space.choices().items() if key_of(gene) in study.counting}
    return usual.with_choices({**choices, **study.space.genes})


def _tied(study: Study, space: Space) -> Space:
    return space.with_tied(study.space.tied()) if "per_layer" in study.counting else space


def _given(study: Study) -> dict[str, str]:
    """The gene keys of what the study asks for in [space], by its own; of mlp a default asks for nothing."""
    asked = study.space.unusual() if study.search.space in SPACES else study.counting
    return {key_of(gene): gene for gene in study.space.choices() if key_of(gene) in asked}


def _places(study: Study) -> dict[str, str]:
    """Where the study gives choices of a gene, by the gene's key, or its name."""
    places = {gene: f"space.{key}" for key, gene in _given(study).items()}
    return places | {gene: f"space.genes.{gene}" for gene in study.space.genes}


def _require_genes(study: Study, usual: Space) -> None:
    """StudyError for a key of [space] without a gene in the space, or whose gene is given in ``genes`` as well."""
    known = {gene.key for gene in usual.genes}
    for key, gene in _given(study).items():
        if gene not in known:
            raise StudyError(
                f"space.{key} = {toml_value(getattr(study.space, key))} means nothing in the space {usual.name}, which "
                f"has no gene {gene!r}; leave {key} out (its genes: {', '.join(sorted(known))})"
            )
        if gene in study.space.genes:
            raise StudyError(
                f"space.{key} and space.genes.{gene} both say what that gene may be; leave one of them out"
            )


def _require_layers(study: Study, usual: Space) -> None:
    """StudyError for a ``per_layer`` in a space that has nothing for each layer which that is about."""
    keys = [gene.key for gene in usual.genes]
    if "per_layer" in study.counting and max(map(keys.count, ("width", "activation"))) < 2:
        raise StudyError(
            f"space.per_layer = {toml_value(study.space.per_layer)} means nothing in the space {usual.name}, whose "
            "layers have neither widths nor activations of their own; leave it out"
        )


def _require_meaning(study: Study, space: Space, usual: Space) -> None:
    """StudyError for choices of genes that no network of the space has, such as a target without solved mode."""
    meant = {name for gene in space.genes for name in (gene.key, gene.name)}
    for named, place in _places(study).items():
        if named not in meant:
            key = place.rpartition(".")[2]
            values = study.space.genes[named] if named in study.space.genes else getattr(study.space, key)
            when = next(gene.when for gene in usual.genes if named in (gene.key, gene.name))
            assert when, "only a gene with a condition is left out"
            wanted = f"{'!=' if when.other else '='} {' or '.join(sorted(map(toml_value, when.choices)))}"
            raise StudyError(
                f"{place} = {toml_value(values)} means nothing without {when.gene} {wanted}; allow that as well, "
                f"or leave {key} out"
            )


def _require_targets_in_budget(study: Study, space: Space) -> None:
    """The solver takes all the cycles that a target allows, so that one beyond the budget gives no valid network."""
    budget, clock = study.budget, study.target.clock_mhz
    for target in next((gene.choices for gene in space.genes if gene.key == "target"), ()):
        kind, _, cycles = str(target).partition(" ")
        over = kind == "latency" and budget.latency_us is not None and int(cycles) > budget.latency_us * clock
        slow = kind == "interval" and budget.fps is not None and int(cycles) * budget.fps > 1e6 * clock
        if over or slow:
            limit = f"budget.latency_us = {budget.latency_us}" if over else f"budget.fps = {budget.fps}"
            place = "space.genes.target" if "target" in study.space.genes else "space.target"
            raise StudyError(
                f'{place} = "{target}" at {clock:g} MHz contradicts {limit}: lower it or change the budget'
            )


def _of_images(study: Study, image: tuple[int, int, int] | None, outputs: int) -> Space:
    name = study.search.space
    if image is None:
        raise StudyError(
            f'search.space = "{name}" is for images, and the data have none: give x_train and x_test of shape '
            '(samples, height, width) or (samples, height, width, channels), or search.space = "mlp"'
        )
    return IMAGE_SPACES[name](image, outputs)


def _users(name: str, inputs: int, outputs: int) -> Space:
    where = f'search.space = "{name}"'
    module_name, _, function = name.partition(":")
    try:
        module = importlib.import_module(module_name)
    except Exception as error:  # noqa: BLE001  # a user's module may raise anything
        what = f"{type(error).__name__}: {error}"
        raise StudyError(f"{where}: {module_name} cannot be imported ({what}); is it beside the study?") from None
    if not callable(getattr(module, function, None)):
        own = (key for key, value in vars(module).items() if getattr(value, "__module__", "") == module_name)
        known = [key for key in own if callable(getattr(module, key)) and not key.startswith("_")]
        raise StudyError(f"{where}: {module_name} has no function {function!r}; {nearest(function, known)}")
    try:
        space: Any = getattr(module, function)(inputs, outputs)
    except Exception as error:  # noqa: BLE001
        raise StudyError(f"{where}: {function} ends with {type(error).__name__}: {error}; mend it") from None
    if not isinstance(space, Space):
        raise StudyError(f"{where} gives a {type(space).__name__}; return a nas.space.Space")
    return space


def _network(name: str, build: Build, values: Mapping[str, Choice]) -> Architecture:
    """What a user's ``build`` makes; that each choice gives a network does not say that all combinations do."""
    try:
        return build(values)
    except Exception as error:  # noqa: BLE001
        words = ", ".join(f"{gene} = {toml_value(choice)}" for gene, choice in values.items())
        raise StudyError(
            f'search.space = "{name}" gives no network for {words} ({type(error).__name__}: {error}); let every '
            "combination give one: mend its build, or give a gene a condition (when)"
        ) from None
