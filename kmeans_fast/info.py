"""What runs here, and getting ready to run."""

from __future__ import annotations

import platform
import sys
from importlib.metadata import version

from ._version import __version__
from .kernels import _pack
from .kernels._jit import JIT_OFF
from .kernels._kinds import read_kinds, ready_kind
from .threads import default_threads


def warmup() -> None:
    """Compile what fits of every common kind need and the pack of ready kernels lacks.

    With a pack there is nothing to do. Without one it takes minutes, once on a machine: it says
    on stderr how far it is.

    Examples
    --------
    >>> import kmeans_fast as kf
    >>> kf.warmup()
    """
    pack = None if JIT_OFF else _pack.current()
    missing = [kind for kind in read_kinds() if pack is None or ready_kind(kind) not in pack.kinds]
    if JIT_OFF or not missing:
        return
    from .kernels._compiled import find_kernel

    end = "\r" if sys.stderr.isatty() else "\n"
    for n, kind in enumerate(missing):
        if end == "\r" or n % 50 == 0:
            print(f"kmeans_fast: compiling {n} of {len(missing)} kernels", end=end, file=sys.stderr)
        kernel, signature = find_kernel(kind)
        kernel.dispatcher.compile(signature)
    print(f"kmeans_fast: compiled {len(missing)} kernels" + " " * 8, file=sys.stderr)


def show_info() -> None:
    """Print versions, threads, and which machine code runs."""
    print(f"kmeans_fast  {__version__}")
    print(f"python       {platform.python_version()} on {platform.system()} {platform.machine()}")
    for name in ("numpy", "numba", "Pillow"):
        print(f"{name:12s} {version(name)}")
    print(f"threads      {default_threads()}")
    print("layer        Python threads and kernels without the GIL; no Numba threading layer")
    for name, about in _describe_code().items():
        print(f"{name:12s} {about}")


def _describe_code() -> dict[str, str]:
    if JIT_OFF:
        return {"cache": "none: the JIT is off (NUMBA_DISABLE_JIT), kernels are 100 times slower"}
    from .kernels.pixels import fill_keys

    pack = _pack.current()
    ready = "none: kernels are compiled where they are called"
    if pack is not None:
        ready = f"{pack.level}: {len(pack.kinds)} kinds of calls, compiled with the package"
    compiled = sys.modules.get("kmeans_fast.kernels._compiled")
    names = sorted(set(compiled.compiled_here)) if compiled else []
    return {
        "pack": ready,
        "compiled": ", ".join(names) or "nothing beside it in this process",
        "cache": fill_keys.dispatcher.stats.cache_path
        or "none can be written: what is compiled is compiled in each process",
    }
