"""Exact k-means for large images, and any other array, at the speed of the machine.

Begin with `quantize` where a picture is to have fewer colours, and with `fit` for all else:

>>> import numpy as np
>>> import kmeans_fast as kf
>>> image = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
>>> picture = kf.quantize(image, 8)     # a Pillow image: picture.save("out.png")
>>> centroids, labels = kf.fit(image, 8)
>>> centroids.shape, labels.shape
((8, 3), (40, 60))

Pictures, as paths, files, arrays or Pillow images:

- `quantize`: reduce one to its best colours, or to those of a palette
- `palette`: list its best colours, as a `Palette`: names, shares, and files for other programs
- `explore`: show one beside its colours in space, with a slider over K
- `open_image`: read a file as an array, upright

Points, pixels among them:

- `fit`: find centroids and labels
- `sweep`: the same for several K, the work on the data done once
- `assign`: label points with their nearest centroids
- `kmeans_plusplus`, `means`: the two steps of a fit by themselves
- `k_means`: the textbook's loop with its bits, fast; `reference` is that loop, to be read

Pictures larger than memory:

- `open_tiles`: read one, or many, a tile at a time
- `ColorHistogram`: count what was read; `fit` takes it

What is returned, and what callbacks are told:

- `KMeansResult`, of which `Iteration` is a part; `Progress`, `TileProgress`

The machine:

- `show_info`: versions, threads, and which code runs
- `warmup`: compile what is not ready

``kmeans_fast.sklearn``, which is imported by itself, has scikit-learn's `KMeans`. Of the modules
that Python's ``help`` lists below, all others but `reference` are the inside, and may change.
"""

from ._version import __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    from . import reference
    from .api import assign, fit, k_means, kmeans_plusplus, means, sweep
    from .colors.histogram import ColorHistogram, TileProgress
    from .exploring import explore
    from .info import show_info, warmup
    from .lloyd import Iteration, Progress
    from .painting import quantize
    from .palettes import Palette, palette
    from .pictures.reading import open_image
    from .pictures.tiles import open_tiles
    from .result import KMeansResult

__all__ = [
    "ColorHistogram",
    "Iteration",
    "KMeansResult",
    "Palette",
    "Progress",
    "TileProgress",
    "__version__",
    "assign",
    "explore",
    "fit",
    "k_means",
    "kmeans_plusplus",
    "means",
    "open_image",
    "open_tiles",
    "palette",
    "quantize",
    "reference",
    "show_info",
    "sweep",
    "warmup",
]

# Where they stand. Each is imported when it is first asked for: `kmeans-fast --help` would wait
# for NumPy, Numba and Pillow otherwise, half a second. No module may have the name of a function
# here: once imported, by whomever, it would stand in the function's place.
_NAMES_OF = {
    "api": ("assign", "fit", "k_means", "kmeans_plusplus", "means", "sweep"),
    "colors.histogram": ("ColorHistogram", "TileProgress"),
    "exploring": ("explore",),
    "info": ("show_info", "warmup"),
    "lloyd": ("Iteration", "Progress"),
    "painting": ("quantize",),
    "palettes": ("Palette", "palette"),
    "pictures.reading": ("open_image",),
    "pictures.tiles": ("open_tiles",),
    "result": ("KMeansResult",),
}
_HOMES = {name: module for module, names in _NAMES_OF.items() for name in names}


def __getattr__(name: str) -> object:
    from importlib import import_module

    if name == "reference":
        return import_module(".reference", __name__)
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(f".{_HOMES[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    # Without the modules that somebody has imported by now: they are the inside.
    return sorted({*__all__, *(name for name in globals() if name.startswith("__"))})
