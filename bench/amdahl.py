"""What more pixels and more cores give, by Amdahl's law: lines fitted to what was measured."""

from __future__ import annotations

import numpy as np

from .lab import Record
from .stages import ALL_STAGES, points_of, stage_ms


def line(x: list[float], y: list[float]) -> tuple[float, float]:
    """Return a and b, not negative, of ``y = a + b x`` with the least relative errors."""
    xs, ys = np.array(x), np.array(y)
    weights = 1 / np.maximum(ys, 1e-9)
    slope, start = np.polyfit(xs, ys, 1, w=weights) if len(xs) > 1 else (ys[0] / xs[0], 0.0)
    if start < 0 or slope < 0:
        through = float((weights**2 * xs * ys).sum() / (weights**2 * xs * xs).sum())
        start, slope = (
            (0.0, through) if start < 0 else (float(np.average(ys, weights=weights)), 0.0)
        )
    return float(start), float(slope)


def predict(profile: Record, megapixels: float, n_cores: int) -> dict[str, float] | None:
    """Return the milliseconds of each stage of a fit at K = 16; None if not enough was measured.

    A stage's time grows linearly with the pixels (from 1 megapixel on), and falls with the cores
    as Amdahl's law says: ``serial + parallel / cores``, from what was measured.
    """
    by_size = [p for p in points_of(profile, "sizes") if p["megapixels"] > 1]
    by_cores = points_of(profile, "cores")
    if not by_size or not by_cores:
        return None
    n_measured = by_size[0]["threads"]
    found = {}
    for stage in ALL_STAGES:
        start, slope = line(
            [p["megapixels"] for p in by_size], [stage_ms(p)[stage] for p in by_size]
        )
        serial, parallel = line(
            [1 / p["threads"] for p in by_cores], [stage_ms(p)[stage] for p in by_cores]
        )
        share = (serial + parallel / n_cores) / max(serial + parallel / n_measured, 1e-12)
        found[stage] = (start + slope * megapixels) * (share if serial + parallel > 0 else 1.0)
    return found
