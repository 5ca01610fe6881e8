"""What type checkers are told: what fits is taken, what does not is named before it is run."""

import re
from pathlib import Path

import pytest

RIGHT = """
from typing import Any
import numpy as np
from numpy.typing import NDArray
from PIL import Image
import kmeans_fast as kf
from kmeans_fast.sklearn import KMeans

image, rng = np.zeros((4, 6, 3), np.uint8), np.random.default_rng(0)

def start(data: Any, k: int, rng: np.random.Generator) -> NDArray[np.float64]:
    return np.zeros((k, 3))

for init in (image[0], [[1, 2, 3.0]], [(1, 2, 3)], [image[0, 0]], start):
    kf.fit(image, 1, init=init, space="oklab")
result = kf.fit(Image.fromarray(image), 2, init="random", random_state=rng)
labels: NDArray[np.integer[Any]] = result.labels
counted: NDArray[np.intp] = np.bincount(kf.assign(image, [[1.0, 2, 3]]).ravel())
indexes: NDArray[np.integer[Any]] = kf.k_means([[1, 2, 3]], image)[1]
out = np.zeros((4, 6), np.uint8)
result.predict(image, out=out).max()
if result.palette is not None:
    palette: NDArray[np.uint8] = result.palette
kf.sweep(image, range(3), init="k-means++", space="rgb")
kf.quantize(image, 3, sort="share", init=start).save("a.png")
model = KMeans(3).fit(image.reshape(-1, 3))
own: NDArray[np.int32] = model.labels_
inertia: float = model.inertia_
"""

WRONG = """
import numpy as np
import kmeans_fast as kf
from kmeans_fast.sklearn import KMeans

image = np.zeros((4, 6, 3), np.uint8)
kf.fit(image, 2, space="lab")
kf.fit(image, 2, init="kmeans++")
kf.sweep(image, [2], space="lab")
kf.sweep(image, [2], init="kmeans++")
kf.sweep(image, [2], init=image)
kf.assign(image, image[0], space="lab")
kf.quantize(image, 2, space="lab")
kf.quantize(image, 2, init="kmeans++")
kf.quantize(image, 2, sort="size")
kf.explore(image, space="lab")
kf.fit(image, 2).labels.compute
kf.fit(image, 2).palette.size
KMeans(2).fit(image[0]).labels_.colors
"""


def test_a_type_checker_takes_what_fits_and_names_what_does_not(tmp_path, monkeypatch):
    monkeypatch.chdir(Path(__file__).parents[1])  # where its settings are
    check = pytest.importorskip("mypy.api").run
    (tmp_path / "right.py").write_text(RIGHT)
    (tmp_path / "wrong.py").write_text(WRONG)
    said, _, status = check(
        [str(tmp_path / "right.py"), str(tmp_path / "wrong.py"), "--strict", "--no-incremental"]
    )  # fmt: skip
    found = [(name, int(line)) for name, line in re.findall(r"(\w+)\.py:(\d+): error", said)]
    first = WRONG.splitlines().index('kf.fit(image, 2, space="lab")') + 1
    expected = [("wrong", line) for line in range(first, len(WRONG.splitlines()) + 1)]
    assert sorted(set(found)) == expected, said
