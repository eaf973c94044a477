"""`jenga plugins list | show | check | new`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from ..plugins import PluginRecord

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    add_completion=False,
    help="Which plugins are installed, and writing one.",
)
Name = Annotated[str, typer.Argument(help="The plugin's name, as `jenga plugins list` shows it.", show_default=False)]


@app.command("list", epilog="Example: jenga plugins list --json")
def list_(
    json: Annotated[bool, typer.Option("--json", help="One JSON array.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 2 when a plugin cannot be used.")] = False,
) -> None:
    """Every installed plugin, its status and, if need be, why."""
    from os import environ

    from ..plugins import require_usable, scan
    from ..tracing import flag

    records = scan()
    if json:
        from json import dumps

        typer.echo(dumps([_facts(r) for r in records], indent=2))
    else:
        rows = [("PLUGIN", "VERSION", "STATUS", "PROVIDES")]
        rows += [(r.name, f"{r.dist} {r.version}", r.status, r.error or _counts(r)) for r in records]
        widths = [max(len(row[i]) for row in rows) for i in range(3)]
        for row in rows:
            typer.echo(
                "  ".join(cell.ljust(width) for cell, width in zip(row[:3], widths, strict=True)) + "  " + row[3]
            )
    if strict or flag(environ, "JENGA_STRICT_PLUGINS"):
        require_usable(records)


@app.command(epilog="Example: jenga plugins show core")
def show(
    name: Name, json: Annotated[bool, typer.Option("--json", help="One JSON array, a member per claimant.")] = False
) -> None:
    """What one plugin registers, or why it cannot be used."""
    records = _records(name)
    if json:
        from json import dumps

        typer.echo(dumps([_facts(r) for r in records], indent=2))
        return
    from ..answers import WORD

    for record in records:
        typer.echo(f"{record.name}: {record.dist} {record.version}, {record.status}")
        if record.error:
            typer.echo(f"  {record.error}")
        for spec in record.specs:
            typer.echo(f"  {WORD[type(spec)]:<12}  {record.name}/{spec.name:<24}  {spec.summary}")


@app.command(epilog="Example: jenga plugins check core")
def check(name: Name) -> None:
    """Import all that a plugin registers; run the conformance kit.

    The kit needs pytest: pip install "jenga-core[testing]".
    """
    from ..plugins import require_usable
    from .conformance import import_all, run_contract

    records = _records(name)
    require_usable(records)
    for line in import_all(name):
        typer.echo(line)
    raise typer.Exit(run_contract(name))


@app.command(
    epilog="Example: jenga plugins new acme-sonar && pip install -e acme-sonar && jenga plugins check acme-sonar"
)
def new(
    name: Annotated[
        str, typer.Argument(help="Lower-case words joined by '-', such as acme-sonar.", show_default=False)
    ],
    folder: Annotated[Path | None, typer.Argument(help="Where; default: ./NAME.", show_default=False)] = None,
) -> None:
    """Write a new plugin, complete and working.

    A package with a processor, a backbone, an example and tests.
    """
    from shlex import quote

    from ..scaffold import write

    for path in write(name, folder or Path(name)):
        typer.echo(str(path))
    typer.echo(f"Next: pip install -e {quote(str(folder or name))} && jenga plugins check {name}", err=True)


def _records(name: str) -> list[PluginRecord]:
    from ..errors import PluginError, nearest
    from ..plugins import scan

    records = scan()
    found = [r for r in records if r.name == name]
    if not found:
        names = sorted({r.name for r in records})
        raise PluginError(
            f"no plugin {name!r} is installed", allowed=names, nearest=nearest(name, names), next="jenga plugins list"
        )
    return found


def _counts(record: PluginRecord) -> str:
    from collections import Counter

    from ..answers import WORD

    counts = Counter(WORD[type(s)] for s in record.specs)
    words = [f"{n} {word}{'' if n == 1 else 'es' if word.endswith('s') else 's'}" for word, n in counts.items()]
    return ", ".join(words) or "nothing"


def _facts(record: PluginRecord) -> dict[str, Any]:
    from ..answers import WORD

    facts = asdict(record)
    facts["specs"] = [
        {"kind": f"{record.name}/{s.name}", "family": WORD[type(s)]} | {k: _plain(v) for k, v in asdict(s).items()}
        for s in record.specs
    ]
    return facts


def _plain(value: Any) -> Any:
    return sorted(value) if isinstance(value, frozenset) else value
