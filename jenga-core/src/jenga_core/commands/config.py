"""`jenga check` and `jenga schema`."""

from __future__ import annotations

from typing import Annotated

import typer

from .single import single
from .training import Config, Set


def check(
    config: Config,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Also run one batch: shapes, parameters, time.")] = False,
    set_: Set = None,
) -> None:
    """Validate a configuration against what is installed.

    Keys, kinds, wiring and the files' columns. Without --dry-run no model is built and torch is not imported.

    Example: jenga check soc.yaml --set data.flows.path=new.csv
    """
    from .. import check as checks
    from ..errors import ConfigError, visible
    from ..reading import read
    from ..registry import Registry

    registry = Registry.discover()
    reading = read(config, overrides=set_ or [], registry=registry)
    report = checks.check(reading.config, reading.base, registry, where=reading.origin.where)
    for line in report.lines:
        typer.echo(visible(line))
    if report.problems:
        raise ConfigError(report.problems)
    if not dry_run:
        typer.echo("not looked at: cells, checkpoints and names of metrics (--dry-run does)")
        return
    for line in checks.dry_run(reading.config, reading.base, registry):
        typer.echo(visible(line))


def schema(
    kind: Annotated[
        str | None, typer.Argument(help="One component only, such as core/csv.", show_default=False)
    ] = None,
) -> None:
    """Print the configuration's JSON schema, for editors.

    It knows the options of everything that is installed.

    Example: jenga schema > jenga.schema.json
    """
    from json import dumps

    from .. import reading
    from ..registry import Registry

    typer.echo(dumps(reading.schema(Registry.discover(), kind), indent=2))


check_app = single(check)
schema_app = single(schema)
