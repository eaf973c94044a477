"""A function as a typer app of one command."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import typer


def single(function: Callable[..., Any]) -> typer.Typer:
    """The app behind a `CommandSpec` whose command has no sub-commands."""
    app = typer.Typer(rich_markup_mode=None, add_completion=False)
    app.command()(function)
    return app
