"""Subject of a report: the data as given, labelled if possible, and checked."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from mmm_xgen.errors import SchemaError
from mmm_xgen.frames.observed import from_frame
from mmm_xgen.frames.reading import read
from mmm_xgen.quality import DataQualityReport, check_data_quality
from mmm_xgen.schema import CONTROLS, check_variables, describe, parts_of
from mmm_xgen.truth.information.recoverability import recoverability
from mmm_xgen.truth.returns.estimands import OUTCOMES

OBSERVED = ("spend", "y")
TRUTH = (*OUTCOMES, "revenue_per_kpi")
LABELS = ("date", "geo", "channel", "control")


@dataclass(frozen=True, eq=False)
class Subject:
    """Data with what is known of them.

    Parameters
    ----------
    data : Dataset or DataFrame
        As given.
    ds : Dataset or None
        With at least ``spend``, ``y`` and ``control_value``; None if the data are too broken.
    fault : str
        Why there is no `ds`.
    """

    data: xr.Dataset | pd.DataFrame
    ds: xr.Dataset | None
    fault: str

    @classmethod
    def of(cls, data: xr.Dataset | pd.DataFrame) -> Subject:
        """Label the data if they can be."""
        try:
            ds = _labelled(data) if isinstance(data, xr.Dataset) else _of_frame(data)
        except SchemaError as error:
            return cls(data, None, str(error))
        return cls(data, ds, "")

    @cached_property
    def quality(self) -> DataQualityReport:
        """Findings and figures of the quality check."""
        return check_data_quality(self.data)

    @property
    def dataset(self) -> xr.Dataset:
        """The labelled data.

        Raises
        ------
        SchemaError
            If the data are too broken to be labelled.
        """
        if self.ds is None:
            raise SchemaError(self.fault)
        return self.ds

    @cached_property
    def recoverability(self) -> xr.Dataset:
        """Grades and bounds of every channel's ROAS."""
        return recoverability(self.dataset)

    @property
    def has_truth(self) -> bool:
        """Tell if contributions are known."""
        ds = self.ds
        return ds is not None and all(name in ds for name in (*parts_of(ds), *TRUTH))

    @property
    def has_parameters(self) -> bool:
        """Tell if the parameters of the response to spend are known."""
        return self.has_truth and self.ds is not None and _finite(self.ds, "effect")

    @cached_property
    def config(self) -> Mapping[str, Any]:
        """Configuration that the data, or those they were summed from, were made from."""
        for name in ("config", "source_config", "factual_config"):
            if isinstance(self.data, xr.Dataset) and name in self.data.attrs:
                config = json.loads(str(self.data.attrs[name]))
                return config if isinstance(config, dict) else {}
        return {}


def _finite(ds: xr.Dataset, name: str) -> bool:
    return name in ds and bool(np.isfinite(ds[name].to_numpy()).all())


def _of_frame(frame: pd.DataFrame) -> xr.Dataset:
    """Dataset of the columns that mean something; the quality check names the others."""
    unknown = set(read(frame).unexpected)
    return from_frame(frame[[name for name in frame.columns if str(name) not in unknown]])


def _labelled(ds: xr.Dataset) -> xr.Dataset:
    """Dataset of this package, or one that looks like it, with controls even if there are none.

    Raises
    ------
    SchemaError
        If it does not have the observed variables in a form that can be shown.
    """
    check_variables(ds, *OBSERVED, "date", "geo", "channel")
    if "control_value" not in ds:
        sizes = tuple(ds.sizes.get(dim, 0) for dim in CONTROLS)
        ds = ds.assign_coords(control=np.array([], dtype=str)) if "control" not in ds.dims else ds
        ds = ds.assign(control_value=(CONTROLS, np.zeros((*sizes[:2], ds.sizes["control"]))))
    for name in (*OBSERVED, "control_value"):
        extra = [str(dim) for dim in ds[name].dims if dim not in describe(name).dims]
        if extra:
            raise SchemaError(
                f"{name!r} has the dim {extra[0]!r}; take one entry: ds.isel({extra[0]}=0)"
            )
        if ds[name].dtype.kind not in "fiu" or not np.isfinite(ds[name].to_numpy()).all():
            raise SchemaError(f"{name!r} has values that are missing, infinite or not numbers")
    if ds["date"].dtype.kind != "M":
        raise SchemaError(f"'date' has dtype {ds['date'].dtype}, allowed: dates")
    empty = [name for name in LABELS[:3] if not ds.sizes[name]]
    if empty:
        raise SchemaError(f"there is no {empty[0]}")
    for name in LABELS:
        if ds[name].ndim != 1 or not ds.indexes[name].is_unique:
            raise SchemaError(f"a {name} comes more than once, allowed: once")
    return ds.transpose(*LABELS, ...)
