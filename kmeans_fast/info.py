"""What runs here, and getting ready to run."""

from __future__ import annotations

import platform

import numba
import numpy as np
import PIL

from ._version import __version__
from .kernels._jit import JIT_OFF
from .threads import default_threads


def warmup() -> None:
    """Compile the kernels, or load them from the cache, so that the first fit is fast.

    Examples
    --------
    >>> import kmeans_fast as kf
    >>> kf.warmup()
    """
    if JIT_OFF:
        return  # there is nothing to compile
    from .api import fit

    small = np.arange(300, dtype=np.uint8).reshape(10, 10, 3)
    fit(small, 3)
    fit(np.resize(small, (800, 800, 3)), 3)  # enough pixels for the table of colours
    for dtype in (np.float32, np.float64):
        fit(small.astype(dtype), 3)
    # Enough points and clusters for a tree.
    fit(np.random.default_rng(0).random((22_500, 3), np.float32), 120, max_iter=2)


def show_info() -> None:
    """Print versions, threads and where compiled kernels are kept."""
    from .kernels.pixels import fill_keys

    if JIT_OFF:
        cache = "none: the JIT is off (NUMBA_DISABLE_JIT), and kernels are a hundred times slower"
    else:
        cache = fill_keys.stats.cache_path or "none can be written: kernels compile in each process"
    print(f"kmeans_fast  {__version__}")
    print(f"python       {platform.python_version()} on {platform.system()} {platform.machine()}")
    print(f"numpy        {np.__version__}")
    print(f"numba        {numba.__version__}")
    print(f"Pillow       {PIL.__version__}")
    print(f"threads      {default_threads()}")
    print("layer        Python threads and kernels without the GIL; no Numba threading layer")
    print(f"cache        {cache}")
