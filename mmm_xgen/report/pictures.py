"""The pictures of a report in their order, and the data that each needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from mmm_xgen.errors import ConfigError
from mmm_xgen.report.content import Block, Picture, Text, attempt
from mmm_xgen.report.images import data_uri
from mmm_xgen.report.subject import Subject
from mmm_xgen.truth import optimize_allocation

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

# Pages of a picture that a report shows.
MOST_PAGES = 3
# Curves, one per geo and channel, over which a best split is looked for.
MOST_CURVES = 300


def _any(_: xr.Dataset) -> bool:
    return True


def _many_geos(ds: xr.Dataset) -> bool:
    return ds.sizes["geo"] > 1


def _controls(ds: xr.Dataset) -> bool:
    return ds.sizes["control"] > 0


@dataclass(frozen=True)
class Drawing:
    """One call of `mmm_xgen.plots`.

    Parameters
    ----------
    function : str
        Its name.
    what : str
        What the picture shows, for those who do not see it.
    needs : {"observed", "truth", "parameters"}
        What the data must have.
    arguments : mapping
        Further arguments.
    paged : bool
        Whether it takes ``page=``.
    slow : bool
        Whether it is slow with many geos and channels.
    with_plan : bool
        Whether it takes the best split of the budget too.
    suits : callable
        Whether the picture says anything of a dataset.
    """

    function: str
    what: str
    needs: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    paged: bool = False
    slow: bool = False
    with_plan: bool = False
    suits: Callable[[xr.Dataset], bool] = _any

    def arguments_of(self, page: int) -> dict[str, Any]:
        """Further arguments of the call for a page."""
        return {**self.arguments, **({"page": page} if page > 1 else {})}


OVERVIEW = (
    Drawing("plot_overview", "Sales, contributions, spend, returns and response", "truth"),
    Drawing(
        "plot_spend",
        "Spend by channel over time",
        "observed",
        suits=lambda ds: "channel_contribution" not in ds,
    ),
)
WORLD = (Drawing("plot_world", "Who causes what", "truth", {"over_time": False}),)
SALES = (
    Drawing("plot_sales", "Sales and what they are made of over time", "observed"),
    Drawing(
        "plot_contributions",
        "Contribution of each channel on top of the baseline",
        "truth",
        {"kind": "stacked"},
    ),
    Drawing("plot_waterfall", "Sales from base to total, part by part", "truth"),
    Drawing("plot_attribution", "Share of sales by channel", "truth", paged=True),
    Drawing("plot_baseline", "Intercept, trend, seasons and events", "truth"),
    Drawing("plot_decomposition", "Sales taken apart as a time series", "observed"),
    Drawing("plot_controls", "Controls over time", "observed", paged=True, suits=_controls),
)
MEDIA = (
    Drawing("plot_spend", "Spend by channel over time", "truth"),
    Drawing("plot_spend", "Spend by channel and date", "observed", {"kind": "heatmap"}, paged=True),
    Drawing("plot_spend_distribution", "Distribution of spend by channel", "observed", paged=True),
    Drawing("plot_roas", "Return and marginal return by channel", "truth", paged=True),
    Drawing("plot_response_curves", "Response curves", "parameters", paged=True),
    Drawing("plot_adstock_kernels", "Carry-over of spend", "parameters", paged=True),
    Drawing("plot_response_stages", "Spend, carry-over and response", "parameters"),
    Drawing("plot_efficiency_frontier", "Revenue by total budget", "parameters", slow=True),
    Drawing("plot_budget", "Best split of the budget", "parameters", slow=True, with_plan=True),
)
GEOS = (
    Drawing("plot_geos", "Geos compared", "observed", suits=_many_geos),
    Drawing(
        "plot_roas", "Returns by geo and channel", "truth", {"by": "geo"}, paged=True,
        suits=_many_geos,
    ),
)  # fmt: skip
CORRELATION = (
    Drawing("plot_correlation", "Correlation of sales, spend and controls", "observed"),
    Drawing("plot_lags", "Correlation of spend with later sales", "observed", paged=True),
    Drawing("plot_spend_against_sales", "Sales against spend", "observed", paged=True),
)
OUTLIERS = (Drawing("plot_outliers", "Values far from the others", "observed"),)
RECOVERABILITY = (
    Drawing(
        "plot_information_bound", "Error of each channel's return at best", "parameters", paged=True
    ),
)


def draw(subject: Subject, drawings: Sequence[Drawing]) -> list[Block]:
    """Draw the pictures that suit the data, with a note for each that cannot be drawn."""
    ds = subject.ds
    if ds is None:
        return []
    has = {
        "observed": True,
        "truth": subject.has_truth,
        "parameters": subject.has_parameters,
    }
    blocks: list[Block] = []
    for drawing in drawings:
        if not has[drawing.needs] or not drawing.suits(ds):
            continue
        if drawing.slow and ds.sizes["geo"] * ds.sizes["channel"] > MOST_CURVES:
            why = "left out, since it takes long for so many geos and channels"
            blocks.append(Text(f"{drawing.what}: {why}.", "note", _code(drawing, 1)))
            continue
        blocks += attempt(drawing.what, partial(_pages, ds, drawing))
    return blocks


def _pages(ds: xr.Dataset, drawing: Drawing) -> Sequence[Block]:
    """Draw the first pages of a picture."""
    blocks: list[Block] = []
    for page in range(1, 2 + (MOST_PAGES if drawing.paged else 0)):
        try:
            figure = _figure(ds, drawing, page)
        except ConfigError as error:
            if page > 1 and error.path == "page":
                break
            raise
        code = _code(drawing, page)
        if page > MOST_PAGES:
            blocks.append(Text("There are more pages.", "note", code))
            break
        source, width, height = data_uri(figure)
        blocks.append(Picture(source, _alt(drawing.what, figure), code, width, height))
    return blocks


def _figure(ds: xr.Dataset, drawing: Drawing, page: int) -> Figure:
    from mmm_xgen import plots

    function: Callable[..., Figure] = getattr(plots, drawing.function)
    more = [optimize_allocation(ds)] if drawing.with_plan else []
    return function(ds, *more, **drawing.arguments_of(page))


def _code(drawing: Drawing, page: int) -> str:
    arguments = ["ds", *(["ds.mmm.optimize_allocation()"] if drawing.with_plan else [])]
    arguments += [f"{name}={value!r}" for name, value in drawing.arguments_of(page).items()]
    return f"{drawing.function}({', '.join(arguments)})"


def _alt(what: str, figure: Figure) -> str:
    """Describe a picture by its subject and its title."""
    titles = [figure.get_suptitle(), *(axes.get_title(loc="left") for axes in figure.axes)]
    title = next((text for text in titles if text), "")
    plain = " ".join(title.replace(r"\$", "$").split())
    return f"{what}: {plain}" if plain else what
