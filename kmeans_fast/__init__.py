"""Exact k-means for large images, and any other array, at the speed of the machine."""

from . import reference
from ._version import __version__
from .api import assign, fit, k_means, kmeans_plusplus, means, sweep
from .explore import explore
from .histogram import ColorHistogram, TileProgress
from .images import open_image
from .info import show_info, warmup
from .lloyd import Iteration, Progress
from .painting import quantize
from .result import KMeansResult
from .tiles import open_tiles

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
