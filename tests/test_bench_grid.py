"""The benchmark of the dense engine runs, checks answers, and merges what it measures."""

import dataclasses
import json

import numpy as np
import pytest

import kmeans_fast as kf
from bench import arrays, grid

TINY = "--peers= --rounds 1 --scale 0.001 --kinds gauss --parts ten,converge,seeding,sums".split()


@pytest.mark.parametrize(("kind", "d"), [("gauss", 5), ("photo", 3), ("uniform", 2)])
def test_points_are_the_same_every_time(kind, d):
    case, again = (arrays.case_of(kind, d, 8, scale=0.005) for _ in range(2))
    assert case.points.shape == (2000, d)
    assert case.points.dtype == np.float32
    assert case.start.shape == (8, d)
    assert np.array_equal(case.points, again.points)
    assert np.array_equal(case.start, again.start)


def test_starts_are_distinct_points_of_the_data():
    points = np.repeat(np.arange(6, dtype=np.float32), 50)[:, None]
    assert sorted(arrays.start_of(points, 6)[:, 0]) == [0, 1, 2, 3, 4, 5]
    with pytest.raises(ValueError, match="hold 6 distinct ones, fewer than k=7"):
        arrays.start_of(points, 7)


def test_brute_force_is_the_reference():
    points = arrays.uniform(200, 3).round(1)  # ties
    centroids = arrays.start_of(points, 20)
    assert np.array_equal(arrays.nearest(points, centroids), kf.reference.assign(points, centroids))


@pytest.mark.parametrize("wrong", ["labels", "counts", "inertia", "means"])
def test_a_wrong_answer_raises(wrong, monkeypatch):
    case = arrays.case_of("gauss", 2, 8, scale=0.005)
    arrays.check_ours(case, 5, 0.0)
    right = case.fit(5)
    other = {
        "labels": {"labels": np.roll(right.labels, 1)},
        "counts": {"counts": right.counts + 1},
        "inertia": {"inertia": right.inertia * 1.001},
        "means": {"labels": np.roll(right.labels, 1)},
    }[wrong]
    spoilt = dataclasses.replace(right, **other)
    spoils = 4 if wrong == "means" else 5  # the iterations after which the answer is wrong
    monkeypatch.setattr(
        arrays.Case, "fit", lambda self, max_iter, tol: spoilt if max_iter == spoils else right
    )
    with pytest.raises(RuntimeError, match=f"wrong {wrong}"):
        arrays.check_ours(case, 5, 0.0)


def test_a_tiny_run_writes_figures_and_a_table(tmp_path, capsys):
    path = tmp_path / "dense.json"
    grid.main([*TINY, "--cells", "2x8,64x8", "--out", str(path)])
    book = json.loads(path.read_text())
    parts = ("ten", "converge", "seeding")
    wanted = {f"{part} gauss {shape}" for part in parts for shape in ("2x8", "64x8")}
    assert set(book["cells"]) == wanted | {"sums float32 3x64", "sums float64 3x64"}
    ten = book["cells"]["ten gauss 2x8"]
    assert ten["n"] == 400
    assert ten["floor"] == 4
    assert ten["value"] is None  # no peers
    assert len(ten["times"]["kmeans_fast, ms"]) == 1
    assert ten["date"] in book["runs"]
    error = book["cells"]["sums float32 3x64"]["greatest relative error"]
    assert error["kf.means"] <= 2.3e-16 < error["float32 sums"]
    printed = capsys.readouterr().out
    assert "| points | K = 8 |" in printed
    assert "| d = 64, clusters | (" in printed


def test_cells_measured_again_replace_older_ones_and_no_others():
    old = {"runs": {"monday": {}}, "cells": {}}
    times = {"kmeans_fast, ms": [2.0]}
    shape = "x as fast as FAISS"
    slow, fast, more = (
        grid.cell("ten", "gauss", (9, d, 8), shape, [r], 4.0, times=times)
        for d, r in ((2, 3.0), (2, 5.0), (3, 6.0))
    )
    grid.merge(None, old, {"machine": {"date": "monday"}}, [slow, more])
    assert grid.grid_table(list(old["cells"].values())).count("3 (2 ms) **below 4**") == 1
    grid.merge(None, old, {"machine": {"date": "tuesday"}}, [fast])
    cells = old["cells"]
    assert {key: (of["value"], of["date"]) for key, of in cells.items()} == {
        "ten gauss 2x8": (5.0, "tuesday"),
        "ten gauss 3x8": (6.0, "monday"),
    }
    assert set(old["runs"]) == {"monday", "tuesday"}
    grid.merge(None, old, {"machine": {"date": "wednesday"}}, [fast, more])
    assert set(old["runs"]) == {"wednesday"}


@pytest.mark.parametrize("arguments", [["--parts", "tem"], ["--cells", "3"]])
def test_options_that_do_not_fit_are_refused(arguments):
    with pytest.raises(SystemExit):
        grid.options_of(arguments)
