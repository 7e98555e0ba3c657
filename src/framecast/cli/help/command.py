"""Class of all commands: help in panels, a page of a terminal long, and the nearest option for one that is unknown."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from typer.core import TyperArgument, TyperCommand

from framecast.cli.help.panels import HELP_ALL, PANELS, RARE, RENAMED
from framecast.errors import UsageError, find_nearest

_ORDER = {name: (place, panel) for panel, names in PANELS.items() for place, name in enumerate(names.split())}


class Command(TyperCommand):
    """Command whose options stand in the panels of `PANELS`; the rare ones are shown by --help-all alone."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        panels = list(PANELS)
        for option in self._list_options():
            option.rich_help_panel = _ORDER[_name(option)][1]
            option.hidden = _name(option) in RARE.split()
        rare = sum(option.hidden for option in self._list_options())
        if rare:
            self.epilog = f"{HELP_ALL} shows {rare} more options."
        # panels are printed in the order of their first option; arguments keep their order, before all
        self.params.sort(key=lambda p: _find_place(p, panels))

    def get_help_option(self, ctx: Any) -> Any:
        """Return --help, in the panel of the output instead of one of its own, which would be the first."""
        option = super().get_help_option(ctx)
        if option is not None:
            option.rich_help_panel = "Output"
        return option

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the words of the command.

        Raises:
            UsageError: an unknown option; it names the nearest one, or the new name of an old one.
        """
        if HELP_ALL in args[: args.index("--") if "--" in args else None]:
            for option in self._list_options():
                option.hidden = False
            self.epilog, args = None, ["--help"]
        try:
            return super().parse_args(ctx, args)
        except Exception as error:  # its class is private to Typer, and elsewhere in older versions
            if (got := getattr(error, "option_name", None)) is None or not hasattr(error, "possibilities"):
                raise
            raise self._explain_unknown(ctx.command_path, got) from error

    def _explain_unknown(self, command: str, got: str) -> UsageError:
        known = [name for option in self._list_options() for name in option.opts]
        new = next((name for name in RENAMED.get(got, "").split() if name in known), None)
        near = find_nearest(got, known)
        fix = f"see {command} --help" if near is None else f"did you mean {near}?"
        if new is not None:
            fix = f"it is {new} now" + (f"; or did you mean {near}?" if near not in (None, new) else "")
        return UsageError(f"{command}: no such option", got=got, fix=fix)

    def _list_options(self) -> Iterator[Any]:
        return (param for param in self.params if not isinstance(param, TyperArgument))


class Computation(Command):
    """Command that computes with networks."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command, with subnormal numbers flushed to zero: threads inherit that only when they start."""
        from framecast.devices import flush_subnormals

        flush_subnormals()
        return super().invoke(ctx)


def _name(option: Any) -> str:
    """Name an option by its long form."""
    return next(name for name in option.opts if name.startswith("--"))


def _find_place(param: Any, panels: list[str]) -> tuple[int, int]:
    if isinstance(param, TyperArgument):
        return -1, 0
    place, panel = _ORDER[_name(param)]
    return panels.index(panel), place
