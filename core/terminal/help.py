"""The help of the commands, in the words of those who type them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperArgument, TyperCommand

if TYPE_CHECKING:
    from typer._click import Context, HelpFormatter


class Command(TyperCommand):
    """A command whose help names an argument by what is typed (SID, FILE), never by how the program holds it."""

    def collect_usage_pieces(self, ctx: Context) -> list[str]:
        """What follows the command's name; what has to be there stands without brackets."""
        return [piece.replace("{", "").replace("}", "") for piece in super().collect_usage_pieces(ctx)]

    def get_short_help_str(self, limit: int = 0) -> str:
        """The first sentence, whole, for the list of commands."""
        return str(self.help).partition("\n")[0].partition(". ")[0].rstrip(".") + "."

    def format_options(self, ctx: Context, formatter: HelpFormatter) -> None:
        """Write the arguments, then the options."""
        rows: dict[str, list[tuple[str, str]]] = {"Arguments": [], "Options": []}
        for each in self.get_params(ctx):
            term, meaning = each.get_help_record(ctx) or ("", "")
            if isinstance(each, TyperArgument):
                rows["Arguments"].append((each.display_name_raw, meaning))
            elif term:
                rows["Options"].append((term, meaning))
        for title, shown in rows.items():
            if shown:
                with formatter.section(title):
                    formatter.write_dl(shown)


class Commands(typer.Typer):
    """A group of such commands."""

    def command(self, name: str | None = None, **given: Any) -> Callable[..., Any]:
        """Make a function a command."""
        return super().command(name, cls=Command, **given)
