"""`jenga doctor`."""

from __future__ import annotations

from typing import Annotated

import typer

from .single import single


def doctor(json: Annotated[bool, typer.Option("--json", help="One JSON array.")] = False) -> None:
    """Find what is wrong with this installation, and the cure.

    Example: jenga doctor
    """
    from ..doctor import examine

    findings = examine()
    if json:
        from json import dumps

        typer.echo(dumps([{"name": f.name, "ok": f.ok, "text": f.text, "cure": f.cure} for f in findings], indent=2))
    else:
        for finding in findings:
            typer.echo(f"{'ok  ' if finding.ok else 'BAD '}  {finding.name}: {finding.text}")
            if not finding.ok and finding.cure:
                typer.echo(f"      {finding.cure}")
    raise typer.Exit(0 if all(f.ok for f in findings) else 1)


doctor_app = single(doctor)
