"""Datasets for others: the wide frame, the nested ground truth, and files of all of them."""

from typing import TYPE_CHECKING, Any

from mmm_xgen.export.files import (
    load,
    to_netcdf,
    write_csv,
    write_ground_truth,
    write_json,
    write_parquet,
)
from mmm_xgen.export.frame import to_frame
from mmm_xgen.export.ground_truth import ground_truth
from mmm_xgen.export.pymc_marketing import model_inputs, scaled_parameters

if TYPE_CHECKING:
    from mmm_xgen.export.ensemble_frames import read_ensemble_frames, write_ensemble_frames
    from mmm_xgen.export.store import open_ensemble, write_ensemble

# Name and the module that it is imported from once it is asked for.
_LATER = {
    "open_ensemble": "mmm_xgen.export.store",
    "read_ensemble_frames": "mmm_xgen.export.ensemble_frames",
    "write_ensemble": "mmm_xgen.export.store",
    "write_ensemble_frames": "mmm_xgen.export.ensemble_frames",
}

__all__ = [
    "ground_truth",
    "load",
    "model_inputs",
    "open_ensemble",
    "read_ensemble_frames",
    "scaled_parameters",
    "to_frame",
    "to_netcdf",
    "write_csv",
    "write_ensemble",
    "write_ensemble_frames",
    "write_ground_truth",
    "write_json",
    "write_parquet",
]


def __getattr__(name: str) -> Any:
    # Who has no ensemble does not pay for it.
    if name in _LATER:
        from importlib import import_module

        return getattr(import_module(_LATER[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
