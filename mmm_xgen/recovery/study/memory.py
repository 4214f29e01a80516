"""How much memory a fit will need, how much there is, and how much it took."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mmm_xgen.config.data import MMMDataConfig
from mmm_xgen.recovery.estimates import FEWEST_DRAWS, LARGEST_SERIES
from mmm_xgen.recovery.fit import FitSettings

NUMBER = 8  # bytes
MEGABYTE = 1e6
RESET = Path("/proc/self/clear_refs")
CGROUP = Path("/sys/fs/cgroup")

# Bytes that a library takes before it holds a single draw: its code, and compiled models.
BEFORE_DRAWS = {"pymc-": 1.5e9, "meridian-": 2.5e9, "prior-only": 1.5e9}
ELSEWHERE = 0.4e9
# How many times over the draws are held at the worst moment. The JAX samplers compute what is
# derived from the parameters for all draws at once.
COPIES = {"nutpie": 2, "pymc": 2, "numpyro": 4, "blackjax": 4}
SCORING_COPIES = 4
SAMPLING = ("pymc-", "meridian-")


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """Sizes of a dataset, by which models grow.

    Parameters
    ----------
    dates, geos, channels, controls : int
        How many there are.
    """

    dates: int
    geos: int
    channels: int
    controls: int

    @classmethod
    def of(cls, config: MMMDataConfig) -> Sizes:
        """Sizes of what a configuration generates."""
        return cls(
            dates=config.n_periods,
            geos=config.regions.n_regions,
            channels=len(config.channels),
            controls=len(config.control_variables),
        )


def parameters_at_most(sizes: Sizes) -> int:
    r"""Number of parameters of the largest arm, of which estimates of memory are made.

    .. math:: C (7 + 2 G) + G K + K + 7 G

    adstock, saturation and their hierarchy by channel, media by channel and geo, controls by
    geo, and intercept, four terms of a season, trend and noise by geo.

    Examples
    --------
    >>> parameters_at_most(Sizes(dates=104, geos=2, channels=3, controls=1))
    50
    """
    per_channel = 7 + 2 * sizes.geos
    per_geo = sizes.controls + 7
    return sizes.channels * per_channel + sizes.geos * per_geo + sizes.controls


def estimated_memory(model: str, settings: FitSettings, sizes: Sizes) -> float:
    r"""Memory that a fit takes at its worst moment, in bytes; an estimate.

    .. math::

        b + 8 k\, n_\text{chains} n_\text{draws} (P + D G)
        + 8 \cdot 4\, n_\text{scored} D G (C + 2)

    with D dates, G geos, C channels, K controls, P `parameters_at_most`, b what the library
    takes at first and k the copies of the draws, which the baseline is made of too. A model that
    does not sample has no second term; series are scored in fewer draws where they are long.

    Parameters
    ----------
    model : str
        Name of the model, whose beginning says which library it is of.
    settings : FitSettings
        Chains, draws, scored draws and sampler.
    sizes : Sizes
        Of the data.

    Returns
    -------
    float
        Bytes.

    Examples
    --------
    >>> sizes = Sizes(dates=104, geos=1, channels=3, controls=2)
    >>> round(estimated_memory("pymc-default", FitSettings(), sizes) / 1e6)
    1526
    """
    cells = sizes.dates * sizes.geos
    first = next((b for begin, b in BEFORE_DRAWS.items() if model.startswith(begin)), ELSEWHERE)
    n_draws = settings.chains * settings.draws if model.startswith(SAMPLING) else 0
    copies = COPIES["numpyro" if model.startswith("meridian-") else settings.sampler]
    kept = copies * n_draws * (parameters_at_most(sizes) + cells)
    most = max(FEWEST_DRAWS, LARGEST_SERIES // (cells * max(sizes.channels, 1)))
    scored = min(settings.scored_draws, most)
    return first + NUMBER * (kept + SCORING_COPIES * scored * cells * (sizes.channels + 2))


def available_memory() -> float:
    """Memory that this process may still take, in bytes; a container's limit counts."""
    import psutil

    free = float(psutil.virtual_memory().available)
    try:
        limit = (CGROUP / "memory.max").read_text(encoding="ascii").strip()
        used = (CGROUP / "memory.current").read_text(encoding="ascii").strip()
        rows = (CGROUP / "memory.stat").read_text(encoding="ascii").split()
        # Files that nobody reads any more count as used, but give way.
        idle = dict(zip(rows[::2], rows[1::2], strict=True)).get("inactive_file", "0")
        return min(free, float(limit) - float(used) + float(idle)) if limit != "max" else free
    except (OSError, ValueError):
        return free


@dataclass(frozen=True, kw_only=True)
class Before:
    """Memory before a fit, in megabytes.

    Parameters
    ----------
    forgotten : bool
        Whether the system forgot the peak so far, as Linux does.
    held : float
        What the process held.
    largest_child : float
        The most that a child of it that has ended ever held; no system forgets that.
    """

    forgotten: bool
    held: float
    largest_child: float


def begin_peak() -> Before:
    """Forget the peak so far."""
    import psutil

    held = psutil.Process().memory_info().rss / MEGABYTE
    child = _high_water()["largest_child"]
    try:
        RESET.write_text("5", encoding="ascii")
    except OSError:
        return Before(forgotten=False, held=held, largest_child=child)
    return Before(forgotten=True, held=held, largest_child=child)


def peak_memory(before: Before) -> Mapping[str, float]:
    """Most memory that this process, and the largest child that it had since, held.

    Parameters
    ----------
    before : Before
        From `begin_peak`.

    Returns
    -------
    mapping of str to float
        Megabytes: ``before``, ``process``, and ``largest_child``, NaN if no child held more than
        those before did.
    """
    found = _high_water()
    child = found["largest_child"]
    larger = child if child > before.largest_child else math.nan
    return {"before": before.held, "process": found["process"], "largest_child": larger}


def _high_water() -> dict[str, float]:
    """Megabytes of this process and of its largest ended child, in all their life."""
    try:
        import resource
    except ImportError:
        return {"process": math.nan, "largest_child": math.nan}
    import sys

    # macOS counts bytes where Linux counts kilobytes.
    unit = 1.0 if sys.platform == "darwin" else 1024.0
    return {
        name: resource.getrusage(who).ru_maxrss * unit / MEGABYTE
        for name, who in (
            ("process", resource.RUSAGE_SELF),
            ("largest_child", resource.RUSAGE_CHILDREN),
        )
    }
