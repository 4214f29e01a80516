"""The summary of a least-squares fit as text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mmm_xgen.errors import ConfigError

if TYPE_CHECKING:
    from mmm_xgen.recovery.models.linear_fit import LeastSquares


def table_of(fit: LeastSquares) -> str:
    """Statistics, coefficients, transforms and returns of one fit.

    Raises
    ------
    ConfigError
        If `fit` is of many datasets.
    """
    if "dataset" in fit.statistics.dims:
        raise ConfigError("found a fit of many datasets, needed: of one; take fit.at(label) first")
    figures = {str(name): float(value) for name, value in fit.statistics.items()}
    rank = int(fit.coefficients["kept"].sum())
    lines = [
        f"Least squares: {figures['n_rows']:.0f} rows, {rank} coefficients, "
        f"{figures['residual_freedom']:.0f} degrees of freedom",
        f"R2 {figures['r_squared']:.4f}   adjusted R2 {figures['adjusted_r_squared']:.4f}   "
        f"residual sd {figures['residual_sd']:.6g}",
        f"AIC {figures['aic']:.2f}   BIC {figures['bic']:.2f}   "
        f"Durbin-Watson {figures['durbin_watson']:.3f}",
        "",
        *_coefficients(fit),
        "",
        *_returns(fit),
        "",
        "Standard errors, p and intervals are given the chosen transforms.",
    ]
    dropped = fit.coefficients["term"].values[~fit.coefficients["kept"].values]
    if len(dropped):
        lines.append(f"No coefficient, for want of variation of its own: {', '.join(dropped)}")
    return "\n".join(lines)


def _coefficients(fit: LeastSquares) -> list[str]:
    names = ("estimate", "standard_error", "t_value", "p_value", "lower", "upper")
    heads = ("estimate", "std. error", "t", "p", *_ends(fit))
    table = fit.coefficients
    width = max(map(len, table["term"].values))
    lines = [" " * width + "".join(f"{head:>13}" for head in heads)]
    for position, term in enumerate(table["term"].values):
        own = table.isel(term=position)
        formats = (".5g", ".4g", ".2f", ".4f", ".5g", ".5g")
        cells = [f"{float(own[name]):>13{f}}" for name, f in zip(names, formats, strict=True)]
        lines.append(f"{term:<{width}}" + "".join(cells))
    return lines


def _returns(fit: LeastSquares) -> list[str]:
    roas, channels = fit.roas(), fit.response["channel"].values
    width = max(len("channel"), *(len(str(channel)) for channel in channels))
    heads = ["ROAS", *_ends(fit)]
    searched = list(fit.transforms.data_vars)
    if searched:
        heads += ["alpha", "half point"]
    lines = [f"{'channel':<{width}}" + "".join(f"{head:>13}" for head in heads)]
    for position, channel in enumerate(channels):
        own = roas.isel(channel=position)
        values = [float(own[name]) for name in ("estimate", "lower", "upper")]
        if searched:
            chosen = fit.transforms.isel(channel=position)
            values += [float(chosen["adstock_alpha"]), float(chosen["half_point"])]
        lines.append(f"{channel!s:<{width}}" + "".join(f"{value:>13.4g}" for value in values))
    return lines


def _ends(fit: LeastSquares) -> tuple[str, str]:
    tail = 50 * (1 - fit.level)
    return f"{tail:.3g}%", f"{100 - tail:.3g}%"
