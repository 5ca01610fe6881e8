"""The pages say what was measured, beside whom, and what falls short."""

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import kmeans_fast as kf
from bench import __main__ as bench
from bench import amdahl, contestants, front, lab, peers, pictures, report, stages

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "benchmarks.md").read_text()


# ------------------------------------------------------------------- the pages' tables


@pytest.mark.parametrize(
    "page, marker", [(page, marker) for page, tables in report.PAGES.items() for marker in tables]
)
def test_the_pages_say_what_was_measured(page, marker):
    names, as_markdown = report.PAGES[page][marker]
    _, inside, _ = report.between(marker, (ROOT / page).read_text())
    assert inside == as_markdown(*(lab.load(lab.RESULTS / name) for name in names)) + "\n", (
        "the page differs from bench/results: run `python -m bench report`"
    )


@pytest.mark.parametrize("theme", front.COLORS)
def test_the_chart_is_of_what_was_measured(theme):
    record = lab.load(lab.RESULTS / "front.json")
    with Image.open(front.paths(report.CHART)[theme]) as chart:
        assert chart.text["Record"] == front.digest(record), (
            "the chart differs from bench/results: run `python -m bench report`"
        )
        assert chart.width >= 2 * 760


def test_a_report_changes_what_is_between_the_markers_alone():
    tables = report.BENCHMARKS
    assert report.outdated(PAGE, lab.RESULTS, tables) == (PAGE, [])
    stale = PAGE
    for marker in tables:
        head, _, tail = report.between(marker, stale)
        stale = head + "old\n" + tail
    assert report.outdated(stale, lab.RESULTS, tables) == (PAGE, [])


def test_a_report_names_the_files_that_it_cannot_use_and_does_the_rest(tmp_path):
    for path in lab.RESULTS.glob("*.json"):
        (tmp_path / path.name).write_text(path.read_text())
    (tmp_path / "table.json").write_text('{"format": 99}')
    (tmp_path / "grid.json").write_text("no json")
    (tmp_path / "peers.json").unlink()
    page = PAGE.replace("<!-- profile -->", "")
    text, problems = report.outdated(page, tmp_path, report.BENCHMARKS)
    assert text == page
    assert [problem.split(";")[0].split(" (")[0] for problem in problems] == [
        f"{tmp_path / 'table.json'} is of format 99, not 1",
        "the page has no <!-- profile --> and <!-- /profile --> to write between",
        f"{tmp_path / 'peers.json'} cannot be read",
        f"{tmp_path / 'grid.json'} is no JSON",
    ]


def test_what_all_runs_share_is_said_once():
    def record(date, **versions):
        return {"machine": {"date": date, "cores": 2}, "versions": versions}

    one, other = record("1", numpy="2.0"), record("2", numpy="2.0", FAISS="1")
    of_two = {"runs": {"first": other, "second": record("3", numpy="2.1")}}
    said = report.runs(one, other, of_two, one, one, one)
    assert said.startswith("All of them: cores 2; FAISS 1.\n")
    assert "| `python -m bench front` | 1 | numpy 2.0 |" in said
    assert "| `python -m bench table` | 2 | numpy 2.0 |" in said
    assert "| `python -m bench table` | 3 | numpy 2.1 |" in said


def test_the_page_says_what_more_cores_give():
    def point(threads, part="cores", iterations=10):
        taken = 0.25 + 0.75 / threads
        return {
            "part": part, "megapixels": 24.0, "colors": 9000, "k": 16, "threads": threads,
            "iterations": iterations, "seconds": [6 * taken] * 3, "copy": [1.0] * 3,
            "stages": {stage: [taken] * 3 for stage in stages.STAGES},
        }  # fmt: skip

    profile = {"points": [point(1), point(2)], "runs": {"cores": {"picture": "made in code"}}}
    old = amdahl.as_markdown(profile)  # of a record from before there was more
    assert "| count | 1,000 | 1.60 | 25 % | 2.29 | 3.37 | 3.82 |" in old
    assert "| whole | 6,000 | 1.60 | 25 % | 2.29 | 3.37 | 3.82 |" in old
    assert "were not measured then" in old and "hotograph" not in old
    profile["calibration"] = [
        {"what": "memcpy", "threads": n, "seconds": [0.003 / n**0.5]} for n in (1, 2)
    ]
    profile["photographs"] = [{"name": "a|b.jpg"} | point(n, "photographs", 31) for n in (1, 2)]
    new = amdahl.as_markdown(profile)
    assert "| memcpy | 3 | 1.41 | – | – | – | – |" in new
    assert "were not measured then" not in new
    cells = "1,000 / 625 | " * 6 + "1.60 | 25 % |"
    assert f"| a\\|b.jpg | 24 | 9,000 | 16 | 31 | 6,000 / 3,750 | {cells}" in new
    profile["points"] = [point(1)]  # on one core there is nothing to compare with
    assert "| whole | 6,000 | – | – | – | – |" in amdahl.as_markdown(profile)
    assert "Not measured" in amdahl.as_markdown({"points": []})


def test_all_that_is_missed_is_told():
    names, short = report.BENCHMARKS["short"]
    said = short(*(lab.load(lab.RESULTS / name) for name in names))
    tables = PAGE[: PAGE.index("## What falls short")]
    n_missed = tables.count("| NO |") + tables.count("**below ")
    n_missed += sum("MISSED" in line for line in tables.splitlines())
    of_grid = said[said.index("**Any other array**") : said.index("**Others are better**")]
    of_pictures = said[: said.index("**Any other array**")]
    assert of_pictures.count("\n- ") + of_grid.count(" at K = ") == n_missed


# ------------------------------------------------------------------------------ the peers


