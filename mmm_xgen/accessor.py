"""The accessor ``ds.mmm``: every function of the package that takes a dataset, as a method."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import xarray as xr

from mmm_xgen import export, truth
from mmm_xgen.aggregate import aggregate
from mmm_xgen.export.files import PathLike
from mmm_xgen.generate import regenerate
from mmm_xgen.labelled import config_of
from mmm_xgen.response import respond

if TYPE_CHECKING:
    import pandas as pd

    from mmm_xgen.config.data import MMMDataConfig
    from mmm_xgen.quality import DataQualityReport
    from mmm_xgen.truth.estimands import By


@xr.register_dataset_accessor("mmm")  # type: ignore[no-untyped-call]
class MMMAccessor:
    """Functions of `mmm_xgen` on one dataset; each method forwards and does nothing else.

    Parameters
    ----------
    ds : Dataset
        A generated Dataset.

    Examples
    --------
    >>> import mmm_xgen
    >>> ds = mmm_xgen.generate_mmm_dataset()
    >>> ds.mmm.to_frame().shape
    (208, 8)
    >>> ds.mmm.aggregate(freq="YS").mmm.roas().values.round(3).tolist()
    [2.4, 1.5, 3.0]
    """

    def __init__(self, ds: xr.Dataset) -> None:
        self._ds = ds

    @property
    def config(self) -> MMMDataConfig:
        """Configuration that the dataset was generated from: `mmm_xgen.labelled.config_of`."""
        return config_of(self._ds)

    def regenerate(self) -> xr.Dataset:
        """Generate the dataset again: `mmm_xgen.regenerate`."""
        return regenerate(self._ds)

    def respond(self, spend: xr.DataArray, *, history: xr.DataArray | None = None) -> xr.DataArray:
        """Contribution that other spend makes: `mmm_xgen.respond`."""
        return respond(spend, self._ds, history=history)

    def roas(self, by: By = "channel") -> xr.DataArray:
        """Return on ad spend: `mmm_xgen.truth.roas`."""
        return truth.roas(self._ds, by)

    def attribution(
        self, by: By = "channel", *, of: Literal["sales", "media"] = "sales"
    ) -> xr.DataArray:
        """Share of expected sales or of media: `mmm_xgen.truth.attribution`."""
        return truth.attribution(self._ds, by, of=of)

    def aggregate(self, geo: str | None = "national", freq: str | None = None) -> xr.Dataset:
        """Sum over geos, over time, or over both: `mmm_xgen.aggregate`."""
        return aggregate(self._ds, geo, freq)

    def check_quality(self) -> DataQualityReport:
        """Look for faults in the data: `mmm_xgen.check_data_quality`."""
        from mmm_xgen.quality import check_data_quality

        return check_data_quality(self._ds)

    def to_frame(self) -> pd.DataFrame:
        """Wide frame: `mmm_xgen.to_frame`."""
        return export.to_frame(self._ds)

    def ground_truth(self, *, series: bool = False) -> dict[str, Any]:
        """Nested dictionary of the truth: `mmm_xgen.ground_truth`."""
        return export.ground_truth(self._ds, series=series)

    def to_netcdf(self, path: PathLike, *, compression: int = 0) -> Path:
        """Write the dataset with its truth: `mmm_xgen.to_netcdf`."""
        return export.to_netcdf(self._ds, path, compression=compression)

    def write_csv(self, path: PathLike) -> Path:
        """Write the wide frame as CSV: `mmm_xgen.write_csv`."""
        return export.write_csv(self._ds, path)

    def write_parquet(self, path: PathLike) -> Path:
        """Write the wide frame as Parquet: `mmm_xgen.write_parquet`."""
        return export.write_parquet(self._ds, path)

    def write_json(self, path: PathLike) -> Path:
        """Write the wide frame as JSON: `mmm_xgen.write_json`."""
        return export.write_json(self._ds, path)

    def write_ground_truth(self, path: PathLike, *, series: bool = False) -> Path:
        """Write the truth as JSON: `mmm_xgen.write_ground_truth`."""
        return export.write_ground_truth(self._ds, path, series=series)
