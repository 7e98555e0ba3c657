"""Names of variables that users give: with brackets, as in t[500] or DBZH[CAPPI 1000]; none where there is no choice."""

from __future__ import annotations

import re

from framecast.data.formats.base import ReaderOptions
from framecast.errors import InputError


def split_brackets(variable: str) -> tuple[str, set[str]]:
    """Split a variable with brackets, as in t[500] or DBZH[CAPPI 1000], into its name and the words in them.

    Raises:
        InputError: brackets that are not closed, or not at the end.
    """
    match = re.fullmatch(r"([^\[\]]*)(?:\[([^\[\]]*)\])?", variable.strip())
    if match is None:
        raise InputError("variable", got=variable, expected="a name, with brackets at its end if need be, as in t[500]")
    return match[1].strip(), set((match[2] or "").split())


def check_no_variable(options: ReaderOptions, what: str) -> None:
    """Check that no variable is named where there is none to choose.

    Args:
        options: of the user.
        what: the files, in the plural, for the error.

    Raises:
        InputError: a variable is named.
    """
    if options.variable is not None:
        raise InputError(
            "variable", got=options.variable, expected=f"none: {what} have no variables", fix="leave it out"
        )
