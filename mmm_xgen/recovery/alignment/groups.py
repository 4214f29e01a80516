"""Groups of an ArviZ result, whichever generation: InferenceData or DataTree."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import xarray as xr

from mmm_xgen.errors import AlignmentError, nearest


def groups_of(idata: Any) -> list[str]:
    """Names of the groups, in order."""
    if isinstance(idata, xr.DataTree):
        return list(map(str, idata.children))
    return list(idata.groups())


def group(idata: Any, name: str) -> xr.Dataset:
    """One group as a Dataset; a Dataset is taken as the group itself.

    Raises
    ------
    AlignmentError
        If there is no such group.
    """
    if isinstance(idata, xr.Dataset):
        return idata
    if not isinstance(idata, xr.DataTree) and not hasattr(idata, "groups"):
        raise AlignmentError(
            f"found {type(idata).__name__}, allowed: an InferenceData, a DataTree or a Dataset"
        )
    known = groups_of(idata)
    if name not in known:
        raise AlignmentError(f"there is no group named {name!r}; {nearest(name, known)}")
    found = idata[name]
    return found.to_dataset() if isinstance(found, xr.DataTree) else found


def one_draw(prior: Any) -> xr.Dataset:
    """The group ``prior`` with one draw, which has dims chain and draw.

    Raises
    ------
    AlignmentError
        If there is no such group, or more than one draw.
    """
    draws = group(prior, "prior")
    for dim in ("chain", "draw"):
        if draws.sizes.get(dim, 1) != 1:
            raise AlignmentError(
                f"found {draws.sizes[dim]} along {dim!r}, allowed: one draw, as in "
                f"prior.isel({dim}=0)"
            )
        if dim not in draws.dims:
            draws = draws.drop_vars(dim, errors="ignore").expand_dims({dim: [0]})
    return draws


def inference_data(groups: Mapping[str, xr.Dataset], attrs: Mapping[str, Any] | None = None) -> Any:
    """Groups as what the installed ArviZ works with: a DataTree from 1.0 on."""
    import arviz

    if int(arviz.__version__.split(".")[0]) >= 1:
        tree = xr.DataTree.from_dict({name: _treelike(data) for name, data in groups.items()})
        tree.attrs.update(attrs or {})
        return tree
    make: Any = arviz.InferenceData
    idata = make(**groups)
    idata.attrs.update(attrs or {})
    return idata


def _treelike(data: xr.Dataset) -> xr.Dataset:
    """Dataset without "/" in names of variables, where a tree takes it for a path.

    Columns of the data are such variables: ``x1-TV/Radio`` becomes ``x1-TV\u2215Radio``.
    """
    return data.rename({n: str(n).replace("/", "\u2215") for n in data.variables if "/" in str(n)})


def with_truth(idata: Any, truth: xr.Dataset) -> Any:
    """The same groups, and the truth as one more, ``truth``; a Dataset is the posterior alone."""
    if isinstance(idata, xr.Dataset):
        return inference_data({"posterior": idata, "truth": truth})
    groups = {name: group(idata, name) for name in groups_of(idata) if name != "truth"}
    return inference_data({**groups, "truth": truth}, attrs=dict(idata.attrs))
