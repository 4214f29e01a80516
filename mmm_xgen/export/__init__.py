"""Datasets for others: the wide frame, the nested ground truth, and files of all of them."""

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

__all__ = [
    "ground_truth",
    "load",
    "model_inputs",
    "scaled_parameters",
    "to_frame",
    "to_netcdf",
    "write_csv",
    "write_ground_truth",
    "write_json",
    "write_parquet",
]
