"""The commands ``truth``, ``whatif`` and ``optimize``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mmm_xgen.cli.arguments import choices
from mmm_xgen.cli.terminal import say, warnings_in_one_line
from mmm_xgen.errors import ConfigError

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr
    from rich.table import Table


class By(StrEnum):
    """Groups of estimands."""

    CHANNEL = "channel"
    GEO = "geo"


class Form(StrEnum):
    """Formats of printed results."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"


File = Annotated[Path, typer.Argument(metavar="FILE.nc", help="A generated dataset.")]
Window = Annotated[
    str | None,
    typer.Option(metavar="START:END", help="Dates, such as 2023-01:2023-06 or 2023.  [all]"),
]
Printed = Annotated[
    list[str] | None,
    typer.Option(
        "--format",
        metavar="NAME,...",
        help="table to read; csv or json with every figure in full precision.  [default: table]",
    ),
]
Bound = list[str] | None


def truth(
    file: File,
    by: Annotated[
        By, typer.Option(help="Channels over all geos, or every channel of every geo.")
    ] = By.CHANNEL,
    window: Window = None,
    freq: Annotated[
        str | None, typer.Option(metavar="QS", help="One figure a month (MS), quarter (QS) ...")
    ] = None,
    graded: Annotated[
        bool, typer.Option("--recoverability", help="Grade how well each ROAS can be told.")
    ] = False,
    formats: Printed = None,
) -> None:
    """Show true returns, attribution and saturation."""
    from mmm_xgen.cli.arguments import read_window
    from mmm_xgen.cli.figures import estimand_tables, frame_of, units_of
    from mmm_xgen.cli.sources import naming, read_with_parameters
    from mmm_xgen.truth import estimands, recoverability

    forms = _forms(formats)
    if graded and (by is By.GEO or window is not None or freq is not None):
        raise ConfigError(
            "grades are of a channel over all dates and geos; drop --by geo, --window and --freq",
            path="--recoverability",
        )
    ds = read_with_parameters(file)
    with naming(file), warnings_in_one_line(quiet=False):
        dates = read_window(ds, window)
        dims = ("channel",) if by is By.CHANNEL else ("geo", "channel")
        try:
            found = estimands(ds, by=dims, window=dates, freq=freq)
        except ConfigError as error:
            path = error.path.replace("freq", "--freq")
            raise ConfigError(error.message, path=path) from None
        if graded:
            grades = recoverability(ds)
            found = found.assign(grades[["grade", "roas_bound", "reason"]])
    with naming(file):
        _print(
            forms,
            table=lambda: estimand_tables(found, str(file)),
            rows=lambda: frame_of(found),
            told=lambda: {"file": str(file), **found.attrs, "units": units_of(found)},
        )


def whatif(
    file: File,
    settings: Annotated[
        list[str],
        typer.Option(
            "--set",
            metavar="CHANNEL[:GEO]=CHANGE",
            help="TV=+50% or TV:North=-20% against today, or TV=2000, spend per period and geo; "
            "may be repeated, each starting from what those before it made.",
        ),
    ],
    window: Window = None,
    formats: Printed = None,
) -> None:
    """Show what other spend would have sold."""
    from mmm_xgen.cli.arguments import read_change, read_window
    from mmm_xgen.cli.figures import frame_of, impact_tables, units_of
    from mmm_xgen.cli.sources import naming, read_with_parameters
    from mmm_xgen.truth import compare_scenarios

    forms = _forms(formats)
    ds = read_with_parameters(file)
    with naming(file), warnings_in_one_line(quiet=False):
        dates = read_window(ds, window)
        changes = [{**read_change(ds, text), "window": dates} for text in settings]
        scenarios = compare_scenarios(ds, {"today": [], "what-if": changes})
        scenarios = scenarios.drop_dims("channel")
        impacts = _impacts(ds, settings, changes, scenarios.sel(scenario="what-if"))
    with naming(file):
        _print(
            forms,
            table=lambda: impact_tables(impacts, scenarios, str(file)),
            rows=lambda: frame_of(impacts),
            told=lambda: {
                "file": str(file),
                **scenarios.attrs,
                **impacts.attrs,
                "units": units_of(impacts),
                "scenarios": frame_of(scenarios).to_dict("records"),
            },
        )


