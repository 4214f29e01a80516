"""Choose the columns of channels and controls, by a mapping, a list or a pattern."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

from mmm_xgen.config.names import coordinate_label
from mmm_xgen.config.spend_plan import Selection
from mmm_xgen.errors import SchemaError
from mmm_xgen.frames.table import nearest_found


def chosen_columns(
    selection: Selection, names: Iterable[str], *, field: str, own_names_only: bool
) -> dict[str, str]:
    """Label of every selected column, in the order of the source.

    Parameters
    ----------
    selection : mapping, tuple, str or None
        One of the forms of `SpendPlanConfig.channels`.
    names : iterable of str
        Columns that there are.
    field : {"channels", "controls"}
        What is selected.
    own_names_only : bool
        What None selects: columns named as in this package's own export, or all.

    Raises
    ------
    SchemaError
        If a column is not there, nothing is selected, or two columns get the same label.

    Examples
    --------
    >>> chosen_columns("*_S", ["week", "tv_S"], field="channels", own_names_only=True)
    {'tv_S': 'tv'}
    """
    names = list(names)
    what = "column" if own_names_only else "label"
    prefix = "x" if field == "channels" else "c"
    if isinstance(selection, str):
        head, tail = (re.escape(part) for part in selection.split("*"))
        matches = {name: re.fullmatch(f"{head}(.+){tail}", name, re.DOTALL) for name in names}
        wanted = {name: match[1] for name, match in matches.items() if match}
    elif isinstance(selection, dict):
        wanted = {column: name for name, column in selection.items()}
    elif selection is None:
        own = re.compile(rf"{prefix}\d+(-.+)?" if own_names_only else ".*", re.DOTALL)
        wanted = {name: name for name in names if own.fullmatch(name)}
    else:
        wanted = {column: column for column in selection}
    for column in wanted:
        if column not in names:
            found = nearest_found(column, names)
            raise SchemaError(f"no {what} {column!r} (spend_plan.{field}); {found}")
    if not wanted and (selection or field == "channels"):
        shape = "'x1-TV'" if selection is None else repr(selection)
        found = nearest_found("", names)
        raise SchemaError(f"no {what} like {shape} (set spend_plan.{field}); {found}")
    chosen = {
        name: coordinate_label(wanted[name], prefix, 0) or name for name in names if name in wanted
    }
    twice = [text for text, count in Counter(chosen.values()).items() if count > 1]
    if twice:
        twins = ", ".join(repr(name) for name in chosen if chosen[name] == twice[0])
        raise SchemaError(f"{twins} would all be called {twice[0]!r} (spend_plan.{field})")
    return chosen
