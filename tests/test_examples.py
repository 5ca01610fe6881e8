"""Each example runs, says what it did, and writes what it says; the notebook's cells run."""

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
    r, g, b = np.moveaxis(picture.astype(float), -1, 0)
    assert (picture.max(axis=2) < 90).mean() > 0.6  # dark
    assert 0.1 < ((r > 2 * g) & (r > 2 * b) & (r > 60)).mean() < 0.3  # red
    assert 0.001 < ((g > 1.4 * r) & (g > 1.4 * b) & (g > 60)).mean() < 0.01  # very little green


def test_the_notebook():
    nbformat = pytest.importorskip("nbformat", reason="nbclient is not installed")
    nbclient = pytest.importorskip("nbclient", reason="nbclient is not installed")
    notebook = nbformat.read(EXAMPLES / "basic_kmeans.ipynb", as_version=4)
    assert all(not cell.outputs for cell in notebook.cells if cell.cell_type == "code")
    nbclient.NotebookClient(
        notebook, timeout=120, kernel_name="python3", resources={"metadata": {"path": EXAMPLES}}
    ).execute()
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    texts = ["".join(str(output) for output in cell.outputs) for cell in code]
    assert any("times as fast" in text for text in texts)
    assert sum("application/vnd.plotly" in text for text in texts) == 3
    answers = [cell for cell in code if "hide-cell" in cell.metadata.get("tags", [])]
    assert len(answers) == 3
    for cell, says in zip(answers, ("K = 11", "of the inertia", "is left to gain"), strict=True):
        assert cell.metadata["jupyter"] == {"source_hidden": True, "outputs_hidden": True}
        assert says in cell.outputs[0]["data"]["text/markdown"]
