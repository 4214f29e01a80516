"""Galleries of presets and plots: the pictures, and the pages that show them.

Every picture is drawn by the call that its page prints beside it.
"""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import matplotlib as mpl
import xarray as xr
from files import keep_only, table, write
from PIL import Image

import mmm_xgen
from mmm_xgen import plots, truth
from mmm_xgen.presets.named_worlds import GROUPS

RESOLUTION = 80
# Colours of a picture of a world.
COLOURS = 64


@dataclass(frozen=True)
class Picture:
    """One picture of the gallery of plots.

    `call` is a Python expression over `plots`, `truth` and `ds`, the dataset of the preset.
    """

    name: str
    words: str
    call: str
    preset: str = "medium_business"


PICTURES = (
    Picture("plot_overview", "All on one page.", "plots.plot_overview(ds)"),
    Picture("plot_spend", "Spend over time, as lines ...", "plots.plot_spend(ds)"),
    Picture("plot_spend", "... stacked ...", 'plots.plot_spend(ds, kind="area")'),
    Picture("plot_spend", "... or as a heatmap.", 'plots.plot_spend(ds, kind="heatmap")'),
    Picture(
        "plot_response_stages",
        "From spend to carry-over to saturated response.",
        "plots.plot_response_stages(ds)",
        "small_business",
    ),
    Picture(
        "plot_adstock_kernels",
        "How the effect of spend is spread over the periods after it.",
        "plots.plot_adstock_kernels(ds)",
    ),
    Picture(
        "plot_contributions",
        "What each channel adds to sales.",
        "plots.plot_contributions(ds)",
    ),
    Picture(
        "plot_contributions",
        "The same, stacked on the baseline.",
        'plots.plot_contributions(ds, kind="stacked")',
    ),
    Picture(
        "plot_world",
        "Sales, spend, what breaks, and who causes what: budgets that follow demand.",
        'plots.plot_world(mmm_xgen.generate_mmm_dataset("demand_chasing"))',
    ),
    Picture("plot_waterfall", "From base sales to sales.", "plots.plot_waterfall(ds)"),
    Picture("plot_attribution", "Shares of sales.", "plots.plot_attribution(ds)"),
    Picture("plot_roas", "Average and marginal return.", "plots.plot_roas(ds)"),
    Picture("plot_roas", "The same by geo.", 'plots.plot_roas(ds, by="geo")'),
    Picture("plot_response_curves", "Response curves.", "plots.plot_response_curves(ds)"),
    Picture(
        "plot_response_curves",
        "Marginal return along them.",
        "plots.plot_response_curves(ds, marginal=True)",
    ),
    Picture(
        "plot_efficiency_frontier",
        "What the best split of each budget earns.",
        "plots.plot_efficiency_frontier(ds)",
        "small_business",
    ),
    Picture(
        "plot_scenarios",
        "Scenarios side by side.",
        "plots.plot_scenarios(truth.compare_scenarios(ds, {\n"
        '    "a fifth more": {"channel": ds.channel.values[0], "by": 0.2},\n'
        '    "off": {"channel": ds.channel.values[0], "by": -1.0},\n'
        "}))",
        "small_business",
    ),
    Picture(
        "plot_what_if",
        "One plan beside today's spend.",
        "plots.plot_what_if(\n"
        "    ds, truth.change_investment(ds, channel=ds.channel.values[0], by=1.0)\n"
        ")",
        "small_business",
    ),
    Picture(
        "plot_budget",
        "The best split of today's budget against today's.",
        "plots.plot_budget(ds, truth.optimize_allocation(ds))",
        "small_business",
    ),
    Picture(
        "plot_information_bound",
        "How well the data can tell the returns at best.",
        "plots.plot_information_bound(ds)",
        "small_business",
    ),
    Picture("plot_baseline", "What sells without media.", "plots.plot_baseline(ds)"),
    Picture("plot_controls", "Controls and what they do.", "plots.plot_controls(ds)"),
    Picture("plot_sales", "Sales and what they are made of.", "plots.plot_sales(ds)"),
    Picture(
        "plot_decomposition",
        "A decomposition of observed sales, the truth marked.",
        "plots.plot_decomposition(ds)",
    ),
    Picture("plot_geos", "Geos beside each other.", "plots.plot_geos(ds)"),
    Picture(
        "plot_correlation",
        "What moves together, within geos.",
        "plots.plot_correlation(ds)",
    ),
    Picture(
        "plot_spend_distribution",
        "How much each channel spends in a period.",
        "plots.plot_spend_distribution(ds)",
    ),
    Picture(
        "plot_spend_against_sales",
        "Sales against the spend of each channel.",
        "plots.plot_spend_against_sales(ds)",
    ),
    Picture("plot_lags", "How long sales follow spend.", "plots.plot_lags(ds)"),
    Picture("plot_pairs", "Sales, spends and controls, two by two.", "plots.plot_pairs(ds)"),
    Picture("plot_quality", "The data quality sheet.", "plots.plot_quality(ds)"),
    Picture("plot_outliers", "Values far from their neighbours.", "plots.plot_outliers(ds)"),
)


def available() -> list[Picture]:
    """Pictures whose function there is."""
    return [picture for picture in PICTURES if picture.name in plots.__all__]


