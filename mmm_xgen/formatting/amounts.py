"""Amounts, ratios and shares as text. One kind of number reads alike everywhere."""

from __future__ import annotations

import math
from collections.abc import Callable

MISSING = "-"
# What rounding leaves of 0.
NOTHING = 1e-12
# Below the first, a share has a second decimal; below the second, two would show 0.
SMALL_SHARE, SMALLEST_SHARE = 0.01, 0.0001
_UNITS = ((1e12, "tn"), (1e9, "bn"), (1e6, "M"), (1e3, "k"))


def amount(value: float) -> str:
    """Write currency, KPI units or people in full: whole from 1,000 on, else four figures.

    Examples
    --------
    >>> [amount(value) for value in (1234567.8, 12.3456, 0.0, float("nan"), float("inf"))]
    ['1,234,568', '12.35', '0', '-', 'inf']
    """
    if math.isnan(value):
        return MISSING
    # 999.96 has four figures as 1000, which needs its comma.
    return f"{value:,.0f}" if abs(value) >= 999.95 else f"{value:.4g}"


def short_number(value: float, figures: int = 3) -> str:
    """Write a number for a chart: three figures, or as many as asked for, and a unit.

    Examples
    --------
    >>> [short_number(value) for value in (0, 0.25, 950, 12_500, -3_000_000, 1.25e9)]
    ['0', '0.25', '950', '12.5k', '-3M', '1.25bn']
    """
    if not math.isfinite(value):
        return amount(value)
    for step, unit in _UNITS:
        # 999.9 would be written 1e+03.
        if abs(value) >= (1 - 0.5 * 10.0**-figures) * step:
            return f"{value / step:.{figures}g}{unit}"
    return f"{value:.{figures}g}"


def signed(value: float, write: Callable[[float], str] = amount) -> str:
    """Write a change with its sign.

    Examples
    --------
    >>> [signed(value) for value in (1234.5, -2.0, 0.0)], signed(12_500, short_number)
    (['+1,234', '-2', '0'], '+12.5k')
    """
    return f"+{write(value)}" if value > 0 else write(value)


def ratio(value: float) -> str:
    """Write a return or another ratio with three figures, however small it is.

    Examples
    --------
    >>> [ratio(value) for value in (2.4, 0.00321, 0.0, 12.34, 1250.0, float("nan"))]
    ['2.40', '0.00321', '0.00', '12.3', '1,250', '-']
    """
    if math.isnan(value):
        return MISSING
    if abs(value) < NOTHING:
        return "0.00"
    return f"{value:#.3g}" if abs(value) < 99.95 else f"{value:,.0f}"


def share(value: float) -> str:
    """Write a share as a percentage: one decimal, two below one percent, or a bound.

    Examples
    --------
    >>> [share(value) for value in (0.1234, -0.002, -0.00001, 0.0, float("nan"))]
    ['12.3%', '-0.20%', '<0.01%', '0%', '-']
    """
    if not math.isfinite(value):
        return amount(value)
    if abs(value) < SMALLEST_SHARE:
        return "0%" if abs(value) < NOTHING else f"<{SMALLEST_SHARE:.2%}"
    return f"{value:.1%}" if abs(value) >= SMALL_SHARE else f"{value:.2%}"


def correlation(value: float) -> str:
    """Write a correlation with two decimals.

    Examples
    --------
    >>> correlation(0.456), correlation(-0.001), correlation(float("nan"))
    ('0.46', '0.00', '-')
    """
    # Adding 0 turns -0 into 0.
    return f"{round(value, 2) + 0.0:.2f}" if math.isfinite(value) else amount(value)


def signed_share(value: float, decimals: int = 1) -> str:
    """Write a relative change as a percentage with its sign.

    Examples
    --------
    >>> signed_share(-0.25), signed_share(-1e-16), signed_share(0.12, 0)
    ('-25.0%', '0%', '+12%')
    """
    if not math.isfinite(value):
        return amount(value)
    rounded = round(value, 2 + decimals)
    return f"{rounded:+.{decimals}%}" if rounded else "0%"
