"""From the old file to the text of the new one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PureWindowsPath

from jenga_core.api import BackboneSpec
from jenga_core.errors import ConfigError, UserError
from jenga_core.reading import read_config
from jenga_core.reading.yaml_lines import parse
from jenga_core.registry import Registry

from .assembly import Table, assemble
from .draft import Draft
from .families import refuse_language_models
from .naming import named, project
from .rows import Place, look
from .sections import Section, label, read_old
from .tasks import FAMILIES, OldTask, backbone_family, read_tasks
from .writing import written


@dataclass(frozen=True)
class Migrated:
    """The new file's text, and what its reader must be told at once."""

    text: str
    warnings: tuple[str, ...]
    left_out: int


def migrate(path: Path, registry: Registry, *, folder: Path) -> Migrated:
    """`folder`: where the new file will lie. ConfigError with all that is wrong or unknown; UserError for files of language
    models. What comes back has been read as a configuration, as far as its kinds are installed."""
    old, draft = read_old(path), Draft()
    refuse_language_models(old)
    place = Place(path.parent, folder, registry)
    name = old.get("project_name", label) or path.stem
    draft.put(("project",), project(name), *([f"was {name!r}"] if project(name) != name else []))
    section = old.section("model")
    family = backbone_family(section, FAMILIES["text"])
    tasks = read_tasks(old, family, draft)
    _stop(old, draft)
    assemble(old, _tables(tasks, place, draft), draft)
    _stop(old, draft)
    content = written(draft, path.name)
    _check(content, draft, registry)
    return Migrated(content, tuple(draft.warnings), len(draft.left_out))


def _stop(old: Section, draft: Draft) -> None:
    """Raise what was found so far; unknown keys count once everything that can be asked for has been."""
    found = [*old.problems, *draft.problems, *(old.unknown() if "train" in draft.values else ())]
    if found:
        raise ConfigError({str(problem): problem for problem in found}.values())


def _tables(tasks: list[OldTask], place: Place, draft: Draft) -> list[Table]:
    """A table for each file; a second one of the same file for another column of texts or another backbone."""
    found: dict[tuple[str, str | None, str], Table] = {}
    files = {}
    for task in tasks:
        family = "table" if task.type == "anomaly" else task.family
        if task.path not in files:
            files[task.path] = look(task.path, place, task.section.where("data_path"), draft)
        key = (task.path, task.text, family)
        if key not in found:
            taken = [table.name for table in found.values()]
            plain = named(PureWindowsPath(task.path).name.partition(".")[0], draft, ("data",), "file")
            name = plain if plain not in taken else f"{plain}_{len(taken) + 1}"
            found[key] = Table(name, files[task.path], family, [])
        found[key].tasks.append(task)
    return list(found.values())


def _check(content: str, draft: Draft, registry: Registry) -> None:
    """The new file must be a configuration. A value that it refuses is named where it stands in the old one."""
    absent = {options["kind"] for options in draft.values["backbones"].values()} - set(registry.specs(BackboneSpec))
    if absent:
        draft.warn(
            f"{', '.join(sorted(absent))} is not installed, so the new file was not checked: pip install jenga-security"
        )
        return
    try:
        read_config(parse(content, "the new file").value, registry=registry)
    except ConfigError as error:
        raise ConfigError([_named_as_before(problem, draft) for problem in error.problems]) from None


def _named_as_before(problem: UserError, draft: Draft) -> UserError:
    where = draft.where(tuple((problem.where or "").split(".")))
    return UserError(problem.what, where=where, allowed=problem.allowed, nearest=problem.nearest)
