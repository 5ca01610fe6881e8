"""Exact k-means for large images, and any other array, at the speed of the machine."""

from . import reference
from ._version import __version__
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
