"""Each example runs, says what it did, and writes what it says; the notebook too."""

import copy
import re
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import kmeans_fast as kf

from .pictures import photograph

EXAMPLES = Path(__file__).parent.parent / "examples"


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Return a function that runs an example in a folder, as a script, and returns its output."""
    monkeypatch.chdir(tmp_path)

    def run(name, *arguments):
        monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
        runpy.run_path(str(EXAMPLES / name), run_name="__main__")
        return capsys.readouterr().out

    return run


def open_picture(path):
    with Image.open(path) as picture:
        picture.load()
        return picture


def test_posterise_and_quickstart(run, tmp_path):
    assert "512 x 512 pixels, all of it in " in run("posterise.py")
    assert open_picture(tmp_path / "posterised.png").width > 1000
    out = run("quickstart.py")
    assert out.count("%") == 8
    assert "at [0. 8.]" in out or "at [8. 0.]" in out
    assert len(open_picture(tmp_path / "quickstart.png").getcolors()) == 8


def test_palette_of_many(run, tmp_path):
    out = run("palette_of_many.py", "-k", 6)
    assert "4 pictures, 262,144 pixels" in out
    colors = set()
    for path in (tmp_path / "painted").iterdir():
        colors |= {color for _, color in open_picture(path).convert("RGB").getcolors()}
    assert len(colors) == 6
    own = tmp_path / "own"
    own.mkdir()
    Image.new("RGB", (8, 8), "red").save(own / "a.png")
    Image.new("RGB", (8, 8), "blue").save(own / "b.png")
    out = run("palette_of_many.py", own, "-k", 2, "-o", tmp_path / "there")
    assert "2 pictures, 128 pixels, 2 colours" in out
    assert len(list((tmp_path / "there").iterdir())) == 2


def test_satellite_tiles(run, tmp_path):
    out = run("satellite_tiles.py", "--megapixels", 4, "-k", 5)
    assert "4 megapixels in 4 tiles" in out
    labels = np.load(tmp_path / "labels.npy", mmap_mode="r")
    assert labels.shape == (2048, 2048)
    assert set(np.unique(labels)) == set(range(5))


@pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")  # of rasterio's matrices
def test_scene(run, tmp_path):
    pytest.importorskip("rasterio", reason="rasterio (extra geo) is not installed")
    out = run("scene.py", "--side", 300, "-k", 5)
    rows = {line.split("  ")[0]: line.split()[-2:] for line in out.splitlines()[2:6]}
    assert list(rows) == ["whole", "tiled", "other start", "1 % sample"]
    assert rows["whole"] == rows["tiled"] == ["1.0000", "0.00%"]
    assert float(rows["1 % sample"][0]) > 0.9
    assert open_picture(tmp_path / "scene.png").width == 1200


@pytest.mark.filterwarnings("ignore:.*getdata:DeprecationWarning")  # called by imagequant
def test_compare_quantizers(run, tmp_path):
    Image.fromarray(photograph()).save(tmp_path / "picture.png")
    out = run("compare_quantizers.py", "picture.png", "-k", 8)
    assert "kmeans_fast " in out
    assert "1.000 times ours" in out
    rows = [line for line in out.splitlines() if "Pillow" in line]
    assert len(rows) == 2
    assert open_picture(tmp_path / "sheet.png").width >= 6 * 320


def test_the_tutorial_picture(run, tmp_path):
    run("tutorial_picture.py")
    picture = kf.open_image(tmp_path / "tutorial_picture.png")
    assert picture.shape == (200, 200, 3)
    made = runpy.run_path(str(EXAMPLES / "tutorial_picture.py"))
    assert np.array_equal(picture, made["make_picture"]())
    assert (picture.max(axis=2) < 90).mean() > 0.6  # dark
    assert 0.1 < made["is_red"](picture).mean() < 0.3
    assert 0.001 < made["is_green"](picture).mean() < 0.01  # very little


# ------------------------------------------------------------------------------ the notebook

MOST_LINES, WIDEST = 20, 88  # of code in a cell, in a column of 750 pixels
FROM_ANOTHER_TIME = ("the plain loop: ", "kmeans_fast: ")  # what begins so says how long it took


@pytest.fixture(scope="module")
def notebook():
    nbformat = pytest.importorskip("nbformat", reason="nbclient is not installed")
    return nbformat.read(EXAMPLES / "basic_kmeans.ipynb", as_version=4)


def code_of(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def texts_of(cell):
    """Return what a cell puts out, in so far as it can be read."""
    for output in cell.outputs:
        assert output.output_type != "error"
        data = output.get("data", {"text/plain": output.get("text")})
        text = data.get("text/html", data["text/plain"])
        if "<iframe" not in text:
            yield from text.splitlines()


def test_the_notebook_is_kept_as_it_ran(notebook):
    cells = code_of(notebook)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    lines = [cell.source.splitlines() for cell in cells]
    assert max(map(len, lines)) <= MOST_LINES
    assert max(len(line) for cell in lines for line in cell) <= WIDEST
    assert not any("execution" in cell.metadata for cell in cells)
    assert notebook.metadata.language_info == {"name": "python"}
    assert (EXAMPLES / "basic_kmeans.ipynb").stat().st_size < 3e6
    # It opens with the picture beside its cloud, for readers of pages and of pictures.
    first = cells[0].outputs[0].data
    assert "<iframe" in first["text/html"]
    assert len(first["image/png"]) < 2e5
    outputs = re.sub(r"[\w+/=]{200,}", "", str([cell.outputs for cell in cells]))  # no base64
    assert not re.search(r"/(home|root|tmp|usr|var|opt|Users)/|[A-Z]:\\\\|File \"", outputs)


def test_the_notebook_runs_and_makes_a_page(notebook):
    nbconvert = pytest.importorskip("nbconvert", reason="nbconvert is not installed")
    from .notebook import run

    again = run(copy.deepcopy(notebook))
    for kept, cell in zip(code_of(notebook), code_of(again), strict=True):
        for old, new in zip(texts_of(kept), texts_of(cell), strict=True):
            assert old == new or old.startswith(FROM_ANOTHER_TIME)
    for each in (notebook, again):
        page, _ = nbconvert.HTMLExporter().from_notebook_node(each)
        assert page.count("<iframe") == 2
        assert page.count("<summary><b>Answer</b></summary>") == page.count("<details>") == 3
        assert "<details open" not in page
        assert "vnd.plotly" not in page
        for says in ("At <b>K = 11</b>", "of the inertia</b>", "little left to gain"):
            assert page.count(says) == 1  # in the fold, and not in code above it
