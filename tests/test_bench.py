"""The commands of `bench` run, say what they cannot do, and keep the README true."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import conftest
import kmeans_fast as kf
from bench import __main__ as bench
from bench import (
    cluster,
    compare,
    measure,
    model,
    pictures,
    plots,
    profile,
    quantizers,
    records,
    report,
    table,
)
from bench.stages import STAGES, timing

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


# ------------------------------------------------------------------- the pages' tables


@pytest.mark.parametrize(
    "page, marker", [(page, marker) for page, tables in report.PAGES.items() for marker in tables]
)
def test_the_pages_say_what_was_measured(page, marker):
    name, as_markdown = report.PAGES[page][marker]
    _, inside, _ = report.between(marker, (ROOT / page).read_text())
    assert inside == as_markdown(records.load(records.RESULTS / name)) + "\n", (
        "the page differs from bench/results: run `python -m bench report`"
    )


def test_a_report_changes_what_is_between_the_markers_alone(tmp_path):
    text, problems = report.outdated(README, records.RESULTS)
    assert (text, problems) == (README, [])
    stale = README
    for marker in report.TABLES:
        head, _, tail = report.between(marker, stale)
        stale = head + "old\n" + tail
    assert report.outdated(stale, records.RESULTS) == (README, [])


def test_a_report_names_the_files_that_it_cannot_use_and_does_the_rest(tmp_path):
    for name, _ in report.TABLES.values():
        (tmp_path / name).write_text((records.RESULTS / name).read_text())
    (tmp_path / "table.json").write_text('{"format": 99}')
    (tmp_path / "grid.json").write_text("no json")
    (tmp_path / "peers.json").unlink()
    text, problems = report.outdated(README.replace("<!-- profile -->", ""), tmp_path)
    assert text == README.replace("<!-- profile -->", "")
    assert [problem.split(";")[0].split(" (")[0] for problem in problems] == [
        f"{tmp_path / 'table.json'} is of format 99, not 1",
        f"{tmp_path / 'grid.json'} is no JSON",
        "the page has no <!-- profile --> and <!-- /profile --> to write between",
        f"{tmp_path / 'peers.json'} cannot be read",
    ]


# --------------------------------------------------------------------------- the commands


def test_commands_are_named(capsys):
    assert bench.main([]) == 0
    usage = capsys.readouterr().out
    assert all(f"  {name} " in usage for name in bench.COMMANDS)
    assert bench.main(["profil"]) == 2
    assert "'profil' is none of profile, peers," in capsys.readouterr().err


@pytest.mark.parametrize("command", bench.COMMANDS)
def test_each_command_has_a_help(command, capsys):
    with pytest.raises(SystemExit, match="0"):
        bench.main([command, "--help"])
    assert f"usage: python -m bench {command}" in capsys.readouterr().out


@pytest.fixture(scope="module", autouse=True)
def no_pauses():
    """Let nothing wait for the peers' threads to come to rest: no time is looked at."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (compare, measure, profile):
            patch.setattr(module, "IDLE", 0.0)
        yield


@pytest.fixture(scope="module")
def tiny_profile(tmp_path_factory):
    """Return the folder of a profile of tiny pictures, with all that needs no new process."""
    folder = tmp_path_factory.mktemp("profile")
    parts = ["--parts", "sizes,ks,cores,peers,jpeg", "--peers", "nobody", "--rounds", "2"]
    assert profile.main([*parts, "--scale", "0.002", "--out", str(folder)]) == 0
    return folder


