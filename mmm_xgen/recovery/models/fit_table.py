"""The summary of a least-squares fit as text."""

from __future__ import annotations

import xarray as xr

from mmm_xgen.errors import ConfigError


def table_of(
    statistics: xr.Dataset,
    coefficients: xr.Dataset,
    roas: xr.Dataset,
    transforms: xr.Dataset,
    level: float,
) -> str:
    """Write the statistics, coefficients, transforms and returns of one fit as text.

    Raises
    ------
    ConfigError
        If the fit has a dim `dataset`.
    """
    if "dataset" in statistics.dims:
        raise ConfigError("found a fit of many datasets, allowed: of one; take fit.at(label) first")
    figures = {str(name): float(value) for name, value in statistics.items()}
    rank = int(coefficients["kept"].sum())
    lines = [
        f"Least squares: {figures['n_rows']:.0f} rows, {rank} coefficients, "
        f"{figures['residual_freedom']:.0f} degrees of freedom",
        f"R2 {figures['r_squared']:.4f}   adjusted R2 {figures['adjusted_r_squared']:.4f}   "
        f"residual sd {figures['residual_sd']:.6g}",
        f"AIC {figures['aic']:.2f}   BIC {figures['bic']:.2f}   "
        f"Durbin-Watson {figures['durbin_watson']:.3f}",
        "",
        *_coefficients(coefficients, level),
        "",
        *_returns(roas, transforms, level),
        "",
        "Standard errors, p and intervals are given the chosen transforms.",
    ]
    dropped = coefficients["term"].values[~coefficients["kept"].values]
    if len(dropped):
        lines.append(f"No coefficient, for want of variation of its own: {', '.join(dropped)}")
    return "\n".join(lines)


def _coefficients(table: xr.Dataset, level: float) -> list[str]:
    names = ("estimate", "standard_error", "t_value", "p_value", "lower", "upper")
    heads = ("estimate", "std. error", "t", "p", *_ends(level))
    width = max(map(len, table["term"].values))
    lines = [" " * width + "".join(f"{head:>13}" for head in heads)]
    for position, term in enumerate(table["term"].values):
        own = table.isel(term=position)
        formats = (".5g", ".4g", ".2f", ".4f", ".5g", ".5g")
        cells = [f"{float(own[name]):>13{f}}" for name, f in zip(names, formats, strict=True)]
        lines.append(f"{term:<{width}}" + "".join(cells))
    return lines


def _returns(roas: xr.Dataset, transforms: xr.Dataset, level: float) -> list[str]:
    channels = roas["channel"].values
    width = max(len("channel"), *(len(str(channel)) for channel in channels))
    heads = ["ROAS", *_ends(level)]
    searched = list(transforms.data_vars)
    if searched:
        heads += ["alpha", "half point"]
    lines = [f"{'channel':<{width}}" + "".join(f"{head:>13}" for head in heads)]
    for position, channel in enumerate(channels):
        own = roas.isel(channel=position)
        values = [float(own[name]) for name in ("estimate", "lower", "upper")]
        if searched:
            chosen = transforms.isel(channel=position)
            values += [float(chosen["adstock_alpha"]), float(chosen["half_point"])]
        lines.append(f"{channel!s:<{width}}" + "".join(f"{value:>13.4g}" for value in values))
    return lines


def _ends(level: float) -> tuple[str, str]:
    tail = 50 * (1 - level)
    return f"{tail:.3g}%", f"{100 - tail:.3g}%"
