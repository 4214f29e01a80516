"""Ensembles as Zarr stores and Parquet frames, importable beside the other exports."""

from mmm_xgen.ensemble.parquet_frames import read_ensemble_frames, write_ensemble_frames
from mmm_xgen.ensemble.zarr_store import open_ensemble, write_ensemble

__all__ = ["open_ensemble", "read_ensemble_frames", "write_ensemble", "write_ensemble_frames"]
