"""What type checkers are told: what fits is taken, what does not is named before it is run."""

import ast
import inspect
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
kf.fit(image, 2, mask=image[..., 0] > 3, nodata=np.nan, fill=255, channel_axis=0)
kf.fit(image, 2, nodata=(0, None, 0.5), channel_axis=None)
scene: NDArray[np.integer[Any]] = result.predict(image, nodata=image[0, 0], channel_axis="band")
kf.quantize(image, 3, sort="share", init=start).save("a.png")
found = kf.palette(image, 3, sort="share", medoids=True)
colors: NDArray[np.uint8] = found.colors
known: list[str] = found.hex + found.names + [found.to_css("brand"), found.to_json(a=1)]
error: float = found.mse + found.psnr + float(found.shares.sum())
data: bytes = found.to_ase() + found.to_aco()
kf.quantize(image, palette=found)
model = KMeans(3).fit(image.reshape(-1, 3))
own: NDArray[np.int32] = model.labels_
inertia: float = model.inertia_
again: KMeans = KMeans(3, init=image[0], n_init="auto").set_params(tol=0.0)
also: NDArray[np.int32] = again.fit_predict(image.reshape(-1, 3))
given: dict[str, Any] = again.get_params() | {"n_clusters": again.n_clusters}
"""

WRONG = """
import numpy as np
import kmeans_fast as kf
from kmeans_fast.sklearn import KMeans

image = np.zeros((4, 6, 3), np.uint8)
kf.fit(image, 2, space="lab")
kf.fit(image, 2, nodata="none")
kf.fit(image, 2, channel_axis=0.5)
kf.fit(image, 2, fill=None, mask=3, bands_first=True)
kf.fit(image, 2, init="kmeans++")
kf.sweep(image, [2], space="lab")
kf.sweep(image, [2], init="kmeans++")
kf.sweep(image, [2], init=image)
kf.assign(image, image[0], space="lab")
kf.quantize(image, 2, space="lab")
kf.quantize(image, 2, init="kmeans++")
kf.quantize(image, 2, sort="size")
kf.palette(image, sort="size")
kf.palette(image).colours
kf.explore(image, space="lab")
kf.fit(image, 2).labels.compute
kf.fit(image, 2).palette.size
KMeans(2).fit(image[0]).labels_.colors
KMeans(2, init="kmeans++")
KMeans(2, n_inits=3)
KMeans(2).fit_transforms(image[0])
"""


def test_what_is_said_of_scikit_learn_is_so():
    cluster = pytest.importorskip("sklearn.cluster")
    stub = Path(__file__).parents[1] / "kmeans_fast" / "_sklearn.pyi"
    (face,) = (each for each in ast.parse(stub.read_text()).body if isinstance(each, ast.ClassDef))
    methods = {each.name: each.args for each in face.body if isinstance(each, ast.FunctionDef)}
    public = {name for name in methods if name == "__init__" or not name.startswith("_")}
    for name, said in ((name, methods[name]) for name in public):
        true = [*inspect.signature(getattr(cluster.KMeans, name)).parameters.values()]
        names = [each.arg for each in (*said.args, *said.kwonlyargs, said.kwarg) if each]
        assert [each.name for each in true] == names, name
        defaults = [ast.unparse(each) for each in (*said.defaults, *said.kw_defaults)]
        if "..." not in defaults:  # which stands for what is scikit-learn's alone
            has = [repr(each.default) for each in true if each.default is not each.empty]
            assert has == defaults, name


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
