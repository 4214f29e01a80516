"""The truth in a file, beside the posterior that it is the truth of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import xarray as xr

from mmm_xgen.atomic import NETCDF_LOCK, with_reason, writing
from mmm_xgen.dataset import in_memory
from mmm_xgen.recovery.alignment.groups import with_truth
from mmm_xgen.recovery.alignment.meridian import to_meridian_truth
from mmm_xgen.recovery.alignment.pymc_truth import to_pymc_truth


@in_memory
def write_reference(ds: xr.Dataset, idata: Any, path: str | Path, *, mmm: Any = None) -> Path:
    """Write a posterior and the truth beside it, as the group ``truth``, to one NetCDF file.

    Parameters
    ----------
    ds : Dataset
        A generated Dataset, cut to the dates that the model saw.
    idata : InferenceData or DataTree
        Result of a fit.
    path : str or Path
        File to write.
    mmm : pymc_marketing MMM, optional
        The model that was fitted, whose names and scales the truth gets. Without it the result
        is taken to be Meridian's.

    Returns
    -------
    Path
        The file, which ``arviz.from_netcdf`` and ``xarray.open_datatree`` read, and ``MMM.load``
        if it is of PyMC-Marketing.

    Examples
    --------
    >>> import tempfile
    >>> import mmm_xgen
    >>> from mmm_xgen.recovery.alignment.groups import group, inference_data
    >>> ds = mmm_xgen.generate_mmm_dataset()
    >>> idata = inference_data({"posterior": to_meridian_truth(ds).expand_dims(chain=1, draw=1)})
    >>> path = write_reference(ds, idata, Path(tempfile.mkdtemp()) / "fit.nc")
    >>> "alpha_m" in xr.open_datatree(path)["truth"]
    True
    """
    truth = to_meridian_truth(ds) if mmm is None else to_pymc_truth(ds, mmm)
    with writing(path) as temporary, NETCDF_LOCK, with_reason(temporary, ds.nbytes):
        with_truth(idata, truth).to_netcdf(str(temporary))
    return Path(path)
