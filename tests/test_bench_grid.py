"""The grid of points, dimensions and clusters is measured, and its peers find what ours finds."""

import dataclasses

import numpy as np
import pytest

import kmeans_fast as kf
from bench import arrays, contestants, grid, lab

QUICK = ["--rounds", "1", "--scale", "0.001"]


@pytest.fixture(scope="module", autouse=True)
def no_pauses():
    """Let nothing wait for the peers' threads to come to rest: no time is looked at."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lab, "IDLE", 0.0)
        yield


def test_starts_are_distinct_points_of_the_data():
    points = np.repeat(np.arange(6, dtype=np.float32), 50)[:, None]
    assert sorted(arrays.start_of(points, 6)[:, 0]) == [0, 1, 2, 3, 4, 5]
    with pytest.raises(ValueError, match="hold 6 distinct ones, fewer than k=7"):
        arrays.start_of(points, 7)


def test_brute_force_is_the_reference():
    points = arrays.uniform(200, 3).round(1)  # ties
    centroids = arrays.start_of(points, 20)
    assert np.array_equal(lab.nearest(points, centroids), kf.reference.assign(points, centroids))


@pytest.mark.parametrize("wrong", ["labels", "counts", "inertia", "means"])
def test_a_wrong_answer_raises(wrong, monkeypatch):
    case = arrays.case_of("gauss", 2, 8, scale=0.005)
    lab.check_answer(case.fit, case.points, 5, 0.0)
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
        lab.check_answer(case.fit, case.points, 5, 0.0)


def test_cells_measured_again_replace_older_ones_and_no_others(tmp_path, capsys):
    path = tmp_path / "grid.json"
    tiny = [
        "--peers",
        "",
        *QUICK,
        "--kinds",
        "gauss",
        "--parts",
        "ten,converge",
        "--out",
        str(path),
    ]
    grid.main([*tiny, "--cells", "2x8,64x8"])
    book = lab.load(path)
    keys = {f"{part} gauss {shape}" for part in ("ten", "converge") for shape in ("2x8", "64x8")}
    assert set(book["cells"]) == keys
    ten = book["cells"]["ten gauss 2x8"]
    assert (ten["n"], ten["floor"], ten["value"]) == (400, 4, None)  # no peers
    assert len(ten["times"]["kmeans_fast, ms"]) == 1
    assert ten["date"] in book["runs"]
    printed = capsys.readouterr().out
    assert "| points | K = 8 |" in printed
    assert "| d = 64, clusters | (" in printed
    grid.merge(None, book, {"machine": {"date": "later"}}, ten | {"value": 3.0, "reached": False})
    assert set(book["cells"]) == keys
    assert {of["date"] for of in book["cells"].values()} == {ten["date"], "later"}
    assert "**below 4**" in grid.grid_table(list(book["cells"].values()))
    for cell in list(book["cells"].values()):
        grid.merge(None, book, {"machine": {"date": "latest"}}, cell)
    assert set(book["runs"]) == {"latest"}


def test_defaults_are_measured_seed_by_seed_and_told_where_they_lose(tmp_path, capsys):
    path = tmp_path / "grid.json"
    tiny = ["--parts", "defaults", *QUICK, "--cells", "8x8,10x32", "--out", str(path)]
    grid.main([*tiny, "--kinds", "gauss,scene", "--peers", "sklearn,faiss"])
    book = lab.load(path)
    one = book["cells"]["defaults gauss 8x8"]
    assert (one["floor"], one["fastest"], one["unit"]) == (
        2,
        "sklearn",
        "x as fast as scikit-learn",
    )
    assert len(one["times"]["sklearn, ms"]) == len(one["n_iter"]["kmeans_fast"]) == grid.SEEDS
    assert one["value"] > 0 and one["inertia over ours"]["sklearn"] > 0
    scene = book["cells"]["defaults scene 10x32"]
    assert (scene["floor"], scene["n"]) == (3, 4000)
    assert scene.get("memory", 1) > 0  # Linux only
    assert "| 4,000 pixels of 10 bands, uint16, K = 32 |  | " in capsys.readouterr().out
    said = {"value": 0.5, "reached": False, "inertia over ours": {"sklearn": 1.1}}
    said |= {
        "n_iter": {"kmeans_fast": [3, 9, 4], "sklearn": [7]},
        "not waited for, s": {"faiss": 99},
    }
    grid.merge(None, book, {"machine": {"date": "later"}}, one | said)
    assert "; its error 1.1 times ours, iterations 7, ours 4) **below 2**" in grid.as_markdown(book)
    assert "Not waited for: FAISS at d = 8, K = 8 (99 s)." in grid.as_markdown(book)
    assert "| d = 8 | **0.5** | – | – |" in grid.front_page(book)
    slower = one | said | {"inertia over ours": {"sklearn": 0.8}}
    grid.merge(None, book, {"machine": {"date": "later"}}, slower)
    assert "| d = 8 | **0.5** (error x 1.25) | – | – |" in grid.front_page(book)
    assert grid.missed(book)[0].endswith("as people call it (held to 2 times): 0.5 at K = 8.")


def test_who_would_take_a_minute_is_not_waited_for(monkeypatch):
    case = arrays.case_of("gauss", 2, 8, scale=0.005)
    setting = lab.Setting(dict.fromkeys(("sklearn", "sklearnex")))
    seconds = iter([70.0, 80.0])
    monkeypatch.setattr(lab, "timed", lambda *args: (next(seconds), None))
    idle = contestants.Contestant("", "", (), lambda *args: None, "")
    monkeypatch.setattr(contestants, "DEFAULTS", dict.fromkeys(setting.peers, idle))
    found, slow = grid.waited_for(setting, case)
    assert (list(found), slow) == (["sklearn"], {"sklearnex": 80})


def test_who_prunes_inexactly_is_not_the_fastest_and_has_a_row():
    case = arrays.case_of("gauss", 128, 8, scale=0.01)

    def fit(points, start, iterations, tol=0.0):
        result = kf.fit(points, len(start), init=start, max_iter=iterations, tol=0)
        return result.centroids + 1, result.labels, iterations

    peer = contestants.OWN_STARTS["superkmeans"]
    setting = lab.Setting({"superkmeans": dataclasses.replace(peer, call=fit)}, rounds=1)
    one = grid.against_peers(setting, case, "ten")
    assert (one["value"], one["unit"]) == (None, "no peer")
    assert one["inexact"]["superkmeans"] > 0 and one["inertia over ours"]["superkmeans"] > 1.01
    assert "| d = 128, clusters; beside SuperKMeans, inexact | " in grid.grid_table([one])


@pytest.mark.parametrize("kind", grid.SCENE_CELLS)
def test_scenes_are_uint16_and_the_peers_take_the_same_values_as_floats(kind):
    case = arrays.case_of(kind, 6, 32, scale=0.001)
    assert case.points.shape == (arrays.SCENES[kind] // 1000, 6)
    assert case.points.dtype == np.uint16 and case.points.max() <= 10_000
    assert case.floats.dtype == np.float32 and (case.floats == case.points).all()
    assert len(np.unique(case.points, axis=0)) > 0.9 * len(case.points)


@pytest.mark.parametrize("name", grid.KNOWN)
def test_peers_that_are_here_find_what_ours_finds(name):
    if name not in contestants.present(name, grid.KNOWN)[0]:
        pytest.skip("it is not installed")
    case = arrays.case_of("gauss", 3, 8, scale=0.005)
    setting = lab.Setting({name: grid.KNOWN[name]})
    assert list(lab.check_peers(setting, case.points, case.start, most=2.0)) == [name]
