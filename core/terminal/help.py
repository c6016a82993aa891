"""The help of the commands, in the words of those who type them."""

from __future__ import annotations

import click


class Command(click.Command):
    """A command of which the list of commands says a whole sentence."""

    def get_short_help_str(self, limit: int = 0) -> str:
        """The first sentence."""
        return str(self.help).partition("\n")[0].partition(". ")[0].rstrip(".") + "."


class Commands(Command, click.Group):
    """A group of such commands, in the order in which they were made."""

    command_class = Command
    group_class = type

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of the commands."""
        return list(self.commands)
