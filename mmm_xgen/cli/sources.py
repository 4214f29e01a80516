"""Reading of configurations and data that the user named."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmm_xgen.atomic import NETCDF_LOCK
from mmm_xgen.config.data import MMMDataConfig
from mmm_xgen.config.names import QUOTED, split_path
from mmm_xgen.config.text import SUFFIXES, parse_yaml
from mmm_xgen.errors import ConfigError, SchemaError, XgenError, nearest
from mmm_xgen.kernels.adstock import ADSTOCKS
from mmm_xgen.kernels.saturation import SATURATIONS
from mmm_xgen.schema import check_variables, check_whole

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

CONFIG = SUFFIXES
DATA = (".csv", ".parquet", ".nc")
# Variables of every generated Dataset; an ensemble may lack the stages of the response.
GENERATED = (
    "spend",
    "channel_contribution",
    "control_value",
    "control_contribution",
    "intercept_contribution",
    "trend_contribution",
    "seasonality_contribution",
    "event_contribution",
    "mu",
    "noise",
    "y",
    "revenue_per_kpi",
    "effect",
    "spend_unit",
    "population",
    "y_sigma",
    "adstock_kind",
    "saturation_kind",
    "l_max",
    "normalize",
    "channel_column",
    "control_column",
)
# Errors of libraries on data that they do not expect.
ALTERED = (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)
# Most adstock weights; more would only fill memory.
MOST = 10_000
EXAMPLE = "channels.TV.base_spend=2000"
# A path ends at the first "=" outside of quotes.
SETTING = re.compile(
    rf"(?P<path>(?>(?<![^.\[])(?:{QUOTED})|[^=])+)=(?P<value>.*)", re.DOTALL | re.VERBOSE
)


def overrides(settings: Iterable[str]) -> dict[str, Any]:
    """Paths and values of ``--set PATH=VALUE``, the value read as YAML; the last one counts.

    Raises
    ------
    ConfigError
        If one has no path or no ``=``, or its value is not YAML.

    Examples
    --------
    >>> overrides(["channels.TV.base_spend=2000", "regions.region_names=[north, south]"])
    {'channels.TV.base_spend': 2000, 'regions.region_names': ['north', 'south']}
    """
    values = {}
    for setting in settings:
        found = SETTING.fullmatch(setting)
        if found is None:
            raise ConfigError(
                f"found {setting!r}, allowed: PATH=VALUE, as in {EXAMPLE}", path="--set"
            )
        path, text = found["path"].strip(), found["value"]
        try:
            split_path(path)
        except ConfigError as error:
            advice = error.message.partition(", ")[2]
            raise ConfigError(f"found {setting!r}, {advice}", path="--set") from None
        try:
            values[path] = parse_yaml(text)
        except ConfigError as error:
            raise ConfigError(error.message, path=f"--set {path}") from None
    return values


def read_config(source: str, settings: Iterable[str] = ()) -> MMMDataConfig:
    """Read the configuration of a preset or file, and make the ``--set`` changes.

    Raises
    ------
    ConfigError
        If the preset or file is unknown, or not a valid configuration. The error names the file.
    """
    from mmm_xgen.presets import config_from

    return config_from(source, overrides(settings))


def read_generated(path: Path) -> xr.Dataset:
    """Dataset of a ``.nc`` file that this package wrote.

    Raises
    ------
    SchemaError
        If there is no such file, it cannot be read, or it holds something else. It names the file.
    """
    from mmm_xgen.export.files import load

    if path.suffix.lower() != ".nc":
        raise SchemaError(f"{path}: found the suffix {path.suffix!r}, allowed: .nc")
    ds = load(path)
    with naming(path):
        check_generated(ds)
    return ds


def read_with_parameters(path: Path) -> xr.Dataset:
    """Dataset of a ``.nc`` file that has the parameters which make contributions of spend.

    Raises
    ------
    SchemaError
        As for `read_generated`, and if the Dataset was aggregated. It names the file.
    """
    ds = read_generated(path)
    if ds["effect"].isnull().any():
        what = str(ds.attrs.get("aggregation", "its 'effect' is missing")).split(";")[0]
        raise SchemaError(
            f"{path}: the dataset has no parameters, as after an aggregation ({what}), and its "
            "sums do not follow a curve; pass the dataset as it was generated"
        )
    with naming(path):
        for prefix, registry in (("adstock_", ADSTOCKS), ("saturation_", SATURATIONS)):
            for kind in dict.fromkeys(map(str, ds[f"{prefix}kind"].to_numpy())):
                check_variables(ds, *(prefix + name for name in registry[kind].parameters))
    return ds


def check_generated(ds: xr.Dataset) -> None:
    """Refuse a Dataset that was not generated, or is not as it was generated.

    Raises
    ------
    SchemaError
        It names what is missing, or what differs.
    """
    check_unharmed(ds)
    check_variables(ds, *GENERATED)
    for name in ("currency", "kpi", "freq"):
        if not isinstance(ds.attrs.get(name), str):
            raise SchemaError(f"the Dataset has no text as its attribute {name!r}; keep it")
    lags = ds["l_max"].to_numpy()
    if lags.dtype.kind not in "iu" or not ((lags >= 1) & (lags <= MOST)).all():
        raise SchemaError(f"'l_max' has values that are not whole numbers from 1 to {MOST}")


def check_unharmed(ds: xr.Dataset) -> None:
    """Refuse a Dataset of this package that is damaged, or whose configuration is another one's.

    Raises
    ------
    SchemaError
        It names what is damaged, or the label that the configuration does not have.
    """
    from mmm_xgen.dataset import config_of, labels_of

    check_whole(ds)
    if "config" not in ds.attrs:
        return
    try:
        labels = labels_of(config_of(ds))
    except ConfigError as error:
        raise SchemaError(f"its configuration cannot be used: {error}") from None
    for dim in ("geo", "channel", "control"):
        found = map(str, ds[dim].to_numpy()) if dim in ds.dims else ()
        other = [label for label in found if label not in labels[dim]]
        if other:
            known = nearest(other[0], labels[dim])
            raise SchemaError(f"its {dim} {other[0]!r} is not in its configuration; {known}")


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Add the file to errors in the block, unless they name an option.

    Other errors of the block become a SchemaError that says that the file may be damaged.
    """
    try:
        yield
    except XgenError as error:
        if str(error).startswith("--"):
            raise
        raise SchemaError(f"{path}: {error}") from None
    except ALTERED as error:
        what = (str(error).splitlines() or [""])[0][:200]
        raise SchemaError(
            f"{path}: cannot be used; it may be damaged ({type(error).__name__}: {what})"
        ) from error


