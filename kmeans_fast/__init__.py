"""Exact k-means for large images, and any other array, at the speed of the machine."""

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
    from .pictures.reading import open_image
    from .pictures.tiles import open_tiles
    from .result import KMeansResult

__all__ = [
    "ColorHistogram",
    "Iteration",
    "KMeansResult",
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
    return sorted({*globals(), *__all__})
