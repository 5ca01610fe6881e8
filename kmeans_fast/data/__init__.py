"""The caller's data as a point set, in this process or on Dask, and labels for it."""
