"""Study: what to search, where, and within what budget; a closed TOML schema."""

from __future__ import annotations

import hashlib
import json
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
    model_validator,
)
from pydantic.fields import FieldInfo

from codesign.errors import StudyError, nearest
from codesign.place import PROGRAM
from codesign.schema import (
    BoardSection,
    BudgetSection,
    DataSection,
    RobustnessSection,
    SearchSection,
    StopSection,
    StudySection,
    TargetSection,
)
from codesign.schema_space import PRINTED, SpaceSection
from codesign.schema_stages import FinalSection, RungsSection
from codesign.toml_text import toml_value
from nas.objectives import ERRORS, OBJECTIVES
from nas.spaces import SPACES

_OF_OBJECTIVES = ("objectives", "target")
"""Keys whose values name objectives."""


class Study(BaseModel):
    """A whole study; ``Study()`` is the default search. Equal studies have equal digests."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    study: StudySection = StudySection()
    data: DataSection = DataSection()
    target: TargetSection = TargetSection()
    budget: BudgetSection = BudgetSection()
    search: SearchSection = SearchSection()
    rungs: RungsSection = RungsSection()
    final: FinalSection = FinalSection()
    space: SpaceSection = SpaceSection()
    board: BoardSection = BoardSection()
    stop: StopSection = StopSection()
    robustness: RobustnessSection = RobustnessSection()

    @model_validator(mode="after")
    def _sections_agree(self) -> Self:
        longest, whole = max(self.rungs.epochs, default=0), self.search.epochs
        if longest > whole:
            raise ValueError(
                f"rungs.epochs = {toml_value(self.rungs.epochs)} must not exceed search.epochs = {whole}: no rung "
                "trains longer than in full"
            )
        if self.rungs.epochs and not set(self.search.objectives) & set(ERRORS):
            raise ValueError(
                f"rungs.epochs = {toml_value(self.rungs.epochs)} rank by an error, and search.objectives = "
                f'{toml_value(self.search.objectives)} has none; add "error", or leave the rungs out'
            )
        if self.final.epochs is not None and self.final.epochs < whole:
            raise ValueError(
                f"final.epochs = {self.final.epochs} is less than search.epochs = {whole}: training again is in full"
            )
        if self.final.seeds and self.board.hosts:
            raise ValueError(
                f"final.seeds = {self.final.seeds} and board.hosts exclude each other: boards measured other weights; "
                "leave one out"
            )
        return self

    @property
    def name(self) -> str:
        """The run's name."""
        return self.study.name

    @property
    def counting(self) -> frozenset[str]:
        """Keys of [space] that count: all of mlp, whose defaults they have, and of another space those written."""
        return frozenset(SpaceSection.model_fields if self.search.space in SPACES else self.space.model_fields_set)

    @model_serializer(mode="wrap")
    def _as_it_counts(self, dump: SerializerFunctionWrapHandler) -> dict[str, dict[str, Any]]:
        """Without the keys of [space] that do not count, so that it is read as the same study again."""
        values: dict[str, dict[str, Any]] = dump(self)
        if "space" in values:
            values["space"] = {key: value for key, value in values["space"].items() if key in self.counting}
        return values

    def __eq__(self, other: object) -> bool:
        """Whether both ask for the same, however it is written."""
        return isinstance(other, Study) and self.flat() == other.flat()

    def flat(self) -> dict[str, Any]:
        """Every value by its dotted key, in schema order; None: not set."""
        values = self.model_dump()
        return {
            f"{section}.{key}": values[section].get(key)
            for section, model in _sections().items()
            for key in model.model_fields
        }

    @property
    def final_epochs(self) -> int:
        """Epochs of a front member that is trained again."""
        return self.final.epochs or self.search.epochs

    @property
    def compared(self) -> tuple[str, ...]:
        """Quantities that objectives or the target name, some of which are only measured for that."""
        return tuple(dict.fromkeys((*self.search.objectives, *self.stop.target)))

    def digest(self) -> str:
        """SHA-256 over all values, in hex."""
        return hashlib.sha256(json.dumps(self.model_dump(), sort_keys=True).encode()).hexdigest()

    def differences(self, other: Study) -> list[str]:
        """What changes from this study to ``other``, e.g. ``search.generations: 4 -> 6``.

        Between spaces, keys of [space] that only one of them has a value of are left out: the space says more.
        """
        ours, theirs = self.flat(), other.flat()
        changed = [key for key in ours if ours[key] != theirs[key]]
        if self.search.space != other.search.space:
            changed = [key for key in changed if not key.startswith("space.") or None not in (ours[key], theirs[key])]
        return [f"{key}: {_shown(ours[key])} -> {_shown(theirs[key])}" for key in changed]

    def hinders(self, other: Study) -> list[str]:
        """The differences by which ``other`` cannot continue this study's search.

        Boards may come, go and move to another address, but figures with and without boards are not compared.
        """
        moved = bool(self.board.hosts) and bool(other.board.hosts)
        return [words for words in self.differences(other) if not (moved and words.startswith("board.hosts: "))]

    def to_toml(self, *, comments: bool = False) -> str:
        """The study as TOML; with ``comments`` every key has its meaning beside it, also those not set.

        Of [space] it has what counts, with ``comments`` what is written: the rest stands behind a #.
        """
        written = self.space.model_fields_set if comments else self.counting
        blocks = []
        for section, model in _sections().items():
            values = getattr(self, section)
            lines = [f"[{section}]"]
            for key, field in model.model_fields.items():
                value, meaning = getattr(values, key), f"  # {_meaning(field)}" if comments else ""
                shown = toml_value(value) if value is not None else _example(field)
                if value is not None and (section != "space" or key in written):
                    lines.append(f"{key} = {shown}{meaning}")
                elif comments:
                    lines.append(f"# {key} = {shown}{meaning}")
            blocks.append("\n".join(lines))
        return "\n\n".join(blocks) + "\n"


