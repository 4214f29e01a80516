"""Interface of benchmark models: a function from data and settings to a `Fit`."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, TypeAlias

import pandas as pd
import xarray as xr

from mmm_xgen.errors import ConfigError, nearest
from mmm_xgen.kernels.registry import Function, Registry, registering
from mmm_xgen.schema import takes_datasets

# Modules that each sampler needs.
SAMPLERS = {
    "nutpie": ("nutpie",),
    "pymc": (),
    "numpyro": ("numpyro", "jax"),
    "blackjax": ("blackjax", "jax"),
}
LOWEST = {"chains": 1, "draws": 1, "tune": 1, "scored_draws": 1, "cores": 1, "seed": 0}
# Settings that matter to every model, because scores depend on them.
ALWAYS_USED = ("seed", "train_end", "scored_draws")


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
        Last date that the model sees, ISO 8601; all dates by default. As in xarray's slices,
        ``"2023-06"`` is all of June. What comes after is predicted, with its true spend.
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
        for name, least in LOWEST.items():
            if name != "cores" or self.cores is not None:
                # NumPy's integers become Python's, which JSON can hold.
                object.__setattr__(self, name, _whole(getattr(self, name), least, name))
        if not 0 < self.target_accept < 1:
            raise ConfigError(
                f"found {self.target_accept}, allowed: between 0 and 1",
                path="settings.target_accept",
            )
        if self.train_end is not None:
            _check_date(self.train_end)


def _whole(value: Any, least: int, name: str) -> int:
    try:
        number = operator.index(value)
    except TypeError:
        number = least - 1
    if isinstance(value, bool) or number < least:
        raise ConfigError(
            f"found {value!r}, allowed: {least} or more, and whole", path=f"settings.{name}"
        )
    return number


def _check_date(text: Any) -> None:
    try:
        # pandas has words for dates that change, such as "today".
        found = isinstance(text, str) and text[:4].isdigit() and pd.Timestamp(text).tzinfo is None
    except ValueError:
        found = False
    if not found:
        raise ConfigError(
            f'found {text!r}, allowed: a date without time zone, such as "2023-06-30"',
            path="settings.train_end",
        )


@dataclass(frozen=True, kw_only=True)
class Fit:
    """Result of a fitted model, in original units and the dataset's own labels.

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
        NaN where one cannot be computed; empty for models that do not sample.
    not_computed : mapping of str to str
        Diagnostics that cannot be computed, each with the reason. Such a fit has not converged.
    timings : mapping of str to float
        Seconds: ``build``, ``compile``, ``sample``, ``total``.
    no_single_truth : mapping of str to str
        Parameters of the model that have no counterpart in the data, each with the reason.
    inference : Any
        The library's own result, an ArviZ InferenceData or a DataTree, if there is one.
    prior : Fit, optional
        What the same model says without data: draws of its own prior, as `estimates` (``roas``)
        and `parameters`, for contraction and efficiency. A model without a prior has none.
    """

    estimates: xr.Dataset
    parameters: xr.Dataset = field(default_factory=xr.Dataset)
    diagnostics: Mapping[str, float] = field(default_factory=dict)
    not_computed: Mapping[str, str] = field(default_factory=dict)
    timings: Mapping[str, float] = field(default_factory=dict)
    no_single_truth: Mapping[str, str] = field(default_factory=dict)
    inference: Any = None
    prior: Fit | None = None


Model: TypeAlias = Callable[[xr.Dataset, FitSettings], Fit]
MODELS: Registry[Model] = Registry("model")


@dataclass(frozen=True, kw_only=True)
class RegisteredModel:
    """A model that can be called; the arguments of `register_model` explain its fields."""

    name: str
    function: Any
    uses_settings: tuple[str, ...] = tuple(each.name for each in fields(FitSettings))
    needs: tuple[str, ...] = ()
    runs_on: Mapping[str, str] = field(default_factory=dict)
    prepare: Callable[[], object] | None = None

    def __call__(self, ds: xr.Dataset, settings: FitSettings) -> Fit:
        """Fit the model."""
        fit: Fit = self.function(ds, settings)
        return fit


def about(name: str) -> RegisteredModel:
    """Registration of a model by name; a model registered without details uses every setting.

    Examples
    --------
    >>> "sampler" in about("pymc-default").uses_settings, "sampler" in about("ols").uses_settings
    (True, False)
    """
    found = MODELS.get(name)
    return (
        found if isinstance(found, RegisteredModel) else RegisteredModel(name=name, function=found)
    )


def register_model(
    name: str,
    *,
    uses_settings: Iterable[str] | None = None,
    needs: Iterable[str] = (),
    runs_on: Mapping[str, str] | None = None,
    prepare: Callable[[], object] | None = None,
) -> Callable[[Function], Function]:
    """Add a model to the benchmark: a function of a generated Dataset and `FitSettings`.

    Parameters
    ----------
    name : str
        Name in studies and results.
    uses_settings : iterable of str, optional
        Fields of `FitSettings` that matter to the model, all by default; fits that differ in
        nothing else are the same fit. ``seed``, ``train_end`` and ``scored_draws`` always
        matter.
    needs : iterable of str
        Modules that have to be installed.
    runs_on : mapping of str to str, optional
        Versions, by package, of what the model runs on in an environment of its own.
    prepare : callable, optional
        Called once before a study that has fits of the model to do: it makes what they need, or
        raises what the study is to end with before it begins.

    Raises
    ------
    ConfigError
        If the name is taken, or there is no such setting.

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
    known = RegisteredModel.uses_settings
    used = known if uses_settings is None else (*uses_settings, *ALWAYS_USED)
    if unknown := [each for each in used if each not in known]:
        raise ConfigError(
            f"no setting named {unknown[0]!r}; {nearest(unknown[0], known)}", path="uses_settings"
        )

    return registering(
        MODELS,
        RegisteredModel,
        name,
        uses_settings=used,
        needs=tuple(needs),
        runs_on=dict(runs_on or {}),
        prepare=prepare,
    )


@takes_datasets
def training_dates(ds: xr.Dataset, settings: FitSettings) -> pd.DatetimeIndex:
    """Dates that a model may see.

    Raises
    ------
    ConfigError
        If `train_end` leaves no date, or is after the last one.
    """
    dates = ds.indexes["date"]
    if not isinstance(dates, pd.DatetimeIndex):
        raise ConfigError("found no dates, allowed: a Dataset with dim 'date'", path="ds")
    return seen_of(dates, settings)


def seen_of(dates: pd.DatetimeIndex, settings: FitSettings) -> pd.DatetimeIndex:
    """Return the dates that a model may see; see `training_dates`."""
    if settings.train_end is None:
        return dates
    # As xarray's slices have it, "2023-06" is the whole month.
    seen = dates[dates.slice_indexer(end=settings.train_end)]
    if not len(seen):
        raise ConfigError(
            f"found {settings.train_end}, which is before the first date "
            f"{dates[0].date().isoformat()}",
            path="settings.train_end",
        )
    if pd.Timestamp(settings.train_end) > dates[-1]:
        raise ConfigError(
            f"found {settings.train_end}, which is after the last date "
            f"{dates[-1].date().isoformat()}; leave it out to train on all dates",
            path="settings.train_end",
        )
    return seen


def training_data(ds: xr.Dataset, settings: FitSettings) -> xr.Dataset:
    """The Dataset up to the end of the training window, its history of spend kept."""
    return ds.sel(date=training_dates(ds, settings))