def test_a_profile_measures_every_part(tiny_profile):
    found = records.load(tiny_profile / "profile.json")
    sizes, ks, cores = (model.points_of(found, part) for part in ("sizes", "ks", "cores"))
    assert [point["megapixels"] for point in sizes] == pytest.approx(
        [0.002 * size for size in profile.SIZES], rel=0.1
    )
    assert [point["k"] for point in ks] == list(profile.KS)
    assert cores[0]["threads"] == 1
    for point in [*sizes, *ks, *cores]:
        assert len(point["seconds"]) == 2
        for number in range(2):
            stages = sum(taken[number] for taken in point["stages"].values())
            assert 0 < stages <= point["seconds"][number]
    assert found["runs"]["sizes"]["peers left out"] == {
        "nobody": "unknown: none of sklearn, sklearnex, faiss, opencv, scipy"
    }
    assert list(found["peers"][0]["seconds"]) == ["kmeans_fast"]
    assert len(found["jpeg"]["seconds"]["decode"]) == 2


def test_a_profile_is_a_page_without_the_network(tiny_profile):
    page = (tiny_profile / "profile.html").read_text()
    assert page.count("<svg") == 4
    assert "<script" not in page
    assert "src=" not in page
    assert "href=" not in page.replace('xlink:href="#', "")  # within the plots
    for name in ("size", "k", "cores", "peers"):
        assert (tiny_profile / f"profile-{name}.png").read_bytes().startswith(b"\x89PNG")
    text = (tiny_profile / "profile.md").read_text()
    for heading in text.split("\n"):
        if heading.startswith("## "):
            assert f"<h2>{heading[3:]}</h2>" in page


def test_a_part_measured_again_takes_the_place_of_the_old_one(tiny_profile, tmp_path, monkeypatch):
    monkeypatch.setattr(profile.plots, "write", lambda *_: None)  # they take seconds
    old = records.load(tiny_profile / "profile.json")
    records.save(tmp_path / "profile.json", old)
    profile.main(
        ["--parts", "cores", "--peers", "", "--rounds", "1", "--scale", "0.001"]
        + ["--out", str(tmp_path)]
    )
    new = records.load(tmp_path / "profile.json")
    assert model.points_of(new, "sizes") == model.points_of(old, "sizes")
    assert all(len(point["seconds"]) == 1 for point in model.points_of(new, "cores"))
    assert len(model.points_of(new, "cores")) == len(model.points_of(old, "cores"))


