"""Plot of a plan beside today's spend, and sliders to make such plans."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from html import escape
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mmm_xgen.dataset import in_memory
from mmm_xgen.errors import check_packages
from mmm_xgen.formatting.amounts import ratio, short_number, signed
from mmm_xgen.kernels.domain import FloatArray
from mmm_xgen.plots.panels import DASHED, area, band, blank, headed, legend_below, line, name_rows
from mmm_xgen.plots.selection import (
    at_geo,
    check_panel,
    check_sizes,
    currency_of,
    group_channels,
    kpi_of,
    per_period,
    thinned,
)
from mmm_xgen.plots.style import (
    CHANNEL_COLOURS,
    FAINT,
    INK,
    format_dates,
    format_numbers,
    short_names,
)
from mmm_xgen.plots.timelines import place_of
from mmm_xgen.truth.budget.optimum import optimize_allocation
from mmm_xgen.truth.returns.incremental import acts_together, all_media
from mmm_xgen.truth.what_if.counterfactual import full_plan, simulate
from mmm_xgen.truth.what_if.scenarios import compare_scenarios

NEEDED = ("spend", "channel_contribution", "mu", "revenue_per_kpi")
ALL_GEOS = "all geos"
TOGETHER = "channels together"
# Largest multiple of today's spend on a slider.
MOST = 3.0
STEP = 0.01
PLAN_COLOUR = CHANNEL_COLOURS[1]
SHADE = 0.25
# Relative size of rounding errors.
ROUNDING = 1e-9
# Columns of the table: title, units and how a figure is written.
TABLE: dict[str, tuple[str, str, Callable[[float], str]]] = {
    "channel_spend": ("spend", "{currency}", short_number),
    "channel_incremental_spend": ("more spend", "{currency}", partial(signed, write=short_number)),
    "channel_incremental_sales": ("more sales", "{kpi}", partial(signed, write=short_number)),
    "channel_incremental_revenue": (
        "more revenue",
        "{currency}",
        partial(signed, write=short_number),
    ),
    "channel_incremental_profit": (
        "more profit",
        "{currency}",
        partial(signed, write=short_number),
    ),
    "channel_incremental_roas": ("incremental ROAS", "", ratio),
    "channel_roas": ("ROAS", "", ratio),
}
CELL = "padding: 0.2em 0.8em; text-align: right; font-variant-numeric: tabular-nums"


@in_memory
def plot_what_if(
    ds: xr.Dataset,
    spend: xr.DataArray,
    *,
    geo: str | None = None,
    figsize: tuple[float, float] | None = None,
) -> Figure:
    """Draw expected sales, spend and contributions of a plan beside today's.

    Parameters
    ----------
    ds : Dataset, dims (date, geo, channel)
        A generated Dataset with all its dates.
    spend : DataArray, dims (date, geo, channel)
        The plan, as for `mmm_xgen.truth.simulate`; currency per period.
    geo : str, optional
        The geo that is shown; sums over all of them by default.
    figsize : tuple of float, optional
        Width and height in inches.

    Returns
    -------
    matplotlib.figure.Figure
        Independent of pyplot. Sales are without noise, as from `mmm_xgen.truth.simulate`. All but
        the eight largest channels are shown as one.

    Raises
    ------
    SchemaError
        If a variable is not there, or the contributions are not what the spend makes.
    AlignmentError
        If there is no such geo, or the plan has labels that the Dataset does not have.

    Examples
    --------
    >>> import mmm_xgen
    >>> ds = mmm_xgen.generate_mmm_dataset()
    >>> figure = plot_what_if(ds, 2 * ds.spend.sel(channel="Trend"))
    >>> figure.axes[0].get_title(loc="left")
    'Expected sales: 3.12% more'
    """
    check_panel(ds, *NEEDED)
    groups = group_channels(ds)
    plan = full_plan(ds, spend)
    check_sizes(plan.to_dataset(name="spend"))
    now = at_geo(ds, geo)
    then = simulate(now, spend=plan.sel(geo=now["geo"].values))
    with blank(figsize, 7.4) as figure:
        panels = figure.subplot_mosaic(
            [["sales", "sales"], ["increment", "increment"], ["spend", "contribution"]],
            height_ratios=[1.1, 0.7, 1],
        )
        for name, axes in panels.items():
            axes.set_label(name)
        _draw_sales(panels["sales"], panels["increment"], now, then)
        for key, variable, noun, units in (
            ("spend", "spend", "Spend", currency_of(ds)),
            ("contribution", "channel_contribution", "Contribution", kpi_of(ds)),
        ):
            sums = [groups.sums(each[variable].sum(("date", "geo"))) for each in (now, then)]
            names = groups.labels
            if key == "contribution" and acts_together(ds):
                names = [*names, TOGETHER]
                for each, found in zip((now, then), sums, strict=True):
                    media = all_media(each).sum() - each["channel_contribution"].sum()
                    found[TOGETHER] = media.to_numpy()
            today, planned = (np.array(list(each.values())) for each in sums)
            _draw_bars(panels[key], names, today, planned)
            panels[key].set_title(f"{noun} by channel: {_change(today.sum(), planned.sum())}")
            panels[key].set_xlabel(f"{units}, all dates")
        place = place_of(ds, geo) if geo or ds.sizes["geo"] == 1 else ALL_GEOS
        headed(figure, f"What if: {place}, without noise", _added(now, then))
        entries = {
            "today": line(INK, dashed=True),
            "under the plan": line(PLAN_COLOUR),
            "added by the plan": band(PLAN_COLOUR),
            "today, by channel": band(FAINT),
        }
        legend_below(figure, entries)
    return figure


def _added(now: xr.Dataset, then: xr.Dataset) -> str:
    """Change of spend, revenue and profit over all dates, as text."""
    rise = then["mu"] - now["mu"]
    spent = float((then["spend"] - now["spend"]).sum())
    earned = float((rise * now["revenue_per_kpi"]).sum())
    size = float(now["spend"].sum() + then["spend"].sum())
    amounts = {"spend": spent, "revenue": earned, "profit": earned - spent}
    changes = ", ".join(
        f"{name} {signed(0.0 if abs(amount) <= ROUNDING * size else amount, short_number)}"
        for name, amount in amounts.items()
    )
    return f"against today, {currency_of(now)}: {changes}"


def _draw_sales(axes: Axes, below: Axes, now: xr.Dataset, then: xr.Dataset) -> None:
    """Expected sales today and under the plan, and below what the plan adds to them."""
    both = xr.Dataset({"today": now["mu"].sum("geo"), "plan": then["mu"].sum("geo")})
    totals = float(both["today"].sum()), float(both["plan"].sum())
    series, step = thinned(both.assign_attrs(now.attrs))
    dates = series["date"].to_numpy()
    marker = "_" if len(dates) == 1 else None
    today, plan = series["today"].to_numpy(), series["plan"].to_numpy()
    if len(dates) > 1:
        axes.fill_between(dates, today, plan, color=PLAN_COLOUR, alpha=SHADE, linewidth=0)
    axes.plot(dates, plan, color=PLAN_COLOUR, linewidth=1.8, marker=marker)
    axes.plot(dates, today, color=INK, linewidth=1.2, linestyle=DASHED, marker=marker)
    axes.set_title(f"Expected sales: {_change(*totals)}")
    added = totals[1] - totals[0]
    amount = 0.0 if abs(added) <= ROUNDING * abs(totals[0]) else added
    below.set_title(f"Sales added: {signed(amount, short_number)} {kpi_of(now)}")
    area(below, dates, 0.0, plan - today, PLAN_COLOUR)
    below.axhline(0.0, color=INK, linewidth=0.8)
    for panel in (axes, below):
        panel.set_ylabel(per_period(kpi_of(now), now, step))
        format_numbers(panel, "y")
        format_dates(panel)


def _draw_bars(axes: Axes, names: list[str], today: FloatArray, plan: FloatArray) -> None:
    rows = np.arange(len(names))
    axes.barh(rows - 0.2, today, height=0.36, color=FAINT)
    axes.barh(rows + 0.2, plan, height=0.36, color=PLAN_COLOUR)
    name_rows(axes, names)
    format_numbers(axes, "x")


def _change(today: float, plan: float) -> str:
    """Describe the change of a sum."""
    if np.isclose(today, plan, rtol=1e-9, atol=1e-9):
        return "as today"
    word, size = "more" if plan > today else "less", abs(plan - today)
    percent = 100 * size / abs(today) if today else np.inf
    # From 1000% on, which .3g writes as 1e+03%, nobody thinks in percent.
    if percent < 999.5:
        return f"{percent:.3g}% {word}"
    if today > 0 and plan > 0:
        return f"{short_number(plan / today)} times as much"
    return f"{short_number(size)} {word}"


@in_memory
def what_if_simulator(ds: xr.Dataset) -> Any:
    """Show sliders for the spend of each channel and the budget, with the true outcome.

    A channel's slider multiplies its spend on all dates, in the geo that is chosen or in all of
    them. That of the budget moves all channels by the same factor; the button below it splits
    the budget as `mmm_xgen.truth.optimize_allocation` does, with no channel above three times
    today's spend. The picture is `plot_what_if`, the table `mmm_xgen.truth.compare_scenarios`.

    Parameters
    ----------
    ds : Dataset, dims (date, geo, channel)
        A generated Dataset with all its dates.

    Returns
    -------
    ipywidgets.VBox
        Displayed by a notebook if it is the last line of a cell.

    Raises
    ------
    MissingDependencyError
        If ipywidgets is not installed.
    SchemaError
        If a variable is not there, or the contributions are not what the spend makes.

    Examples
    --------
    >>> import mmm_xgen
    >>> simulator = what_if_simulator(mmm_xgen.generate_mmm_dataset())
    >>> type(simulator).__name__
    'VBox'
    """
    check_panel(ds, *NEEDED)
    check_packages("the simulator needs", "ipywidgets")
    import ipywidgets

    return _Simulator(ds, ipywidgets).view


class _Simulator:
    """State of the sliders: the multiple of today's spend, dims (geo, channel)."""

    def __init__(self, ds: xr.Dataset, widgets: Any) -> None:
        self.ds = ds
        self.listening = True
        dims = ("geo", "channel")
        spent = ds["spend"].sum("date").transpose(*dims).reset_coords(drop=True)
        self.today = spent
        self.levels = xr.ones_like(spent)
        names = [str(name) for name in ds["geo"].values]
        self.everywhere = ALL_GEOS if ALL_GEOS not in names else f"{ALL_GEOS} together"
        labels = short_names(map(str, ds["channel"].values))
        wide = {"description_width": "15em"}
        self.geo = widgets.Dropdown(
            # A value of None would be shown as nothing chosen.
            options=[(name, name) for name in (self.everywhere, *names)],
            description="geo",
            style=wide,
        )
        self.sliders = {
            name: self._slider(widgets, label, float(spent.sel(channel=name).sum()))
            for name, label in labels.items()
        }
        self.budget = widgets.FloatSlider(
            description=f"budget ({ds.attrs.get('currency', 'currency')})",
            continuous_update=False,
            readout_format=",.0f",
            style=wide,
            layout={"width": "38em"},
        )
        self.split = widgets.Button(description="best split", tooltip="Split it as is best")
        self.reset = widgets.Button(description="back to today")
        self.picture = widgets.Image(format="png", layout={"max_width": "100%"})
        self.table = widgets.HTML()
        self._listen()
        # More sliders than fit are scrolled.
        rows = widgets.VBox(
            list(self.sliders.values()), layout={"max_height": "22em", "overflow": "hidden auto"}
        )
        buttons = widgets.HBox([self.split, self.reset])
        controls = widgets.VBox([self.geo, rows, self.budget, buttons])
        top = widgets.HBox([controls, self.table], layout={"flex_flow": "row wrap"})
        self.view = widgets.VBox([top, self.picture])
        self.show()

    @staticmethod
    def _slider(widgets: Any, name: str, spent: float) -> Any:
        return widgets.FloatSlider(
            value=1.0,
            min=0.0,
            max=MOST,
            step=STEP,
            description=name,
            readout_format=".0%",
            # Where nothing is spent there is no pattern to multiply.
            disabled=spent == 0,
            continuous_update=False,
            style={"description_width": "15em"},
            layout={"width": "38em"},
        )

    def _listen(self) -> None:
        for name, slider in self.sliders.items():
            slider.observe(lambda change, name=name: self.move(name, change["new"]), "value")
        self.budget.observe(lambda change: self.scale(change["new"]), "value")
        self.geo.observe(lambda _: self.show(), "value")
        self.split.on_click(lambda _: self.optimize())
        self.reset.on_click(lambda _: self.set_levels(1.0))

    @property
    def geos(self) -> list[str]:
        """Geos that the sliders move."""
        every = [str(name) for name in self.ds["geo"].values]
        return every if self.geo.value == self.everywhere else [self.geo.value]

    def move(self, channel: str, level: float) -> None:
        """Set one channel to a multiple of today's spend."""
        if self.listening:
            self.set_levels(level, channel)

    def scale(self, budget: float) -> None:
        """Move all channels by the factor that makes them cost a budget."""
        if not self.listening:
            return
        chosen = {"geo": self.geos}
        today, levels = self.today.loc[chosen], self.levels.loc[chosen]
        spent, planned = float(today.sum()), float((today * levels).sum())
        if not spent:
            # There is no pattern to multiply: back to nothing.
            self.show()
            return
        # From nothing up, the split is today's.
        self.set_levels(levels * budget / planned if planned else budget / spent)

    def optimize(self) -> None:
        """Split the budget over the channels so that it earns the most."""
        part = self.ds.sel(geo=self.geos)
        if not float(part["spend"].sum()):
            return
        best = optimize_allocation(
            part,
            total_budget=float(self.budget.value),
            constraints={"*": {"max_change": MOST - 1}},
        )
        self.set_levels(best["multiplier"].fillna(1.0).reset_coords(drop=True))

    def set_levels(self, levels: xr.DataArray | float, channel: str | None = None) -> None:
        """Keep new multiples of today's spend, those of the chosen geos, and show them."""
        chosen: dict[str, Any] = {"geo": self.geos}
        if channel is not None:
            chosen["channel"] = channel
        kept = self.levels.copy()
        kept.loc[chosen] = np.clip(0 * kept.loc[chosen] + levels, 0, MOST)
        self.levels = kept
        self.show()

    @contextmanager
    def _silently(self) -> Iterator[None]:
        """Set sliders without reacting to it."""
        self.listening = False
        try:
            yield
        finally:
            self.listening = True

    def show(self) -> None:
        """Bring sliders, table and picture up to date."""
        today = self.today.sel(geo=self.geos)
        planned = today * self.levels.sel(geo=self.geos)
        level = (planned.sum("geo") / today.sum("geo")).fillna(1.0)
        with self._silently():
            for name, slider in self.sliders.items():
                slider.value = float(level.sel(channel=name))
            most = MOST * float(today.sum())
            self.budget.max = most or 1.0
            self.budget.step = self.budget.max / 300
            self.budget.value = float(planned.sum())
        plan = self.ds["spend"] * self.levels
        self.table.value = _table(self.ds.sel(geo=self.geos), plan.sel(geo=self.geos))
        page = io.BytesIO()
        geo = None if self.geo.value == self.everywhere else self.geo.value
        plot_what_if(self.ds, plan, geo=geo).savefig(page, dpi=80)
        self.picture.value = page.getvalue()


