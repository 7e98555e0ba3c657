"""Names of variables with brackets, which choose one of several that share a name: t[500], DBZH[CAPPI 1000]."""

from __future__ import annotations

import re

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
