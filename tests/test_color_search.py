"""The seeding's search over colours, which skips cells, against brute force, which does not."""

import numpy as np
import pytest

import kmeans_fast as kf
from kmeans_fast.threads import Threads

from .pictures import noise, photograph


@pytest.mark.parametrize(
    "picture", [photograph(200, 300), noise(150, 200), noise(90, 90, 3, np.uint16)]
)
def test_potentials_and_draws_are_those_of_brute_force(picture):
    histogram = kf.ColorHistogram(picture)
    colors, counts = histogram.colors.astype(np.int64), histogram.counts
    rng = np.random.default_rng(0)
    with Threads(1) as threads:
        search = histogram.as_points(threads).nearest_search()
        closest = np.full(len(colors), np.iinfo(np.int64).max)
        for center in colors[rng.choice(len(colors), 40, replace=False)]:
            search.add(center.astype(np.float64))
            closest = np.minimum(closest, np.square(colors - center).sum(axis=1))
            candidates = colors[rng.choice(len(colors), 5)]
            expected = [
                (counts * np.minimum(closest, np.square(colors - c).sum(axis=1))).sum()
                for c in candidates
            ]
            assert np.array_equal(search.potentials(candidates.astype(np.float64)), expected)
            totals = np.cumsum(counts * closest)
            targets = np.random.default_rng(1).integers(totals[-1], size=8)
            drawn = search.draw(8, np.random.default_rng(1))
            assert np.array_equal(drawn, colors[np.searchsorted(totals, targets, side="right")])