@cache
def dataset(preset: str) -> xr.Dataset:
    """Return the dataset of a preset with its own seed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mmm_xgen.XgenWarning)
        return mmm_xgen.generate_mmm_dataset(mmm_xgen.get_preset_config(preset))


def draw(picture: Picture) -> Any:
    """Evaluate the call that the page prints."""
    names = {"mmm_xgen": mmm_xgen, "plots": plots, "truth": truth}
    names["ds"] = dataset(picture.preset)
    return eval(picture.call, names)


def png(figure: Any) -> bytes:
    """Bytes of a figure, the same for the same figure."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=RESOLUTION, metadata={"Software": None})
    return buffer.getvalue()


def small_png(figure: Any) -> bytes:
    """Bytes of a figure in few colours, a third as many."""
    with Image.open(io.BytesIO(png(figure))) as image:
        buffer = io.BytesIO()
        image.convert("RGB").quantize(COLOURS).save(buffer, format="png", optimize=True)
    return buffer.getvalue()


def write_pages(target: Path) -> None:
    """Draw everything and write all pages into the folder `target`."""
    # Elsewhere a test or a notebook may have changed it.
    with mpl.rc_context(mpl.rcParamsDefault):
        kept = {*_write_presets(target), *_write_worlds(target), *_write_plots(target)}
    keep_only(target / "pictures", kept)


def _write_presets(target: Path) -> list[str]:
    presets = mmm_xgen.list_available_presets()
    rows, sections = [], []
    for name, description in presets.items():
        ds = dataset(name)
        write(target / "pictures" / f"preset_{name}.png", png(plots.plot_overview(ds)))
        sizes = [str(ds.sizes[dim]) for dim in ("date", "geo", "channel", "control")]
        share = float((ds.channel_contribution.sum() / ds.mu.sum()).item())
        rows.append([f"[`{name}`](#{_anchor(name)})", ds.attrs["freq"], *sizes, f"{share:.0%}"])
        sections.append(
            f"({_anchor(name)})=\n## `{name}`\n\n{description}\n\n"
            f"```bash\nmmm-xgen generate {name}\n```\n\n"
            f"![Overview of the preset {name}](pictures/preset_{name}.png)\n"
        )
    head = [
        "preset",
        "frequency",
        "dates",
        "geos",
        "channels",
        "controls",
        "media's share of sales",
    ]
    page = (
        "# Presets\n\n"
        f"{len(presets)} ready configurations. `mmm-xgen show NAME` prints one to be edited, "
        "`customize_preset(name, ...)` changes parts of one in Python. The pictures are of the "
        "seed that each ships with.\n\n"
        f"{table(head, rows)}\n\n" + "\n".join(sections)
    )
    write(target / "presets.md", page)
    return [f"preset_{name}.png" for name in presets]


def _write_worlds(target: Path) -> list[str]:
    worlds = mmm_xgen.list_available_worlds().values()
    rows, sections = [], []
    for group in GROUPS:
        own = [world for world in worlds if world.group == group]
        sections += [f"## {group.capitalize()}\n"] if own else []
        for world in own:
            figure = plots.plot_world(dataset(world.name))
            write(target / "pictures" / f"world_{world.name}.png", small_png(figure))
            link = f"[`{world.name}`](#world-{world.name.replace('_', '-')})"
            rows.append([link, group, world.short, world.bias])
            sections.append(
                f"(world-{world.name.replace('_', '-')})=\n### `{world.name}`\n\n"
                f"{world.breaks} Bias of least squares: {world.bias}.\n\n"
                f"![The world {world.name}](pictures/world_{world.name}.png)\n"
            )
    page = (
        "# Pictures of the worlds\n\n"
        f"Each of the {len(rows)} [named worlds](../worlds.md) in one picture: sales, spend, what "
        "breaks, and who causes what. Where nothing that changes over time breaks, the last panel "
        "has the sales that each channel makes. A world is drawn by\n\n"
        "```python\nimport mmm_xgen\nfrom mmm_xgen import plots\n\n"
        'plots.plot_world(mmm_xgen.generate_mmm_dataset("demand_chasing"))\n```\n\n'
        f"{table(['world', 'kind', 'what breaks', 'bias'], rows)}\n\n" + "\n".join(sections)
    )
    write(target / "gallery_of_worlds.md", page)
    return [f"world_{world.name}.png" for world in worlds]


def _anchor(preset: str) -> str:
    return f"preset-{preset.replace('_', '-')}"


def _write_plots(target: Path) -> list[str]:
    names, parts, before = [], [], ""
    for number, picture in enumerate(available()):
        name = f"{picture.name}_{number}.png"
        write(target / "pictures" / name, png(draw(picture)))
        names.append(name)
        if picture.name != before:
            parts.append(f"## {{py:func}}`~mmm_xgen.plots.{picture.name}`\n")
        before = picture.name
        parts.append(
            f"{picture.words} Preset `{picture.preset}`.\n\n"
            f"```python\n{picture.call}\n```\n\n"
            f"![{picture.words}](pictures/{name})\n"
        )
    page = (
        "# Plots\n\n"
        "Each function takes a Dataset and returns a `matplotlib.figure.Figure` of its own, to be "
        'saved with `figure.savefig("sales.png")` or shown by a notebook. `ds` is the dataset of '
        "the preset that is named:\n\n"
        "```python\nimport mmm_xgen\nfrom mmm_xgen import plots, truth\n\n"
        "ds = mmm_xgen.generate_mmm_dataset(mmm_xgen.get_preset_config(...))\n```\n\n"
        + "\n".join(parts)
    )
    write(target / "plots.md", page)
    return names
