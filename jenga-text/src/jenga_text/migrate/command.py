"""`jenga migrate`: a configuration of the project that Jenga follows, as one of Jenga."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from jenga_core.commands.single import single


def migrate(
    old: Annotated[Path, typer.Argument(help="A configuration of Jenga-AI, of either generation; YAML or JSON.")],
    output: Annotated[Path | None, typer.Option(help="The new file, which must not exist; default: stdout.")] = None,
) -> None:
    """Write a configuration of Jenga-AI, the predecessor, as one of Jenga.

    Comments name every key that means something else now or was left out, and why. The data file is looked into if it is there.

    Example: jenga migrate experiment.yaml --output new.yaml && jenga check new.yaml
    """
    from shlex import quote

    from jenga_core.errors import UserError
    from jenga_core.files import publish
    from jenga_core.registry import Registry

    from . import migration

    if output is not None and output.exists():
        raise UserError("exists; nothing was written", where=str(output), next="name a new file")
    folder = old.parent if output is None else output.parent
    found = migration.migrate(old, Registry.discover(), folder=folder)
    for warning in found.warnings:
        typer.echo(f"warning: {warning}", err=True)
    if output is None:
        typer.echo(found.text, nl=False)
        return
    publish(output, found.text.encode())
    typer.echo(str(output))
    typer.echo(
        f"{found.left_out} keys were left out: the file says which. Next: jenga check {quote(str(output))}", err=True
    )


migrate_app = single(migrate)
