"""`jenga init` and `jenga demo`: templates that plugins register."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .single import single

if TYPE_CHECKING:
    from ..registry import Registry

Seed = Annotated[int, typer.Option(help="Seed of the generator: same seed, same bytes.", min=0)]
Rows = Annotated[int | None, typer.Option(help="Rows to generate; default: the template's own.", min=1)]


def init(
    template: Annotated[str | None, typer.Argument(help="A template's name.", show_default=False)] = None,
    folder: Annotated[
        Path | None, typer.Argument(help="New or empty; default: of the template's name.", show_default=False)
    ] = None,
    list_: Annotated[bool, typer.Option("--list", help="Show the templates.")] = False,
    seed: Seed = 0,
    rows: Rows = None,
) -> None:
    """Write a template: a configuration, data and a README.

    Example: jenga init network-threats threats && jenga train threats/config.yaml
    """
    from shlex import quote

    from ..api import ExampleSpec
    from ..errors import UserError
    from ..registry import Registry

    registry = Registry.discover()
    if list_:
        for kind, spec in registry.specs(ExampleSpec).items():
            typer.echo(f"{spec.name:<24}  {spec.summary} ({kind})")
        return
    if template is None:
        raise UserError("a template is needed", next="jenga init --list, then: jenga init TEMPLATE [DIR]")
    folder = folder or Path(registry.example(template).partition("/")[2])
    write_example(registry, template, folder, seed=seed, rows=rows)
    typer.echo(str(folder / "config.yaml"))
    typer.echo(f"Next: jenga train {quote(str(folder / 'config.yaml'))}", err=True)


def demo(
    template: Annotated[str, typer.Argument(help="A template's name; `jenga init --list` shows them.")],
    output: Annotated[
        Path | None, typer.Option(help="Folder; default: the first free of demo-TEMPLATE, -2, ...")
    ] = None,
    rows: Rows = None,
    seed: Seed = 0,
) -> None:
    """Generate, train, evaluate and predict in one command.

    Example: jenga demo network-threats
    """
    from ..registry import Registry

    registry = Registry.discover()
    kind = registry.example(template)
    folder = output or _first_free(f"demo-{kind.partition('/')[2]}")
    write_example(registry, template, folder, seed=seed, rows=rows)
    from .walk import walk

    for line in walk(folder, registry):
        typer.echo(line)


def write_example(registry: Registry, template: str, folder: Path, *, seed: int, rows: int | None) -> None:
    """Write the template into `folder`. `UserError`: the template is unknown, or the folder has something in it."""
    from ..api import ExampleSpec
    from ..errors import UserError

    write = registry.factory(registry.example(template), ExampleSpec)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder} is not empty", next="name a new folder; nothing was written")
    folder.mkdir(parents=True, exist_ok=True)
    write(folder, seed=seed, rows=rows)


def _first_free(name: str) -> Path:
    number, folder = 1, Path(name)
    while folder.exists():
        number += 1
        folder = Path(f"{name}-{number}")
    return folder


init_app = single(init)
demo_app = single(demo)
