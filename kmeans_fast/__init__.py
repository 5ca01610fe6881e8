"""Exact k-means for large images, and any other array, at the speed of the machine."""

from . import reference
from ._version import __version__
from .api import assign, fit, k_means, kmeans_plusplus, means, sweep
from .explore import explore
from .histogram import ColorHistogram
from .images import open_image
from .info import show_info, warmup
from .lloyd import Iteration, Progress
from .painting import quantize
from .result import KMeansResult

__all__ = [
    "ColorHistogram",
    "Iteration",
    "KMeansResult",
    "Progress",
    "__version__",
    "assign",
    "explore",
    "fit",
    "k_means",
    "kmeans_plusplus",
    "means",
    "open_image",
    "quantize",
    "reference",
    "show_info",
    "sweep",
    "warmup",
]
