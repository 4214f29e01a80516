"""What a model is to the benchmark: a function from data and settings to a `Fit`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import pandas as pd
import xarray as xr

from mmm_xgen.errors import ConfigError
from mmm_xgen.registry import Registry

SAMPLERS = ("nutpie", "pymc", "numpyro", "blackjax")


@dataclass(frozen=True, kw_only=True)
class FitSettings:
    """Settings of one fit; each model takes what it has a use for.

    Parameters
    ----------
    sampler : str
        ``"nutpie"``, ``"pymc"``, ``"numpyro"`` or ``"blackjax"``; passed explicitly.
    chains, draws, tune : int
        Markov chains, and their kept and discarded draws.
    target_accept : float
        Target acceptance probability of the sampler, in (0, 1).
    seed : int
        Seed of the fit, not of the data.
    train_end : str, optional
        Last date that the model sees, ISO 8601; all dates by default. What comes after is
        predicted, with its true spend.
    lift_tests : bool
        Whether the model is told the result of a lift test on every channel.
    scored_draws : int
        Number of draws, evenly spaced, that estimates are computed from.
    cores : int, optional
        Processes or threads that the sampler may use; as many as it likes by default.

    Examples
    --------
    >>> FitSettings(draws=500).sampler
    'nutpie'
    """

    sampler: str = "nutpie"
    chains: int = 4
    draws: int = 1000
    tune: int = 1000
    target_accept: float = 0.9
    seed: int = 1
    train_end: str | None = None
    lift_tests: bool = False
    scored_draws: int = 1000
    cores: int | None = None

    def __post_init__(self) -> None:
        if self.sampler not in SAMPLERS:
            raise ConfigError(
                f"found {self.sampler!r}, allowed: {', '.join(SAMPLERS)}", path="settings.sampler"
            )
        for name in ("chains", "draws", "tune", "scored_draws"):
            if getattr(self, name) < 1:
                raise ConfigError(
                    f"found {getattr(self, name)}, allowed: 1 or more", path=f"settings.{name}"
                )
        if not 0 < self.target_accept < 1:
            raise ConfigError(
                f"found {self.target_accept}, allowed: between 0 and 1",
                path="settings.target_accept",
            )


@dataclass(frozen=True, kw_only=True)
class Fit:
    """What a model says about a dataset, in original units and the dataset's own labels.

    Parameters
    ----------
    estimates : Dataset, dims (chain, draw, ...)
        Posterior draws of what every model can be asked, made by
        `mmm_xgen.recovery.estimates.estimates_of`; a model that has no such quantity leaves the
        variable out:

        ``roas`` (channel)
            Over all geos and the training window; see `mmm_xgen.truth.roas`.
        ``mroas`` (channel)
            Likewise, by `mmm_xgen.truth.mroas`.
        ``response_curve`` (channel, multiplier)
            Contribution of the training window, all geos, at multiples of the spend.
        ``channel_contribution`` (date, geo, channel)
            KPI units per period, on all dates.
        ``mu`` (date, geo)
            Expected KPI, on all dates: those after the training window are predictions.
        ``y_sigma`` (geo) or (date, geo)
            Sd of the noise, for predictive draws.
    parameters : Dataset, dims (chain, draw, ...)
        Draws of the parameters under the Dataset's names and in its units; empty where a model
        has none that the Dataset has.
    diagnostics : mapping of str to float
        ``rhat_max``, ``ess_bulk_min``, ``ess_tail_min``, ``divergences``, ``n_parameters``, ...;
        empty for models that do not sample.
    timings : mapping of str to float
        Seconds: ``build``, ``compile``, ``sample``, ``total``.
    no_single_truth : mapping of str to str
        Parameters of the model that have no counterpart in the data, each with the reason.
    inference : Any
        The library's own result, an ArviZ InferenceData or a DataTree, if there is one.
    """

    estimates: xr.Dataset
    parameters: xr.Dataset = field(default_factory=xr.Dataset)
    diagnostics: Mapping[str, float] = field(default_factory=dict)
    timings: Mapping[str, float] = field(default_factory=dict)
    no_single_truth: Mapping[str, str] = field(default_factory=dict)
    inference: Any = None


Model: TypeAlias = Callable[[xr.Dataset, FitSettings], Fit]
MODELS: Registry[Model] = Registry("model")


def register_model(name: str) -> Callable[[Model], Model]:
    """Add a model to the benchmark: a function of a generated Dataset and `FitSettings`.

    Parameters
    ----------
    name : str
        Name in studies and results.

    Raises
    ------
    ConfigError
        If the name is taken.

    Examples
    --------
    >>> import mmm_xgen
    >>> @register_model("half-of-spend")
    ... def half_of_spend(ds, settings):
    ...     roas = 0.5 + 0 * ds.channel.size * ds.spend.isel(date=0, geo=0, drop=True)
    ...     return Fit(estimates=roas.rename("roas").expand_dims(chain=1, draw=1).to_dataset())
    >>> fit = MODELS["half-of-spend"](mmm_xgen.generate_mmm_dataset(), FitSettings())
    >>> fit.estimates.roas.values.tolist()
    [[[0.5, 0.5, 0.5]]]
    """

    def keep(model: Model) -> Model:
        MODELS.add(name, model)
        return model

    return keep


def training_dates(ds: xr.Dataset, settings: FitSettings) -> pd.DatetimeIndex:
    """Dates that a model may see.

    Raises
    ------
    ConfigError
        If `train_end` leaves no date, or is no date.
    """
    dates = ds.indexes["date"]
    if not isinstance(dates, pd.DatetimeIndex):
        raise ConfigError("found no dates, needed: a Dataset with dim 'date'", path="ds")
    if settings.train_end is None:
        return dates
    try:
        end = pd.Timestamp(settings.train_end)
    except ValueError as error:
        raise ConfigError(str(error), path="settings.train_end") from None
    seen = dates[dates <= end]
    if not len(seen):
        raise ConfigError(
            f"found {settings.train_end}, which is before the first date "
            f"{dates[0].date().isoformat()}",
            path="settings.train_end",
        )
    return seen


def training_data(ds: xr.Dataset, settings: FitSettings) -> xr.Dataset:
    """The Dataset up to the end of the training window, its history of spend kept."""
    return ds.sel(date=training_dates(ds, settings))


def models_named(names: Iterable[str]) -> dict[str, Model]:
    """Models by name, in order; an unknown name lists the known ones."""
    return {name: MODELS[name] for name in names}