def read_any_data(path: Path) -> xr.Dataset | pd.DataFrame:
    """Dataset of a ``.nc`` file, or frame of a ``.csv`` or ``.parquet`` file, whoever made it.

    Raises
    ------
    SchemaError
        If there is no such file, or it cannot be read. It names the file.
    """
    suffix = path.suffix.lower()
    if suffix not in DATA:
        allowed = ", ".join((*CONFIG, *DATA))
        raise SchemaError(f"{path}: found the suffix {suffix!r}, allowed: {allowed}")
    if not path.exists():
        raise SchemaError(f"{path}: no such file")
    if suffix == ".nc":
        return _read_netcdf(path)
    import pandas as pd

    try:
        if suffix == ".parquet":
            return pd.read_parquet(path)
        return _read_csv(path)
    except ValueError as error:
        # The errors of both parsers, and of text that is not UTF-8, are ValueErrors.
        raise SchemaError(f"{path}: cannot be read as {suffix[1:]}: {error}") from None


def _read_csv(path: Path) -> pd.DataFrame:
    import pandas as pd

    names = pd.read_csv(path, nrows=0).columns
    # Spreadsheets write semicolons where numbers have decimal commas.
    for mark in ";\t":
        if len(names) == 1 and mark in names[0]:
            raise SchemaError(f"columns are divided by {mark!r}, allowed: ','")
    # In one piece, so that every column gets one type.
    frame = pd.read_csv(path, low_memory=False)
    if "geo" in frame and frame["geo"].isna().any():
        # A geo may be called NA.
        geo = pd.read_csv(path, usecols=["geo"], dtype=str, keep_default_na=False)["geo"]
        frame["geo"] = geo.where(geo != "")
    return frame


def _read_netcdf(path: Path) -> xr.Dataset:
    from mmm_xgen.export.files import load

    try:
        return load(path)
    except SchemaError as error:
        refusal = error
    import xarray as xr

    try:
        with NETCDF_LOCK, xr.open_dataset(path, engine="netcdf4") as opened:
            return opened.load()
    except (OSError, ValueError, RuntimeError):
        raise refusal from None