def test_without_matplotlib_the_page_has_no_plots(tiny_profile, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    found = records.load(tiny_profile / "profile.json")
    plots.write(found, model.as_markdown(found), tmp_path)
    assert "pip install 'kmeans_fast[bench]'" in capsys.readouterr().err
    page = (tmp_path / "profile.html").read_text()
    assert "<svg" not in page
    assert "<h2>Time against size</h2>" in page


def test_a_record_of_another_format_is_replaced(tmp_path, capsys):
    (tmp_path / "profile.json").write_text('{"format": 0, "points": "other"}')
    profile.main(
        ["--parts", "jpeg", "--peers", "", "--rounds", "1", "--scale", "0.001"]
        + ["--out", str(tmp_path)]
    )
    assert "is of format 0, not 1" in capsys.readouterr().err
    assert "jpeg" in records.load(tmp_path / "profile.json")


@pytest.mark.parametrize(
    "arguments",
    [["--parts", "size"], ["--rounds", "0"], ["--scale", "0.1"]],  # the last would hit the record
)
def test_options_of_a_profile_that_do_not_fit(arguments):
    with pytest.raises(SystemExit, match="2"):
        profile.main(arguments)


def test_an_unreadable_picture_is_said_and_another_takes_its_place(tmp_path, capsys):
    torn = tmp_path / "torn.png"
    torn.write_bytes(b"\x89PNG\r\n")
    profile.main(
        ["--parts", "jpeg", "--peers", "", "--rounds", "1", "--scale", "0.001"]
        + ["--image", str(torn), "--out", str(tmp_path)]
    )
    assert "torn.png" in capsys.readouterr().err
    assert records.load(tmp_path / "profile.json")["runs"]["jpeg"]["picture"] == "made in code"


def test_figures_that_cannot_be_written_are_said_before_anything_is_measured(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SystemExit, match="cannot be written .* give another --out"):
        profile.main(["--parts", "starts", "--out", str(tmp_path / "file" / "folder")])


def test_a_report_answers(tiny_profile, capsys):
    given = ["--results", str(tiny_profile), "--megapixels", "100", "--cores", "16"]
    assert report.main(given) == 1  # pictures of less than a megapixel say nothing
    records.save(tiny_profile / "none" / "profile.json", {"points": [], "runs": {}})
    assert report.main(["--results", str(tiny_profile / "none"), "--cores", "16"]) == 1
    assert "too little was measured" in capsys.readouterr().err
    assert report.main(["--megapixels", "100", "--cores", "16"]) == 0  # from the record
    out = capsys.readouterr().out
    assert "100 megapixels, K = 16, k-means++, ten iterations and labels, on 16 cores:" in out
    assert all(f"  {stage} " in out for stage in model.ALL_STAGES)


# ------------------------------------------------------------------------------ the model


def made_up(serial, parallel, sizes=(2, 24, 50, 100), cores=(1, 2, 4)):
    """Return a profile in which each stage takes exactly what it should."""

    def point(part, megapixels, threads):
        stages = {
            stage: [1e-3 * megapixels * (serial + parallel / threads)] * 3 for stage in STAGES
        }
        seconds = [sum(taken[0] for taken in stages.values())] * 3
        return {
            "part": part, "megapixels": megapixels, "colors": 9, "k": 16, "threads": threads,
            "seconds": seconds, "stages": stages, "copy": [1e-3] * 3, "floor": [1e-4] * 3,
        }  # fmt: skip

    points = [point("sizes", size, 2) for size in sizes]
    return {"points": points + [point("cores", 24, n) for n in cores], "runs": {}}


@pytest.mark.parametrize(("serial", "parallel"), [(0.0, 1.0), (0.25, 0.75), (1.0, 0.0)])
def test_predictions_follow_amdahl_and_the_pixels(serial, parallel):
    found = model.predict(made_up(serial, parallel), 70, 16)
    assert found["rest"] == pytest.approx(0, abs=1e-6)
    for stage in STAGES:
        assert found[stage] == pytest.approx(70 * (serial + parallel / 16))


def test_the_exponent_is_that_of_the_large_pictures():
    points = made_up(0, 1)["points"][:4]
    assert model.exponent(points) == pytest.approx(1.0)
    for point in points:
        point["seconds"] = [point["megapixels"] ** 1.3]
    points[0]["seconds"] = [1000.0]  # small: not looked at
    assert model.exponent(points) == pytest.approx(1.3)
    assert model.exponent(points[:2]) is None


@pytest.mark.parametrize(
    ("x", "y", "expected"),
    [
        ([1, 2, 4], [3, 5, 9], (1, 2)),
        ([1, 2], [5, 3], (3.75, 0)),
        ([1, 2], [1, 5], (0, 1.4 / 1.16)),
    ],
)
def test_lines_do_not_go_below_zero(x, y, expected):
    assert model.line(x, y) == pytest.approx(expected)


def test_powers_of_two_up_to_sixty_four_cores(monkeypatch):
    assert profile.powers_of_two(64) == [1, 2, 4, 8, 16, 32, 64]
    assert profile.powers_of_two(1) == [1]
    assert profile.powers_of_two(48) == [1, 2, 4, 8, 16, 32, 48]


# ----------------------------------------------------------------------------- the stages


@pytest.mark.parametrize("kind", ["small", "table", "wide"])
def test_stages_are_where_the_time_goes(kind):
    rng = np.random.default_rng(0)
    image = pictures.thumbnail(pictures.photograph(1), 200 if kind == "small" else 800)
    if kind == "wide":
        image = (image.astype(np.uint16) << 8) + rng.integers(0, 9, image.shape, np.uint16)
    plain = kf.fit(image, 8, max_iter=3)
    with timing() as seconds:
        result = kf.fit(image, 8, max_iter=3)
    assert np.array_equal(result.labels, plain.labels)
    assert all(seconds[stage] > 0 for stage in STAGES)
    assert seconds["iterate"] >= sum(iteration.seconds for iteration in result.history)
    with timing() as again:
        pass
    assert not any(again.values())
    kf.fit(image, 8, max_iter=3)
    assert not any(again.values())  # nothing stays patched


# ------------------------------------------------------------------------------ the peers


def test_peers_beside_ours(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(compare, "peak_bytes", lambda name, folder, k: 5e6)
    out = tmp_path / "peers.json"
    given = ["--peers", "pillow,pillow-kmeans,nobody", "-k", "4,8", "--rounds", "2"]
    for _ in range(2):
        assert compare.main([*given, "--megapixels", "0.02", "--out", str(out)]) == 0
    printed = capsys.readouterr()
    assert "left out: nobody, unknown: none of sklearn," in printed.err
    assert "Beside the run of " in printed.out
    record = records.load(out)
    assert [case["k"] for case in record["cases"]] == [4, 8]
    for case in record["cases"]:
        rows = {row["name"]: row for row in case["rows"]}
        assert set(rows) == {"kmeans_fast", "kmeans_fast-defaults", "pillow", "pillow-kmeans"}
        assert rows["kmeans_fast-defaults"]["error"] < rows["pillow"]["error"]
        assert rows["pillow-kmeans"]["error"] < rows["pillow"]["error"]
        assert all(row["error"] > 0 for row in case["rows"])
    assert "Left out: nobody" in compare.as_markdown(record)


@pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="the peak memory is read from Linux's /proc"
)
def test_the_peak_memory_is_that_of_the_work(tmp_path):
    picture = pictures.photograph(2)
    np.save(tmp_path / "picture.npy", picture)
    np.save(tmp_path / "start4.npy", np.zeros((4, 3)))
    taken = compare.peak_bytes("pillow", tmp_path, 4)
    assert 0.9 * picture.size < taken < 40 * picture.size
    assert compare.peak_bytes("nobody", tmp_path, 4) is None


def a_case(*ratios):
    """Return a case in which a peer takes so many times the second that ours takes."""
    row = {"name": "kmeans_fast", "title": "ours", "against": "kmeans_fast", "seconds": [1.0] * 4}
    peer = row | {"name": "peer", "title": "peer", "seconds": list(ratios)}
    return {"cases": [{"k": 16, "rows": [row, peer]}]}


def test_noise_is_said():
    (steady,), (noisy,), (small,) = (
        a_case(*ratios)["cases"] for ratios in ((9, 9.5, 9, 9.5), (9, 9, 12, 12), (1, 1, 1.5, 1.5))
    )
    assert compare.unsteady(steady) == []
    assert compare.unsteady(noisy) == ["peer at K = 16: 9, then 12"]
    assert compare.unsteady(small) == []
    assert compare.against(a_case(9, 9, 9, 9), a_case(9.5, 9.5, 9.5, 9.5)) == []
    assert compare.against(a_case(9, 9, 9, 9), a_case(12, 12, 12, 12)) == [
        "peer at K = 16: 9, now 12"
    ]


def test_a_command_that_only_has_the_name_is_left_out(tmp_path, monkeypatch):
    for name in ("convert", "magick", "pngquant"):
        (tmp_path / name).write_text("#!/bin/sh\necho not this\nexit 1\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    here, absent = compare.present("imagemagick,pngquant")
    assert here == []
    assert list(absent) == ["imagemagick", "pngquant"]
    assert absent["pngquant"] == "no working 'pngquant' on the PATH"


def test_a_command_is_given_the_picture_and_gives_a_palette(tmp_path, monkeypatch):
    python = f"#!{sys.executable}\n"
    script = python + (
        "import sys\nfrom PIL import Image\n"
        "if sys.argv[1:] == ['--version']: sys.exit(print('3.0.3 (stand-in)'))\n"
        "out, k, there = sys.argv[4:]\n"
        "assert sys.argv[1:4] == ['--nofs', '--force', '--output']\n"
        "Image.open(there).quantize(int(k)).save(out)\n"
    )
    (tmp_path / "pngquant").write_text(script)
    (tmp_path / "pngquant").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    pngquant = quantizers.QUANTIZERS["pngquant"]
    assert pngquant.missing() is None
    assert pngquant.version() == "3.0.3"
    palette = pngquant.palette(pictures.thumbnail(pictures.photograph(0.05), 30), 8)
    assert palette.shape == (8, 3)


def test_the_words_of_a_command_hold_its_files():
    magick = quantizers.QUANTIZERS["imagemagick"].filled(16, Path("a.png"), Path("b.png"))
    assert magick[1:] == ["a.png", "+dither", "-colors", "16", "PNG8:b.png"]


# ------------------------------------------------------------------------- the benchmarks


@pytest.mark.parametrize("source", ["TESTPATHS", "ARGS"])
@pytest.mark.parametrize("asked", [True, False])
def test_benchmarks_are_looked_for_when_asked_for_and_no_path_is_given(source, asked):
    args = ["tests", "kmeans_fast", "README.md"]
    given = pytest.Config.ArgsSource[source]
    config = SimpleNamespace(
        option=SimpleNamespace(benchmark_only=asked), args_source=given, args=args, rootpath=ROOT
    )
    conftest.pytest_configure(config)
    assert config.args == ([str(ROOT / "bench")] if asked and source == "TESTPATHS" else args)
    del config.option.benchmark_only  # as without pytest-benchmark
    conftest.pytest_configure(config)
    assert f"testpaths = {args}".replace("'", '"') in (ROOT / "pyproject.toml").read_text()


def test_small_tests_are_chosen_where_the_jit_is_off(monkeypatch):
    monkeypatch.setattr(conftest.numba.config, "DISABLE_JIT", 1)
    config = SimpleNamespace(
        option=SimpleNamespace(), args_source=pytest.Config.ArgsSource.TESTPATHS, rootpath=ROOT
    )
    conftest.pytest_configure(config)
    assert config.args == [str(ROOT / path) for path in conftest.WITHOUT_JIT]
    assert all(Path(path).exists() for path in config.args)


def test_a_table_of_a_tiny_run(tmp_path, capsys):
    out = tmp_path / "table.json"
    given = ["--rows", "tutorial,checks", "--peers", "", "--rounds", "1", "--scale", "0.01"]
    table.main([*given, "--out", str(out)])
    record = json.loads(out.read_text())
    assert record["format"] == records.FORMAT
    assert [row["floor"] for row in record["rows"]] == [5000, 5]
    assert "| the tutorial's loop, 20 x 20, K = 10" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="2"):
        table.main(["--rows", "nothing"])


# -------------------------------------------------------------------------- tiles and clusters


def test_tiles_are_measured_in_processes_of_their_own(tmp_path, capsys):
    path = tmp_path / "tiles.json"
    assert bench.main(["tiles", "--megapixels", "0.3", "--out", str(path)]) == 0
    (point,) = records.load(path)["points"]
    assert (point["tiles"], point["megapixels"]) == (5, 5 * 256**2 / 1e6)
    assert list(point["seconds"]) == ["making", "counting", "fitting", "labelling"]
    assert point["peak, MB"]["counting"] <= point["peak, MB"]["labelling"]
    assert "| 0.328 | 5 | " in capsys.readouterr().out


def test_a_plan_is_worked_out_from_the_rates_of_a_worker():
    worker = cluster.measure_worker(64, 1)
    assert 0 < worker["colors"] <= worker["pixels"] == 64**2
    assert worker["bytes"] == 12 * worker["colors"]
    worker |= {"pixels": 10**9, "seconds": dict.fromkeys(("count", "merge", "fit", "label"), 2.0)}
    plan = cluster.plan(worker, {"task": 0.001})
    assert "| count chunks | 1,000 x 2000 ms / 100 | 20 |" in plan
    assert "| schedule tasks, one after the other | 1,000 x (2 + 1/7) x 1.00 ms | 2.14 |" in plan
    assert "The bottleneck: to read the pixels, twice" in plan