def _impacts(
    ds: xr.Dataset, settings: list[str], changes: list[dict[str, Any]], scenario: xr.Dataset
) -> xr.Dataset:
    """Compute the impact of each change after the ones before it, and in total, dims (change,)."""
    import numpy as np
    import xarray as xr

    from mmm_xgen.cli.figures import TOTAL
    from mmm_xgen.truth import change_investment, predict_impact, simulate
    from mmm_xgen.truth.what_if.scenarios import ROUNDING

    impacts, labels, before = [], [], ds
    for change in changes:
        impacts.append(predict_impact(before, **change))
        labels.append({name: impacts[-1].attrs[name] for name in ("channel", "geo")})
        before = simulate(before, spend=change_investment(before, **change))
    # Each change starts from the result of the one before it, so that they add up.
    each = xr.concat(impacts, "change")
    total = each.sum("change").assign_coords(complete=each["complete"].all())
    # Spend that is moved adds up to 0, except for rounding.
    spent = scenario["incremental_spend"].item()
    spent = 0.0 if abs(spent) <= ROUNDING * scenario["spend"].item() else spent
    total["incremental_spend"] = spent
    rises = np.isfinite(scenario["incremental_roas"].item())
    for ending in ("", "_with_carryout"):
        earned = total[f"incremental_revenue{ending}"]
        total[f"incremental_profit{ending}"] = earned - spent
        total[f"incremental_roas{ending}"] = earned / spent if rises else np.nan
    table = xr.concat([*impacts, total], "change", combine_attrs="drop")
    for figure, values in impacts[0].items():
        table[figure].attrs = values.attrs
    kept = ("window_start", "window_end")
    table.attrs = {name: impacts[0].attrs[name] for name in kept}
    table.attrs["carryout_periods"] = max(part.attrs["carryout_periods"] for part in impacts)
    names = {name: ("change", [*(label[name] for label in labels), ""]) for name in labels[0]}
    return table.assign_coords({"change": [*settings, TOTAL], **names})


def optimize(
    file: File,
    budget: Annotated[
        float | None, typer.Option(help="Currency for the whole window.  [today's spend]")
    ] = None,
    least: Annotated[
        Bound, typer.Option("--min", metavar="TV=0.2", help="Least share of the budget.")
    ] = None,
    most: Annotated[
        Bound, typer.Option("--max", metavar="TV=0.5", help="Greatest share of the budget.")
    ] = None,
    least_change: Annotated[
        Bound, typer.Option("--min-change", metavar="TV=-30%", help="Least change against today.")
    ] = None,
    most_change: Annotated[
        Bound, typer.Option("--max-change", metavar="TV=+30%", help="Greatest change.")
    ] = None,
    least_currency: Annotated[
        Bound, typer.Option("--min-currency", metavar="TV=9000", help="Least spend.")
    ] = None,
    most_currency: Annotated[
        Bound, typer.Option("--max-currency", metavar="TV=9000", help="Greatest spend.")
    ] = None,
    locked: Annotated[
        Bound, typer.Option("--lock", metavar="TV", help="Keep today's spend.")
    ] = None,
    per_geo: Annotated[bool, typer.Option("--per-geo", help="Decide for every geo.")] = False,
    window: Window = None,
    formats: Printed = None,
) -> None:
    """Find the best split of a budget over channels.

    Bounds and locks may be repeated, and hold for a channel over all geos; '*' is every channel.
    """
    from mmm_xgen.cli.arguments import as_written, read_constraints, read_window
    from mmm_xgen.cli.sources import naming, read_with_parameters
    from mmm_xgen.truth import optimize_allocation

    forms = _forms(formats)
    bounds = {
        "min": least,
        "max": most,
        "min_change": least_change,
        "max_change": most_change,
        "min_currency": least_currency,
        "max_currency": most_currency,
    }
    ds = read_with_parameters(file)
    with naming(file), warnings_in_one_line(quiet=False):
        dates = read_window(ds, window)
        given = {key: texts or () for key, texts in bounds.items()}
        rules = read_constraints(ds, given, locked or ())
        try:
            best = optimize_allocation(
                ds, total_budget=budget, constraints=rules, per_geo=per_geo, window=dates
            )
        except ConfigError as error:
            raise as_written(error) from None
    _print_optimum(best, file, forms)


def _print_optimum(best: xr.Dataset, file: Path, forms: list[Form]) -> None:
    from mmm_xgen.cli.figures import frame_of, optimum_tables, units_of
    from mmm_xgen.cli.sources import naming

    dims = best["optimal_spend"].dims
    items = best[[name for name, values in best.items() if values.dims == dims]]
    whole = best[[name for name, values in best.items() if not values.dims]]
    sizes = {str(name): values.item() for name, values in whole.items()}
    with naming(file):
        _print(
            forms,
            table=lambda: optimum_tables(items.assign(whole), str(file)),
            rows=lambda: frame_of(items),
            # CSV can hold the totals in its rows only.
            every_row=sizes,
            told=lambda: {
                "file": str(file),
                **best.attrs,
                **sizes,
                "units": units_of(items.assign(whole)),
            },
        )


def _forms(names: list[str] | None) -> list[Form]:
    return choices(names or [Form.TABLE.value], Form, "--format")


def _print(
    forms: list[Form],
    *,
    table: Callable[[], list[str | Table]],
    rows: Callable[[], pd.DataFrame],
    told: Callable[[], Mapping[str, Any]],
    every_row: Mapping[str, Any] | None = None,
) -> None:
    """Print a table, or rows alone as CSV, or rows and what is told of them as JSON."""
    from mmm_xgen.cli.figures import as_csv, as_json
    from mmm_xgen.cli.tables import show_all

    for form in forms:
        if form is Form.TABLE:
            show_all(table())
        elif form is Form.CSV:
            with warnings_in_one_line(quiet=False):
                text = as_csv(rows().assign(**(every_row or {})))
            say(text, data=True)
        else:
            say(as_json({**told(), "rows": rows().to_dict("records")}))
