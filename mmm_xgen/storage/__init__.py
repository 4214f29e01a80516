"""Storage of a dataset as NetCDF or Zarr, and safety checks of files from others."""