def _table(ds: xr.Dataset, plan: xr.DataArray) -> str:
    """Write the outcome of a plan, by channel and in all, as HTML."""
    found = compare_scenarios(ds, {"plan": plan}).sel(scenario="plan", drop=True)
    units = {"currency": str(ds.attrs.get("currency", "")), "kpi": str(ds.attrs.get("kpi", ""))}
    heads = [("", ""), *((title, unit.format(**units)) for title, unit, _ in TABLE.values())]
    head = "".join(
        f'<th style="{CELL}; vertical-align: bottom">{escape(title)}<br/>'
        f'<span style="font-weight: normal; color: {FAINT}">{escape(unit)}</span></th>'
        for title, unit in heads
    )
    rows = [
        _table_row(name, [float(found[key].sel(channel=name)) for key in TABLE])
        for name in map(str, ds["channel"].values)
    ]
    totals = [float(found[key.removeprefix("channel_")]) for key in TABLE]
    if acts_together(ds):
        rows.append(_table_row(TOGETHER, _beyond_channels(found, totals)))
    rows.append(_table_row("all", totals, f"border-top: 1px solid {FAINT}; font-weight: bold"))
    edge = f"border-bottom: 1px solid {FAINT}"
    return (
        '<table style="border-collapse: collapse; line-height: 1.3">'
        f'<thead><tr style="{edge}">{head}</tr></thead><tbody>{"".join(rows)}</tbody></table>'
    )


def _beyond_channels(found: xr.Dataset, totals: list[float]) -> list[float]:
    """Return what the totals have more than the sums over channels; ratios are missing."""
    sums = [np.nan if key.endswith("roas") else float(found[key].sum()) for key in TABLE]
    return [total - each for total, each in zip(totals, sums, strict=True)]


def _table_row(name: str, values: list[float], style: str = "") -> str:
    texts = [write(value) for value, (*_, write) in zip(values, TABLE.values(), strict=True)]
    cells = "".join(f'<td style="{CELL}">{text}</td>' for text in texts)
    first = f'<th style="{CELL}; text-align: left">{escape(name)}</th>'
    return f'<tr style="{style}">{first}{cells}</tr>'
