"""The commands of `managedapps`, put together; and whatever goes wrong in one of them, as a line.

Exit status: 0 all went well; 1 something was found, was lost, or cannot be reached or read; 2 wrong usage; 130 stopped
by Ctrl-C.
"""

import io
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import cast

import typer
from typer.core import TyperGroup

from console import INTERRUPTED, ConsoleError, UsageError
from console.endpoint import mask_keys, mask_queries
from console.marketplace import commands as marketplace
from console.output import say
from console.publisher import (
    application,
    doctor,
    export,
    listing,
    rebuild,
    rejected,
    report,
    summary,
    url,
    watch,
)


class _Commands(TyperGroup):
    """The commands. Typer alone would end at once, and without a word, when Ctrl-C stops one of them."""

    def invoke(self, ctx: typer.Context) -> object:  # type: ignore[override] # typer exports no other of its contexts
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise typer.Abort from None


app = typer.Typer(
    cls=_Commands,
    help="The publisher's view of an Azure Managed Application's webhook, and a Marketplace to test it against.",
    add_completion=False,
    rich_markup_mode="markdown",  # lines of docstrings flow
    pretty_exceptions_enable=False,  # they can show the values of variables, and so the secret
)
_VIEW, _MEND, _TEST = "The publisher's view", "Care", "A Marketplace on your desk"
app.command("list", rich_help_panel=_VIEW)(listing.list_)
app.command(rich_help_panel=_VIEW)(watch.watch)
app.command(rich_help_panel=_VIEW)(application.show)
app.command(rich_help_panel=_VIEW)(summary.summary)
app.command(rich_help_panel=_VIEW)(report.report)
app.command(rich_help_panel=_VIEW)(export.export)
app.command(rich_help_panel=_MEND)(url.url)
app.command(rich_help_panel=_MEND)(doctor.doctor)
app.command(rich_help_panel=_MEND)(rebuild.rebuild)
app.add_typer(rejected.app, name="rejected", rich_help_panel=_MEND)
app.command(rich_help_panel=_TEST)(marketplace.simulate)
app.command(rich_help_panel=_TEST)(marketplace.send)

# typer exports no other of Click's classes, and where they are depends on its version
_UsageError = cast("type[typer.BadParameter]", typer.BadParameter.__base__)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command line, and give the exit status."""
    if sys.stdout is None:  # whoever started this closed it
        say("managedapps: standard output is closed")
        return 1
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # Elsewhere than on a terminal, programs read it: UTF-8 whatever the system's code page is, lines as given.
            encoding = None if stream.isatty() else "utf-8"
            stream.reconfigure(encoding=encoding, errors="replace", newline="\n")
    try:
        status = int(app(args=arguments, prog_name="managedapps", standalone_mode=False) or 0)
        sys.stdout.flush()
    except _UsageError as error:
        command = error.ctx.command_path if error.ctx else "managedapps"
        _fail(f"{command}: {mask_queries(error.format_message())}\nTry '{command} --help'.")
        return error.exit_code
    except ConsoleError as error:
        _fail(f"managedapps: {error}")
        return 2 if isinstance(error, UsageError) else 1
    except OSError as error:
        _discard_output()
        if not isinstance(error, BrokenPipeError):  # then, whoever read it has seen enough
            what = error.filename or "the output"
            _fail(f"managedapps: cannot write {what}: {error.strerror}")
        return 1
    except (typer.Abort, KeyboardInterrupt):
        say("Stopped.")
        return INTERRUPTED
    return status


def _fail(text: str) -> None:
    """Say what went wrong. It may repeat an argument, and so a secret."""
    say(mask_keys(text))


def _discard_output() -> None:
    """Give up what is left of the output: Python would try once more to write it when it ends."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
