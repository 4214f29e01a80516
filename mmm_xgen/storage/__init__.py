"""Datasets as NetCDF and Zarr can hold them, and checks of files from strangers."""