def load_study(path: Path) -> Study:
    """Read a study file that someone wrote; StudyError names the file, the key and the offending value.

    What the study names is found from its folder: data, boards, parts, and the module of a space of the user's.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise StudyError(f"study not found: {path}; write one with: {PROGRAM} init {path}") from None
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise StudyError(f"study {path} cannot be read: {reason}") from None
    study = parse_study(text, str(path))
    written = set(tomllib.loads(text).get("space", {}))
    if study.search.space not in SPACES and written >= PRINTED and (usual := written - study.space.unusual()):
        raise StudyError(
            f"{path}: [space] has every key, as earlier versions wrote them, also with the defaults of mlp, which "
            f"counted for nothing in other spaces: {', '.join(sorted(usual))}; leave out those that you do not mean, "
            "and all of these to continue a run that was begun so"
        )
    data, target, files = study.data, study.target, {}
    if data.path is not None:
        data = data.model_copy(update={"path": _absolute(data.path, path.parent)})
    for key in ("board", "part"):
        if (getattr(target, key) or "").endswith(".toml"):
            files[key] = _absolute(getattr(target, key), path.parent)
    if ":" in study.search.space and (folder := _absolute(".", path.parent)) not in sys.path:
        sys.path.append(folder)  # last: no module there takes the place of another
    return study.model_copy(update={"data": data, "target": target.model_copy(update=files)})


def _absolute(name: str, folder: Path) -> str:
    """The file a study names, so that the study's copy in the run folder means the same one."""
    try:
        return str((folder / Path(name).expanduser()).resolve())
    except (OSError, RuntimeError) as error:  # "~" of an unknown user, links in a circle
        raise StudyError(f"{name} is not the path of a file: {error}; write the whole path") from None


def parse_study(text: str, source: str) -> Study:
    """A study from TOML text; ``source`` names it in errors."""
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise StudyError(f"{source} is not TOML: {error}") from None
    return study_of(values, source)


def study_of(values: Mapping[str, Any], source: str) -> Study:
    """A study from its sections as a dict; ``source`` names it in errors."""
    try:
        return Study.model_validate(values)
    except ValidationError as error:
        raise StudyError(f"{source}: {_explain(error, dict(values))}") from None


def markdown_table() -> str:
    """The reference of all keys, for the documentation."""
    lines = ["| key | default | values | meaning |", "| --- | --- | --- | --- |"]
    for section, values in Study():
        for key, field in type(values).model_fields.items():
            value = getattr(values, key)
            default = f"`{toml_value(value)}`" if value is not None else ""
            lines.append(f"| `{section}.{key}` | {default} | {_extra(field, 'expects')} | {field.description} |")
    return "\n".join(lines) + "\n"


def _explain(error: ValidationError, values: dict[str, Any]) -> str:
    """The first error in our words: the key, its value, and what it should have been."""
    first = error.errors()[0]
    place = first["loc"]
    if not place:
        return str(first["ctx"]["error"])
    section, sections = str(place[0]), _sections()
    if section not in sections:
        return f"unknown section [{section}]; {nearest(section, sections)}"
    if len(place) == 1 and not isinstance(values[section], dict):
        return f"{section} = {toml_value(values[section])} is not a section; write [{section}] above its keys"
    if len(place) == 1:
        return f"{section}.{first['ctx']['error']}"
    key, fields = str(place[1]), sections[section].model_fields
    if key not in fields:
        return f"unknown key {section}.{key} = {toml_value(values[section][key])}; {nearest(key, fields)}"
    said = f"{section}.{key} = {toml_value(values[section][key])} is not {_extra(fields[key], 'expects')}"
    return said + (
        _objective_hint(str(first["input"])) if key in _OF_OBJECTIVES and first["type"] == "literal_error" else ""
    )


def _objective_hint(name: str) -> str:
    """Which objective a figure's name, or a mistyped one, may stand for; empty where none is near."""
    hint = nearest(name, OBJECTIVES)
    return f"; {name!r}: {hint}" if hint.startswith("did") else ""


def _sections() -> dict[str, type[BaseModel]]:
    return {name: type(value) for name, value in Study()}


def _extra(field: FieldInfo, name: str) -> str:
    assert isinstance(field.json_schema_extra, dict)
    return str(field.json_schema_extra[name])


def _meaning(field: FieldInfo) -> str:
    return f"{field.description}; {_extra(field, 'expects')}"


def _example(field: FieldInfo) -> str:
    example = _extra(field, "example")
    return example if example.replace(".", "").isdigit() else toml_value(example)


def _shown(value: Any) -> str:
    return "(not set)" if value is None else toml_value(value)
