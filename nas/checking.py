"""The check of a space before anything is searched: every choice gives a network, and is found again in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from codesign.errors import StudyError
from codesign.toml_text import toml_value
from nas.space import Choice, Space


def require_networks(space: Space, usual: Space, places: Mapping[str, str]) -> None:
    """StudyError for a choice that gives no architecture, or one that ``describe`` does not find again.

    Each is tried beside the first choices of all other genes. ``usual`` is the space before it was given other choices:
    one of these is named, where that is to blame. ``places``: where a gene, by key or name, was given them.
    """
    for place, gene in enumerate(space.genes):
        for index in range(len(gene.choices)):
            genome = _with_active(space, place, index)
            if genome is not None and _fault(space, genome):
                raise StudyError(_blame(space, genome, usual, places))


def _with_active(space: Space, place: int, index: int) -> list[int] | None:
    """The first genome in which the gene at ``place`` has that choice and means something; None: there is none."""
    genome = [0] * len(space.genes)
    genome[place] = index
    when = space.genes[place].when
    while when is not None:
        place = next(number for number, gene in enumerate(space.genes) if gene.name == when.gene)
        choices = space.genes[place].choices
        enabling = [number for number, choice in enumerate(choices) if when.holds(choice)]
        if not enabling:
            return None
        genome[place] = enabling[0]
        when = space.genes[place].when
    return genome


def _fault(space: Space, genome: Sequence[int]) -> tuple[str, str] | None:
    """What is wrong with a genome, and what to do about the choice that makes it so; None where nothing is."""
    genome = space.repair(genome)
    try:
        architecture = space.decode(genome)
    except KeyError as error:
        return f"gives no network: it needs {error}, which no gene gives it", "leave it out"
    except Exception as error:  # noqa: BLE001  # a user's ``build`` may raise anything
        failed = f"the code of the space ends with {type(error).__name__}: {error}"
        return f"gives no network: {error if isinstance(error, ValueError) else failed}", "leave it out"
    try:
        found = space.encode(architecture)
    except ValueError:
        found = ()
    return None if found == genome else (f"is not found again in {architecture.words()}", "mend the space's describe")


def _blame(space: Space, genome: Sequence[int], usual: Space, places: Mapping[str, str]) -> str:
    """Which choice makes that genome wrong, and what to do.

    Given choices are taken back for the usual ones, those of the last gene first, until nothing is wrong: the last one
    that was taken back is, whether others are or not. If it is none of them, it is the last gene of which another
    choice helps, and else the space itself.
    """
    own = {gene.name: (gene.choices, index) for gene, index in zip(space.genes, genome, strict=True)}
    both, tried, given = [], [], []
    for place, gene in enumerate(usual.genes):
        choices, index = own.get(gene.name, (gene.choices, 0))  # one that is never active is not in ``space``
        both.append(replace(gene, choices=tuple(dict.fromkeys((*choices, *gene.choices)))))
        tried.append(index)
        given += [place] if choices != gene.choices else []
    wide = replace(usual, genes=tuple(both))
    for place in reversed(given):
        taken = usual.genes[place].choices
        others = [_changed(tried, place, both[place].choices.index(choice)) for choice in taken]
        if helping := [choice for choice, other in zip(taken, others, strict=True) if not _fault(wide, other)]:
            return _at_fault(wide, tried, place, helping, places)
        tried = others[0]
    for place in reversed(space.free):
        numbered = enumerate(space.genes[place].choices)
        if helping := [choice for index, choice in numbered if not _fault(space, _changed(genome, place, index))]:
            return _at_fault(space, genome, place, helping, places)
    fault, active = _fault(space, genome), space.active(genome)
    assert fault
    chosen = [
        f"{gene.name} = {toml_value(gene.choices[index])}" for gene, index in zip(space.genes, genome, strict=True)
    ]
    words = ", ".join(choice for choice, on in zip(chosen, active, strict=True) if on)
    return f"the space {space.name} with {words} {fault[0]}; mend the space"


def _at_fault(
    space: Space, genome: Sequence[int], place: int, helping: Sequence[Choice], places: Mapping[str, str]
) -> str:
    gene, fault = space.genes[place], _fault(space, genome)
    assert fault
    choice, where = toml_value(gene.choices[genome[place]]), places.get(gene.name, places.get(gene.key))
    if where is None:
        return f"the gene {gene.name!r} = {choice} of the space {space.name} {fault[0]}; {fault[1]}"
    others = ", ".join(map(toml_value, helping))
    return f"{choice} in {where} {fault[0]}; {fault[1]}, or take another, such as {others}"


def _changed(genome: Sequence[int], place: int, index: int) -> list[int]:
    return [*genome[:place], index, *genome[place + 1 :]]
