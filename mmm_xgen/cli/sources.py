"""Configurations and data, from what the user named."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmm_xgen.atomic import NETCDF_LOCK
from mmm_xgen.config.data import MMMDataConfig
from mmm_xgen.config.text import parse_yaml, read_text
from mmm_xgen.errors import ConfigError, SchemaError
from mmm_xgen.schema import require

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

YAML = (".yaml", ".yml")
CONFIG = (*YAML, ".json")
DATA = (".csv", ".parquet", ".nc")
EXAMPLE = "channels.TV.base_spend=2000"


def is_config_file(source: str) -> bool:
    """Whether `source` names a file and not a preset.

    Examples
    --------
    >>> is_config_file("plan.yaml"), is_config_file("folder/plan"), is_config_file("basic")
    (True, True, False)
    """
    path = Path(source)
    return path.suffix.lower() in CONFIG or path.name != source


def name_of(source: str) -> str:
    """Stem of the files made from a preset or configuration file.

    Examples
    --------
    >>> name_of("folder/plan.yaml"), name_of("basic")
    ('plan', 'basic')
    """
    return Path(source).stem if is_config_file(source) else source


def overrides(settings: Iterable[str]) -> dict[str, Any]:
    """Paths and values of ``--set PATH=VALUE``, the value read as YAML; the last one counts.

    Raises
    ------
    ConfigError
        If one has no path or no ``=``, or its value is no YAML.

    Examples
    --------
    >>> overrides(["channels.TV.base_spend=2000", "regions.region_names=[north, south]"])
    {'channels.TV.base_spend': 2000, 'regions.region_names': ['north', 'south']}
    """
    values = {}
    for setting in settings:
        written, equals, text = setting.partition("=")
        path = written.strip()
        if not equals or not all(path.split(".")):
            raise ConfigError(
                f"found {setting!r}, allowed: PATH=VALUE, as in {EXAMPLE}", path="--set"
            )
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
        If there is no such preset or file, or it is no valid configuration. It names the file.
    """
    from mmm_xgen.presets import customize_preset
    from mmm_xgen.presets.overrides import with_overrides

    changes = overrides(settings)
    if not is_config_file(source):
        return customize_preset(source, **changes)
    try:
        return with_overrides(_read_mapping(Path(source)), changes)
    except ConfigError as error:
        raise ConfigError(str(error), path=source) from None


def _read_mapping(path: Path) -> dict[str, Any]:
    suffix = path.suffix.lower()
    if suffix not in CONFIG:
        allowed = ", ".join(CONFIG)
        raise ConfigError(f"found the suffix {suffix!r}, allowed: {allowed}, or a preset's name")
    if not path.exists():
        raise ConfigError("no such file; 'mmm-xgen show PRESET' writes one to begin with")
    text = read_text(path)
    if suffix in YAML:
        data = parse_yaml(text)
    else:
        try:
            data = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise ConfigError(f"no valid JSON: {error}") from None
    if not isinstance(data, dict):
        raise ConfigError("found no mapping, allowed: keys such as 'channels' and 'n_periods'")
    return data


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
        require_generated(ds)
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
            f"{path}: the dataset has no parameters, as after an aggregation ({what}), whose sums "
            "follow no curve; pass the dataset as it was generated"
        )
    return ds


def require_generated(ds: xr.Dataset) -> None:
    """Refuse a Dataset that was not generated, or lost what every generated one has.

    Raises
    ------
    SchemaError
        It names what is missing.
    """
    require(ds, "y", "mu", "spend", "channel_contribution", "y_sigma", "effect")
    for name in ("currency", "kpi", "freq"):
        if name not in ds.attrs:
            raise SchemaError(f"the Dataset has no attribute {name!r}; was it made by mmm-xgen?")
    if "channel_column" not in ds.coords:
        raise SchemaError("the Dataset has no 'channel_column'; was it made by mmm-xgen?")


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Let a `SchemaError` in the block name the file that it is about."""
    try:
        yield
    except SchemaError as error:
        raise SchemaError(f"{path}: {error}") from None


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
            raise SchemaError(f"columns are divided by {mark!r}, needed: ','")
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
