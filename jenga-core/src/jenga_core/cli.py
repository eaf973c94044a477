"""The command line: `jenga`, or `python -m jenga_core.cli`.

A command's module is imported when it runs, and its body imports what it needs: `--help` and `plugins list` import no
torch, transformers, pandas or pydantic. Exit status: 0 done, 1 the work failed, 2 the user's input was wrong, 130
interrupted. Progress goes to stderr, results to stdout. `JENGA_DEBUG=1` shows the traceback of an error that is otherwise
one message.
"""

from __future__ import annotations

import os
import sys
from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import partial
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from .api import CommandSpec
from .commands import CORE
from .errors import LINES, JengaError, PluginError, visible


class Commands(TyperGroup):
    """The core's commands and, by name only, those of plugins."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands.update({spec.name: Mounted(spec, partial(_imported, spec.factory)) for spec in CORE})

    def list_commands(self, ctx: Any) -> list[str]:
        return [*self.commands, *sorted(_offered())]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        claims = [] if cmd_name in self.commands else _offered().get(cmd_name)
        if not claims:
            return super().get_command(ctx, cmd_name)
        return Mounted(claims[0][1], partial(_provided, [kind for kind, _ in claims]))


class Mounted(TyperCommand):
    """A command of which the name and the summary are known; its typer app is imported when it runs."""

    def __init__(self, spec: CommandSpec, load: Callable[[], typer.Typer]) -> None:
        super().__init__(spec.name, help=spec.summary, rich_markup_mode=None)
        self.load = load

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        """The context of the real command, whose help and options these are."""
        command = typer.main.get_command(self.load())
        command.params = [p for p in command.params if p.name not in ("install_completion", "show_completion")]
        return command.make_context(info_name, args, parent, **extra)


def _imported(factory: str) -> Any:
    module, _, name = factory.partition(":")
    return getattr(import_module(module), name)


def _provided(kinds: list[str]) -> Any:
    """The app that a plugin provides; only now, as it is to run, are several claimants an error."""
    from .registry import Registry

    if len(kinds) > 1:
        raise PluginError("several plugins provide this command", allowed=kinds, next="JENGA_DISABLE_PLUGINS=...")
    return Registry.discover().factory(kinds[0], CommandSpec)


def _offered() -> dict[str, list[tuple[str, CommandSpec]]]:
    """Sub-commands of plugins: name -> (kind, spec) of each plugin that has one of that name."""
    from .plugins import scan

    found: dict[str, list[tuple[str, CommandSpec]]] = defaultdict(list)
    for record in scan():
        for spec in record.specs:
            if isinstance(spec, CommandSpec):
                found[spec.name].append((f"{record.name}/{spec.name}", spec))
    return found


app = typer.Typer(
    name="jenga",
    cls=Commands,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Train, judge and run models over text, tables, audio, images and language models, through plugins.",
    epilog="Begin with: jenga init --list",
)


def _version(wanted: bool) -> None:
    if wanted:
        from . import __version__

        typer.echo(f"jenga {__version__}")
        raise typer.Exit()


@app.callback()
def jenga(version: bool = typer.Option(False, "--version", is_eager=True, callback=_version, help="Print it.")) -> None:
    pass


def main(args: Sequence[str] | None = None) -> None:
    """Run and exit. A `JengaError` is printed to stderr without a traceback and gives its own exit status."""
    # OpenMP threads that spin while they wait make small CPU models several times slower on a machine that does other
    # work as well; the variable is read once, when torch is imported.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        app(args=args, prog_name="jenga")
    except JengaError as error:
        _fail(error, str(error), error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
    except OSError as error:
        if error.strerror is None:
            raise
        _fail(error, error.strerror if error.filename is None else f"{error.filename}: {error.strerror}", 1)


def _fail(error: Exception, message: str, status: int) -> None:
    if os.environ.get("JENGA_DEBUG", "") not in ("", "0"):
        raise error
    print(f"jenga: {visible(message, LINES)}", file=sys.stderr)
    sys.exit(status)


if __name__ == "__main__":
    main()
