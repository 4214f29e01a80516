"""Plot of who causes what in the world that a dataset comes from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from matplotlib.path import Path

from mmm_xgen.config.causes import channel_position
from mmm_xgen.config.channel import ChannelConfig
from mmm_xgen.config.data import MMMDataConfig
from mmm_xgen.config.names import coordinate_label
from mmm_xgen.dataset import config_of, in_memory
from mmm_xgen.formatting.amounts import signed_share
from mmm_xgen.formatting.words import count
from mmm_xgen.plots.panels import DASHED, WIDTH, blank, headed, legend_below
from mmm_xgen.plots.selection import by_size, check_panel, group_channels, texts_of
from mmm_xgen.plots.style import BASE_COLOUR, FAINT, INK, OTHER_COLOUR, RISK, plain_text
from mmm_xgen.plots.what_breaks import draw_panels, panels_of

# Channels and controls that have a box each; the others share one.
MOST_CHANNELS, MOST_CONTROLS = 30, 15
# Height of a row in inches, and centres of the columns as shares of the width.
STEP = 0.37
CAUSES, ITEMS, BETWEEN, OUTCOME = 0.075, 0.33, 0.67, 0.95
# Widths of the boxes in each column, as shares of the width, and their height in rows.
WIDTHS = {CAUSES: 0.13, ITEMS: 0.24, BETWEEN: 0.17, OUTCOME: 0.08}
HEIGHT = 0.8
# Rows between channels and controls, and above and below all for arrows that go around.
GAP, AROUND = 0.5, 0.95
# Arrows that share the box of sales are so many rows apart at it.
APART = 0.3
# Panels over time beside each other, the height of one in inches, and that of its title and dates.
COLUMNS, PANEL, WORDS = 3, 1.8, 0.55
# Space between a bar and its box, as a share of the width.
BAR = 0.004
DEMAND, SALES, EARLIER = "latent demand", "sales", "earlier sales"
COMPETITOR, CUTS = "competitor", "cuts sales"
# Further causes of sales by the variable that shows them: text and note of their box.
FURTHER = {
    "level_contribution": ("level of base sales", "drifts over time"),
    "lost_sales": ("capacity", CUTS),
}
FUNNEL, PAID = "funnel: raises delivered media", "paid funnel: raises spend"
DASH_DOTTED: Any = (0, (6, 2, 1, 2))
Point = tuple[float, float]


@dataclass(frozen=True)
class _Box:
    """Box of one cause; `y` is its row, `height` is in rows."""

    x: float
    y: float
    text: str
    note: str = ""
    colour: str = FAINT
    is_hidden: bool = False
    height: float = HEIGHT

    def end(self, side: float, y: float | None = None) -> Point:
        """Return the middle of the left side (-1) or of the right side (1)."""
        return self.x + side * WIDTHS[self.x] / 2, self.y if y is None else y


@dataclass(frozen=True)
class _Arrow:
    """Arrow along a path of points; `lowers` ends it with a bar in place of a head."""

    points: Sequence[Point]
    colour: str
    meaning: str = ""
    lowers: bool = False
    is_curved: bool = True
    style: Any = "-"


@dataclass
class _Page:
    """Boxes and arrows of a picture, and the rows that it has."""

    channels: dict[str, _Box] = field(default_factory=dict)
    controls: dict[str, _Box] = field(default_factory=dict)
    between: dict[str, _Box] = field(default_factory=dict)
    others: dict[str, _Box] = field(default_factory=dict)
    arrows: list[_Arrow] = field(default_factory=list)
    # Arrows to sales: where they begin, their colour, and True if they lower sales.
    to_sales: list[tuple[_Box, str, bool]] = field(default_factory=list)
    n_rows: float = 0.0

    def boxes(self) -> Iterable[_Box]:
        """Return all boxes."""
        for group in (self.channels, self.controls, self.between, self.others):
            yield from group.values()

    def connect(self, source: _Box, target: _Box, colour: str, **about: Any) -> None:
        """Add an arrow from the right side of a box to the left side of another."""
        self.arrows.append(_Arrow((source.end(1), target.end(-1)), colour, **about))


@in_memory
def plot_world(
    ds: xr.Dataset, *, over_time: bool = True, figsize: tuple[float, float] | None = None
) -> Figure:
    """Draw who causes what, and above it sales, spend and what breaks a model's assumptions.

    A head at the end of an arrow means that it raises what it points at, a bar that it lowers it.
    Arrows of media are solid. Arrows of latent demand, which nobody records, are dashed: where they
    reach both spend and sales, a model that does not see demand takes its sales for those of media.
    Budget rules that answer to sales close a loop through earlier sales.

    Parameters
    ----------
    ds : Dataset, dims (date, geo, channel)
        A Dataset with its configuration, or one that was aggregated or simulated from it.
    over_time : bool, default True
        Whether to draw the panels over time. They are sums or means over geos, and channels have
        the colours of their boxes. If no mechanism is on, the last panel has the sales that each
        channel makes by its carried-over spend.
    figsize : tuple of float, optional
        Width and height in inches.

    Returns
    -------
    matplotlib.figure.Figure
        Beyond 30 channels and 15 controls, the smallest that nothing connects share one box.

    Raises
    ------
    SchemaError
        If there is no configuration, or the Dataset has a further dim.

    Examples
    --------
    >>> import mmm_xgen
    >>> ds = mmm_xgen.generate_mmm_dataset(demand={"effect": 0.05})
    >>> plot_world(ds).get_suptitle().splitlines()[0]
    'Who causes what: latent demand moves sales'
    """
    check_panel(ds, "spend", "channel_contribution", "control_contribution")
    config = _config_of(ds)
    page = _Page()
    _place_channels(page, ds, config)
    _place_controls(page, ds, config)
    _place_competitor(page, config)
    _place_further(page, ds, config)
    _place_between(page, config)
    driven, answering = _place_causes(page, config)
    _point_at_sales(page, ds, config)
    top = min(box.y - box.height / 2 for box in page.boxes()) - 0.2
    top -= AROUND if DEMAND in page.others else 0.0
    bottom = page.n_rows - 0.3 + (AROUND if EARLIER in page.others else 0.0)
    panels = 1 + len(panels_of(ds)) if over_time else 0
    rows = -(-panels // COLUMNS)
    height = STEP * (bottom - top)
    with blank(figsize, 1.3 + height + (PANEL + WORDS) * rows) as figure:
        grid = figure.add_gridspec(rows + 1, 1, height_ratios=[PANEL] * rows + [height])
        axes = figure.add_subplot(grid[rows])
        axes.set_axis_off()
        axes.set_xlim(0, 1)
        axes.set_ylim(bottom, top)
        for arrow in page.arrows:
            _draw_arrow(axes, arrow)
        for box in page.boxes():
            _draw_box(axes, box)
        title, *more = _titles(page, len(driven), len(answering), ds.sizes["channel"])
        headed(figure, f"Who causes what: {title}", *more, *_sizes(ds, config))
        legend_below(figure, _legend(page.arrows))
        if over_time:
            across = -(-panels // rows)
            parts = [grid[row].subgridspec(1, across) for row in range(rows)]
            places = [figure.add_subplot(parts[k // across][k % across]) for k in range(panels)]
            draw_panels(places, ds, {name: box.colour for name, box in page.channels.items()})
    return figure


def _config_of(ds: xr.Dataset) -> MMMDataConfig:
    """Configuration of a dataset, or of the one that it was changed from."""
    earlier = (ds.attrs.get(name) for name in ("config", "factual_config", "source_config"))
    found = next(filter(None, earlier), None)
    return config_of(ds if found is None else ds.assign_attrs(config=found))


# Boxes ----------------------------------------------------------------------------------------


def _place_channels(page: _Page, ds: xr.Dataset, config: MMMDataConfig) -> None:
    """Place the channels below each other, the largest first, and connect them by funnels."""
    names = config.channel_names
    notes = dict(zip(names, map(_note, config.channels), strict=True))
    ends = {end for each in config.funnels for end in (each.source, each.target)}
    ends |= {name for each in config.interactions for name in each.channels}
    ends |= {name for each in config.mediators for name in each.parents}
    linked = {names[channel_position(name, names)] for name in ends}
    linked |= {name for name, note in notes.items() if note}
    ordered = by_size(ds)
    shown = _most(ordered, [name for name in ordered if name in linked], MOST_CHANNELS)
    texts, colour = texts_of(ds, "channel"), group_channels(ds).colour
    total = ds["channel_contribution"].sum(("date", "geo"))
    for row, name in enumerate(shown):
        works = bool(total.sel(channel=name) != 0)
        note = ", ".join(filter(None, [notes.get(name, ""), "" if works else "no effect"]))
        fill = colour.get(name, OTHER_COLOUR)
        page.channels[name] = _Box(ITEMS, row, texts[name], note, fill)
    rest = len(ordered) - len(shown)
    if rest:
        text = count(rest, "other channel")
        page.others[text] = _Box(ITEMS, len(shown), text, colour=OTHER_COLOUR)
        page.to_sales.append((page.others[text], OTHER_COLOUR, False))
    page.n_rows = len(shown) + (rest > 0)
    for funnel in config.funnels:
        boxes = [_channel(page, names, end) for end in (funnel.source, funnel.target)]
        if None not in boxes:
            _add_funnel(page, boxes, funnel.strength < 0, is_paid=funnel.paid)


def _add_funnel(page: _Page, boxes: list[Any], lowers: bool, *, is_paid: bool) -> None:
    """Add an arc on the right of two channels, wider for channels that are farther apart."""
    source, target = boxes
    towards = 0.22 if target.y > source.y else -0.22
    (x, start), (_, end) = source.end(1, source.y + towards), target.end(1, target.y - towards)
    reach = x + 0.03 + min(0.006 * abs(end - start), 0.06)
    points = ((x, start), (reach, start), (reach, end), (x, end))
    style = DASH_DOTTED if is_paid else "-"
    meaning = PAID if is_paid else FUNNEL
    page.arrows.append(_Arrow(points, INK, meaning, lowers, style=style))


def _place_controls(page: _Page, ds: xr.Dataset, config: MMMDataConfig) -> None:
    """Place the controls below the channels."""
    known = [str(name) for name in ds["control"].to_numpy()]
    if not known:
        return
    notes = {coordinate_label(each.name, "c", 0): "follows demand" for each in config.indicators}
    for each in config.observed:
        words = "as surveys estimate it" if each.observed == "survey" else "shows the mediator"
        notes[coordinate_label(each.name, "c", 0)] = words
    notes |= dict.fromkeys(config.promotion_names, "promotion")
    drivers = {
        coordinate_label(each.control, "c", 0): "drives demand"
        for each in (config.demand.drivers if config.demand else ())
    }
    notes |= drivers
    if "control_role" in ds.coords:
        roles = dict(zip(known, map(str, ds["control_role"].to_numpy()), strict=True))
        told = {"collider": "collider: spend and sales move it", "instrument": "moves spend alone"}
        notes |= {name: told[role] for name, role in roles.items() if role in told}
    shown = _most(known, [name for name in known if name in notes], MOST_CONTROLS)
    texts, first = texts_of(ds, "control"), page.n_rows + GAP
    for row, name in enumerate(shown):
        page.controls[name] = _Box(ITEMS, first + row, texts[name], notes.get(name, "control"))
    rest = len(known) - len(shown)
    if rest:
        text = count(rest, "other control")
        page.others[text] = _Box(ITEMS, first + len(shown), text, "controls")
        page.to_sales.append((page.others[text], FAINT, False))
    page.n_rows = first + len(shown) + (rest > 0)


def _place_competitor(page: _Page, config: MMMDataConfig) -> None:
    """Place the competitor below everything that is in the data: nobody records it."""
    if config.competitor is None:
        return
    note = "answers our spend" if config.competitor.answer else "nobody records it"
    box = _Box(ITEMS, page.n_rows + GAP, COMPETITOR, note, RISK, is_hidden=True)
    page.others[COMPETITOR] = box
    page.to_sales.append((box, RISK, True))
    page.n_rows = box.y + 1


def _place_further(page: _Page, ds: xr.Dataset, config: MMMDataConfig) -> None:
    """Place hidden promotions and the causes of `FURTHER` that are not zero below all others."""
    found = [FURTHER[name] for name in FURTHER if name in ds and bool((ds[name] != 0).any())]
    named = zip(config.promotion_names, config.promotions, strict=True)
    found += [(name, "promotion") for name, each in named if not each.observed]
    for name, note in found:
        box = _Box(ITEMS, page.n_rows + GAP, plain_text(name), note, is_hidden=True)
        page.others[name] = box
        page.to_sales.append((box, FAINT, note == CUTS))
        page.n_rows = box.y + 1


def _place_between(page: _Page, config: MMMDataConfig) -> None:
    """Place interactions and mediators beside the channels that they come from."""
    names = config.channel_names
    links: list[tuple[_Box, list[tuple[_Box, bool]], bool, str]] = []
    for pair in config.interactions:
        word = "synergy" if pair.strength > 0 else "cannibalisation"
        box = _Box(BETWEEN, 0.0, word, f"{signed_share(pair.strength)} of base sales")
        parents = _parents(page, names, dict.fromkeys(pair.channels, 1.0))
        links.append((box, parents, pair.strength < 0, ""))
    for each in config.mediators:
        label = coordinate_label(each.name, "c", 0)
        box = _Box(
            BETWEEN,
            0.0,
            plain_text(label),
            "mediator" if each.observed == "whole" else f"mediator, observed: {each.observed}",
            is_hidden=each.observed == "no",
        )
        links.append((box, _parents(page, names, each.parents), each.effect < 0, label))
    links = sorted(links, key=lambda link: _middle(link[1]))
    rows = _spread([_middle(parents) for _, parents, *_ in links], page.n_rows)
    for row, (box, parents, lowers, control) in zip(rows, links, strict=True):
        placed = replace(box, y=row)
        page.between[f"{len(page.between)} {box.text}"] = placed
        for parent, low in parents:
            page.connect(parent, placed, parent.colour, lowers=low)
        page.to_sales.append((placed, INK, lowers))
        _show_in_control(page, placed, control)
    page.n_rows = max(page.n_rows, len(links))


def _parents(page: _Page, names: list[str], rises: Mapping[str, float]) -> list[tuple[_Box, bool]]:
    """Return the boxes of channels, each with True if the channel lowers what it leads to."""
    found = ((_channel(page, names, name), rise < 0) for name, rise in rises.items())
    return [(box, lowers) for box, lowers in found if box is not None]


def _show_in_control(page: _Page, mediator: _Box, name: str) -> None:
    """Add an arrow from a mediator back to the control that shows it."""
    control = page.controls.get(name)
    if control is not None:
        start, (x, y) = (mediator.x, mediator.y + HEIGHT / 2), control.end(1)
        points = (start, (mediator.x, y), (mediator.x, y), (x, y))
        page.arrows.append(_Arrow(points, FAINT, "shown by a control"))


def _place_causes(page: _Page, config: MMMDataConfig) -> tuple[list[str], list[str]]:
    """Place demand and earlier sales at the left; return the channels that answer to them."""
    rules = zip(config.channel_names, config.channels, strict=True)
    used = [(name, each.budget_rule) for name, each in rules if name in page.channels]
    with_rule = [(name, rule) for name, rule in used if rule and rule.kind != "planned"]
    driven = [name for name, rule in with_rule if rule.answers_to == "demand"]
    answering = [name for name, rule in with_rule if rule.answers_to_sales]
    last = max(len(page.channels) - 1, 0)
    both = config.demand is not None and bool(answering)
    top, bottom = (0.25 * last, max(0.75 * last, 1.2)) if both else (0.5 * last, 0.5 * last)
    if config.demand is not None:
        demand = _Box(CAUSES, top, DEMAND, "nobody records it", RISK, is_hidden=True)
        page.others[DEMAND] = demand
        for name in driven:
            page.connect(demand, page.channels[name], RISK, meaning=DEMAND, style=DASHED)
        _connect_controls(page, demand, config)
    if answering:
        earlier = _Box(CAUSES, bottom, EARLIER, "", RISK)
        page.others[EARLIER] = earlier
        for name in answering:
            page.connect(earlier, page.channels[name], RISK, meaning="answer to earlier sales")
        page.n_rows = max(page.n_rows, bottom + 1)
    return driven, answering


def _connect_controls(page: _Page, demand: _Box, config: MMMDataConfig) -> None:
    """Connect demand with controls and promotions that follow it, and with what drives it."""
    followers = [(each.name, each.loading) for each in config.indicators]
    followers += [(each.name, each.answer) for each in config.promotions if each.answer]
    placed = {**page.others, **page.controls}
    for name, slope in followers:
        box = placed.get(coordinate_label(name, "c", 0))
        if box is not None:
            about = {"meaning": DEMAND, "style": DASHED, "lowers": slope < 0}
            page.connect(demand, box, RISK, **about)
    for driver in config.demand.drivers if config.demand else ():
        box = page.controls.get(coordinate_label(driver.control, "c", 0))
        if box is not None:
            page.arrows.append(_Arrow((box.end(-1), demand.end(1, demand.y + 0.2)), FAINT))


def _point_at_sales(page: _Page, ds: xr.Dataset, config: MMMDataConfig) -> None:
    """Place sales at the right, with arrows from everything that moves them."""
    total = ds["channel_contribution"].sum(("date", "geo"))
    for name, box in page.channels.items():
        if "no effect" not in box.note:
            page.to_sales.append((box, box.colour, bool(total.sel(channel=name) < 0)))
    for name, box in page.controls.items():
        moves = bool((ds["control_contribution"].sel(control=name) != 0).any())
        if moves or name in config.promotion_names:
            page.to_sales.append((box, FAINT, _coefficient(ds, name) < 0))
    sources = sorted(page.to_sales, key=lambda source: source[0].y)
    middle = (len(page.channels) - 1) / 2
    height = max(1.5, APART * len(sources) + 0.3)
    sales = _Box(OUTCOME, middle, SALES, colour=INK, height=height)
    page.others[SALES] = sales
    page.n_rows = max(page.n_rows, middle + height / 2 + 0.5)
    for place, (box, colour, lowers) in enumerate(sources):
        y = middle + APART * (place - (len(sources) - 1) / 2)
        # Below the arrows to interactions and mediators, if there are any.
        lower = 0.18 if page.between and box.x == ITEMS else 0.0
        ends = (box.end(1, box.y + lower), sales.end(-1, y))
        page.arrows.append(_Arrow(ends, colour, lowers=lowers))
    if DEMAND in page.others and config.demand is not None:
        lowers = config.demand.effect < 0
        start, end = page.others[DEMAND], (OUTCOME, middle - height / 2)
        over = min(box.y - box.height / 2 for box in page.boxes()) - 0.6 * AROUND
        points = ((CAUSES, start.y - HEIGHT / 2), (CAUSES, over), (OUTCOME, over), end)
        about: Any = {"lowers": lowers, "is_curved": False, "style": DASHED}
        page.arrows.append(_Arrow(points, RISK, DEMAND, **about))
    if EARLIER in page.others:
        end = (CAUSES, page.others[EARLIER].y + HEIGHT / 2)
        under = page.n_rows - 0.5 + 0.6 * AROUND
        points = ((OUTCOME, middle + height / 2), (OUTCOME, under), (CAUSES, under), end)
        page.arrows.append(_Arrow(points, RISK, "answer to earlier sales", is_curved=False))


def _note(channel: ChannelConfig) -> str:
    """Mechanisms of a channel in a few words."""
    rule, path, pull = channel.budget_rule, channel.effect_path, channel.pull_forward
    words = [f"budget: {rule.kind.replace('_', ' ')}"] if rule and rule.kind != "planned" else []
    words += [f"effect: {path.kind.replace('_', ' ')}"] if path else []
    words += [f"borrows {pull.share:.0%} from later"] if pull else []
    words += [f"{channel.spillover:.0%} spills over"] if channel.spillover else []
    return ", ".join(words)


def _most(names: list[str], linked: list[str], most: int) -> list[str]:
    """Return names in their order: all if they fit, else those linked and the first others."""
    if len(names) <= most:
        return names
    free = [name for name in names if name not in linked]
    kept = {*linked, *free[: max(most - 1 - len(linked), 0)]}
    return [name for name in names if name in kept]


def _channel(page: _Page, names: list[str], written: str) -> _Box | None:
    """Return the box of a channel; None if a selection has lost it."""
    return page.channels.get(names[channel_position(written, names)])


def _middle(parents: Sequence[tuple[_Box, bool]]) -> float:
    """Return the row of a box beside its parents, above the arrows that pass it by."""
    return float(np.mean([box.y for box, _ in parents])) - 0.4 if parents else 0.0


def _spread(wanted: Sequence[float], n_rows: float) -> list[float]:
    """Return rows in the order of those wanted, at least 1.1 apart, within the rows if they fit.

    Examples
    --------
    >>> _spread([0.0, 0.0, 5.0], 6)
    [0.0, 1.1, 5.0]
    """
    rows: list[float] = []
    for row in wanted:
        rows.append(max(row, rows[-1] + 1.1) if rows else row)
    beyond = min(max(rows[-1] - (n_rows - 1), 0.0), rows[0]) if rows else 0.0
    return [row - beyond for row in rows]


def _coefficient(ds: xr.Dataset, control: str) -> float:
    """Return the effect of a control; 0 if it is not known, as after an aggregation."""
    found = (ds[name] for name in ("control_elasticity", "gamma_control") if name in ds)
    return float(sum(each.sel(control=control).fillna(0).sum() for each in found))


# Drawing --------------------------------------------------------------------------------------


def _draw_arrow(axes: Axes, arrow: _Arrow) -> None:
    """Draw a curve that begins and ends level, or a line along all points."""
    points = list(arrow.points)
    if arrow.is_curved and len(points) == 2:
        (left, start), (right, end) = points
        middle = (left + right) / 2
        points = [(left, start), (middle, start), (middle, end), (right, end)]
    if arrow.lowers:
        points[-1] = _before(*points[-2:])
    code = Path.CURVE4 if arrow.is_curved else Path.LINETO
    path = Path(points, [Path.MOVETO, *[code] * (len(points) - 1)])
    ending = "|-|,widthA=0,widthB=4" if arrow.lowers else "-|>,head_length=5,head_width=2.5"
    axes.add_patch(
        FancyArrowPatch(
            path=path,
            arrowstyle=ending,
            mutation_scale=1,
            color=arrow.colour,
            linestyle=arrow.style,
            linewidth=1.3,
            joinstyle="round",
            zorder=2,
        )
    )


def _before(earlier: Point, end: Point) -> Point:
    """Return a point a little before the end of an arrow, so that a bar there is seen."""
    (x, y), (from_x, from_y) = end, earlier
    beside = BAR * np.sign(from_x - x)
    return (x + beside, y) if from_x != x else (x, y + WIDTH / STEP * BAR * np.sign(from_y - y))


def _draw_box(axes: Axes, box: _Box) -> None:
    width = WIDTHS[box.x]
    axes.add_patch(
        FancyBboxPatch(
            (box.x - width / 2, box.y - box.height / 2),
            width,
            box.height,
            boxstyle="round,pad=0,rounding_size=0.006",
            mutation_aspect=WIDTH / STEP,
            facecolor="white" if box.is_hidden or box.x != OUTCOME else BASE_COLOUR,
            edgecolor=box.colour,
            linestyle=DASHED if box.is_hidden else "-",
            linewidth=1.4,
            zorder=3,
        )
    )
    words: Any = {"ha": "center", "va": "center", "zorder": 4}
    lift = 0.17 if box.note else 0.0
    axes.text(box.x, box.y - lift, box.text, fontsize=9, weight="bold", **words)
    if box.note:
        axes.text(box.x, box.y + 1.25 * lift, box.note, fontsize=7.5, color=FAINT, **words)


def _legend(arrows: Sequence[_Arrow]) -> dict[str, Artist]:
    """Entries for the kinds of arrows that are drawn."""
    entries: dict[str, Artist] = {}
    if any(not arrow.lowers for arrow in arrows):
        entries["raises"] = _sample(INK, "-", ">")
    if any(arrow.lowers for arrow in arrows):
        entries["lowers"] = _sample(INK, "-", "|")
    for arrow in arrows:
        if arrow.meaning:
            entries.setdefault(arrow.meaning, _sample(arrow.colour, arrow.style, ""))
    return entries


def _sample(colour: str, style: Any, marker: str) -> Artist:
    return Line2D([], [], color=colour, linestyle=style, marker=marker, markersize=6, linewidth=1.3)


def _titles(page: _Page, driven: int, answering: int, n_channels: int) -> list[str]:
    parts = []
    if DEMAND in page.others:
        both = f" and the spend of {driven} of {count(n_channels, 'channel')}" if driven else ""
        parts.append(f"latent demand moves sales{both}")
    if answering:
        parts.append(f"{answering} of {count(n_channels, 'channel')} answer to earlier sales")
    if COMPETITOR in page.others:
        parts.append("a competitor takes sales")
    if not parts:
        moved = any(box in page.controls.values() for box, *_ in page.to_sales)
        parts.append("spend and controls move sales" if moved else "spend moves sales")
    return parts


def _sizes(ds: xr.Dataset, config: MMMDataConfig) -> list[str]:
    counts = {
        "channel": ds.sizes["channel"],
        "control": ds.sizes["control"],
        "funnel": len(config.funnels),
        "interaction": len(config.interactions),
        "mediator": len(config.mediators),
        "promotion": len(config.promotions),
    }
    sizes = [count(number, noun) for noun, number in counts.items() if number]
    correlated = config.spend_correlation or config.synchronised_flights
    return [*sizes, *(["campaigns of channels come together"] if correlated else [])]