def test_peers_beside_ours(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(peers, "apart", peers.alone)
    monkeypatch.setattr(peers, "OURS", {n: peers.OURS[n] for n in list(peers.OURS)[:2]})
    out = tmp_path / "peers.json"
    given = ["--peers", "pillow,pillow-kmeans,nobody", "-k", "4,8", "--rounds", "1"]
    assert peers.main([*given, "--scale", "0.01", "--out", str(out)]) == 0
    assert "left out: nobody, unknown: none of sklearn," in capsys.readouterr().err
    record = lab.load(out)
    assert [case["k"] for case in record["cases"]] == [4, 8]
    for case in record["cases"]:
        rows = {row["name"]: row for row in case["rows"]}
        assert set(rows) == {"kmeans_fast", "kmeans_fast-defaults", "pillow", "pillow-kmeans"}
        assert rows["kmeans_fast-defaults"]["error"] < rows["pillow"]["error"]
        assert rows["pillow-kmeans"]["error"] < rows["pillow"]["error"]
        assert all(row["error"] > 0 for row in case["rows"])
    assert "Left out: nobody" in peers.as_markdown(record)


def test_the_figures_of_the_front_page(tmp_path, capsys):
    photo, out = tmp_path / "photo.png", tmp_path / "front.json"
    Image.fromarray(pictures.photograph(0.02)).save(photo)
    given = ["--image", str(photo), "--megapixels", "0", "-k", "8", "--rounds", "1"]
    assert bench.main(["front", *given, "--peers", "pillow", "--out", str(out)]) == 0
    record = lab.load(out)
    assert record["megapixels"] == pytest.approx(0.02, rel=0.01)
    whole, command, pillow = record["cases"][0]["rows"]  # each of a process of its own
    assert command["seconds"][0] > whole["seconds"][0]
    assert command["error"] == whole["error"] < pillow["error"]
    assert {row["against"] for row in (whole, pillow)} == {whole["name"]}
    table = capsys.readouterr().out
    assert "| **kmeans_fast**: `kf.quantize(picture, 8)` | " in table
    assert "| Pillow: `quantize(8)`, median cut | " in table
    front.draw(record, tmp_path)
    for path in front.paths(tmp_path).values():
        with Image.open(path) as chart:
            assert chart.text["Record"] == front.digest(record)
            assert np.asarray(chart)[0, 0, 3] == 0  # on nothing


def test_a_bar_longer_than_the_axis_is_cut():
    assert len(front.bar(1.0, 1.0, 0)) == 1
    left, right = front.bar(9.0, 1.0, 0)
    assert max(x for x, _ in left) < 1.0 == max(x for x, _ in right)


def test_what_others_do_better_is_said():
    own = {
        "name": "ours", "title": "ours", "terms": "", "against": "ours",
        "seconds": [1.0], "error": 2.0, "bytes": 3e6,
    }  # fmt: skip
    peer = own | {"title": "peer", "terms": "its own"}
    rows = [own, peer, peer | {"error": 1.0, "bytes": 2e6}, peer | {"seconds": [0.5]}]
    record = {"megapixels": 2.0, "cases": [{"k": 16, "rows": rows}]}
    start = "peer (its own), 16 colours of 2 megapixels: "
    assert peers.better(record) == [
        f"{start}an error of 1, ours 2; 2 MB, ours 3.",
        f"{start}500 (500 to 500) ms, ours 1,000 (1,000 to 1,000).",
    ]


@pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="the peak memory is read from Linux's /proc"
)
def test_the_peak_memory_is_that_of_the_process(tmp_path, monkeypatch):
    pixels = 2_000_000
    picture = pictures.photograph(pixels / 1e6)
    np.save(tmp_path / "picture.npy", picture)
    np.save(tmp_path / "start4.npy", np.zeros((4, 3)))
    found = peers.apart("pillow", tmp_path, 4)
    assert 3 * pixels + 20e6 < found["bytes"] < 200e6
    # Of a program it is its own, not that of who starts it.
    (tmp_path / "picture.png").write_bytes((ROOT / "docs" / "astronaut.png").read_bytes())
    np.save(tmp_path / "picture.npy", kf.open_image(tmp_path / "picture.png"))
    code = "import sys, shutil; shutil.copy(*sys.argv[1:])"
    quiet = contestants.Command(
        "copy",
        sys.executable,
        (),
        lambda a, b, k: [sys.executable, "-Sc", code, str(a), str(b)],
        "",
    )
    monkeypatch.setitem(peers.KNOWN, "copy", quiet)
    monkeypatch.setattr(peers, "error_of", lambda picture, answer: 0.0)
    assert 2e6 < peers.apart("copy", tmp_path, 4)["bytes"] < 30e6
    with pytest.raises(KeyError):
        peers.apart("nobody", tmp_path, 4)


def test_a_program_that_is_not_here_is_left_out(monkeypatch):
    monkeypatch.setenv("PATH", "")
    here, absent = contestants.present("pngquant", contestants.ALL)
    assert here == {}
    assert absent == {"pngquant": "is not here (no 'pngquant' on the PATH)"}


def test_noise_is_said():
    def found(*ratios):
        """Say of a peer that takes so many times the second that ours takes."""
        row = {"name": "kmeans_fast", "title": "ours", "against": "kmeans_fast"}
        own = row | {"seconds": [1.0] * 4}
        return peers.unsteady({"k": 16, "rows": [own, row | {"title": "peer", "seconds": ratios}]})

    assert found(9, 9.5, 9, 9.5) == []
    assert found(9, 9, 12, 12) == ["peer at K = 16: 9, then 12"]
    assert found(1, 1, 1.5, 1.5) == []  # too near to say so
