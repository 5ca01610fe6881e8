"""The commands of `bench` run, and say what they cannot do."""

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

import conftest
import kmeans_fast as kf
from bench import __main__ as bench
from bench import (
    amdahl,
    calibrate,
    cluster,
    lab,
    pictures,
    profile,
    report,
    stages,
    table,
    tiles,
)
from kmeans_fast.threads import default_threads

ROOT = Path(__file__).parent.parent
QUICK = ["--rounds", "1", "--scale", "0.001"]


# --------------------------------------------------------------------------- the commands


def test_commands_are_named(capsys):
    assert bench.main([]) == 0
    usage = capsys.readouterr().out
    assert all(f"  {name} " in usage for name in bench.COMMANDS)
    assert bench.main(["profil"]) == 2
    assert "'profil' is none of profile, front," in capsys.readouterr().err


@pytest.mark.parametrize("command", bench.COMMANDS)
def test_each_command_has_a_help(command, capsys):
    with pytest.raises(SystemExit, match="0"):
        bench.main([command, "--help"])
    assert f"usage: python -m bench {command}" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [
        ["profile", "--parts", "size"], ["profile", "--rounds", "0"], ["table", "--rows", "all"],
        ["profile", "--scale", "0.1"],  # would hit the record
        ["grid", "--parts", "tem"], ["grid", "--cells", "3"], ["peers", "-k", "257"],
    ],
)  # fmt: skip
def test_options_that_do_not_fit_are_refused(arguments):
    with pytest.raises(SystemExit, match="2"):
        bench.main(arguments)


@pytest.fixture(scope="module", autouse=True)
def no_pauses():
    """Let nothing wait for the peers' threads to come to rest: no time is looked at."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lab, "IDLE", 0.0)
        yield


@pytest.fixture(scope="module")
def tiny_profile(tmp_path_factory):
    """Return the folder of a profile of tiny pictures, with all that needs no new process."""
    folder = tmp_path_factory.mktemp("profile")
    options = ["--parts", "sizes,ks,cores,jpeg", "--rounds", "2", "--scale", "0.002"]
    assert bench.main(["profile", *options, "--out", str(folder)]) == 0
    return folder


def test_a_profile_measures_every_part(tiny_profile):
    found = lab.load(tiny_profile / "profile.json")
    sizes, ks, cores = (stages.points_of(found, part) for part in ("sizes", "ks", "cores"))
    assert [point["megapixels"] for point in sizes] == pytest.approx(
        [0.002 * size for size in profile.SIZES], rel=0.1
    )
    assert [point["k"] for point in ks] == list(profile.KS)
    assert cores[0]["threads"] == 1
    for point in [*sizes, *ks, *cores]:
        assert len(point["seconds"]) == 2
        for number in range(2):
            of_stages = sum(taken[number] for taken in point["stages"].values())
            assert 0 < of_stages <= point["seconds"][number]
    assert len(found["jpeg"]["seconds"]["decode"]) == 2


def test_a_profile_is_drawn(tiny_profile):
    for part in ("sizes", "ks", "cores"):
        assert (tiny_profile / f"profile-{part}.png").read_bytes().startswith(b"\x89PNG")


def test_a_part_measured_again_takes_the_place_of_the_old_one(tiny_profile, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)  # as if it were not installed
    old = lab.load(tiny_profile / "profile.json")
    lab.save(tmp_path / "profile.json", old)
    bench.main(["profile", "--parts", "cores", *QUICK, "--out", str(tmp_path)])
    new = lab.load(tmp_path / "profile.json")
    assert stages.points_of(new, "sizes") == stages.points_of(old, "sizes")
    assert all(len(point["seconds"]) == 1 for point in stages.points_of(new, "cores"))
    assert len(stages.points_of(new, "cores")) == len(stages.points_of(old, "cores"))
    assert not list(tmp_path.glob("*.png"))


def test_photographs_are_measured_each_and_known_by_their_names(tmp_path, capsys):
    folder, out = tmp_path / "photos", tmp_path / "out"
    folder.mkdir()
    Image.fromarray(pictures.photograph(0.5)).save(folder / "one.png")
    Image.fromarray(pictures.photograph(0.2)).save(tmp_path / "other.JPG")
    (folder / "torn.png").write_bytes(b"\x89PNG")
    (folder / "notes.txt").write_text("no picture")
    given = ["--image", str(tmp_path / "other.JPG"), "--image", str(folder), "--out", str(out)]
    options = ["--parts", "cores", "--rounds", "1", "--scale", "0.02"]
    assert bench.main(["profile", *options, *given]) == 0
    said = capsys.readouterr()
    assert "left out: " in said.err and "torn.png" in said.err and "notes.txt" not in said.err
    record = lab.load(out / "profile.json")
    some = sorted({1, default_threads()})
    expected = [(name, k, n) for name in ("one.png", "other.JPG") for k in (16, 256) for n in some]
    found = record["photographs"]
    assert [(point["name"], point["k"], point["threads"]) for point in found] == expected
    assert found[0]["megapixels"] == pytest.approx(0.01, rel=0.1)
    assert all(of["iterations"] == found[0]["iterations"] > 10 for of in found[: len(some)])
    assert record["runs"]["cores"]["picture"] == "one.png"  # the larger one
    assert str(tmp_path) not in (out / "profile.json").read_text()
    rows = [line.split(" | ")[0] for line in said.out.splitlines()]
    assert rows.count("| one.png") == rows.count("| other.JPG") == 2
    numbers = profile.powers_of_two(default_threads())
    for what in calibrate.WORKS:
        measured = [of for of in record["calibration"] if of["what"] == what]
        assert [of["threads"] for of in measured] == numbers
        assert all(of["seconds"][0] > 0 for of in measured)
        assert rows.count(f"| {what}") == 1


def test_what_cannot_be_read_is_said_and_replaced(tmp_path, capsys):
    (tmp_path / "profile.json").write_text('{"format": 0, "points": "other"}')
    torn = tmp_path / "torn.png"
    torn.write_bytes(b"\x89PNG\r\n")
    given = ["--parts", "jpeg", *QUICK, "--image", str(torn), "--out", str(tmp_path)]
    bench.main(["profile", *given])
    said = capsys.readouterr().err
    assert "is of format 0, not 1" in said
    assert "torn.png" in said
    record = lab.load(tmp_path / "profile.json")
    assert record["runs"]["jpeg"]["picture"] == "made in code"
    assert "jpeg" in record


def test_figures_that_cannot_be_written_are_said_before_anything_is_measured(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SystemExit, match="cannot be written .* give another --out"):
        profile.main(["--parts", "starts", "--out", str(tmp_path / "file" / "folder")])


def test_a_report_answers(tiny_profile, capsys):
    given = ["--results", str(tiny_profile), "--megapixels", "100", "--cores", "16"]
    assert report.main(given) == 1  # pictures of less than a megapixel say nothing
    lab.save(tiny_profile / "none" / "profile.json", {"points": [], "runs": {}})
    assert report.main(["--results", str(tiny_profile / "none"), "--cores", "16"]) == 1
    assert "too little was measured" in capsys.readouterr().err
    assert report.main(["--megapixels", "100", "--cores", "16"]) == 0  # from the record
    out = capsys.readouterr().out
    assert "100 megapixels, K = 16, k-means++, ten iterations and labels, on 16 cores:" in out
    assert all(f"  {stage} " in out for stage in stages.ALL_STAGES)


# ------------------------------------------------------------------------------ the model


def made_up(serial, parallel, sizes=(2, 24, 50, 100), cores=(1, 2, 4)):
    """Return a profile in which each stage takes exactly what it should."""

    def point(part, megapixels, threads):
        taken = 1e-3 * megapixels * (serial + parallel / threads)
        of_stages = {stage: [taken] * 3 for stage in stages.STAGES}
        seconds = [taken * len(of_stages)] * 3
        return {
            "part": part, "megapixels": megapixels, "colors": 9, "k": 16, "threads": threads,
            "seconds": seconds, "stages": of_stages, "copy": [1e-3] * 3,
        }  # fmt: skip

    points = [point("sizes", size, 2) for size in sizes]
    return {"points": points + [point("cores", 24, n) for n in cores], "runs": {}}


@pytest.mark.parametrize(("serial", "parallel"), [(0.0, 1.0), (0.25, 0.75), (1.0, 0.0)])
def test_predictions_follow_amdahl_and_the_pixels(serial, parallel):
    found = amdahl.predict(made_up(serial, parallel), 70, 16)
    assert found["rest"] == pytest.approx(0, abs=1e-6)
    for stage in stages.STAGES:
        assert found[stage] == pytest.approx(70 * (serial + parallel / 16))


@pytest.mark.parametrize("serial", [0.0, 0.25, 1.0])
def test_the_serial_share_is_that_of_amdahl(serial):
    times = {n: 7 * (serial + (1 - serial) / n) for n in (1, 2, 4, 6)}
    assert amdahl.serial_share(times) == pytest.approx(serial, abs=1e-9)
    assert amdahl.serial_share({1: 7.0, 2: 3.0}) == 0  # more than it should gain
    assert amdahl.serial_share({1: 7.0, 2: 8.0}) == 1
    assert amdahl.serial_share({1: 7.0}) is amdahl.serial_share({1: 7.0, 2: 0.0}) is None


# ----------------------------------------------------------------------------- the stages


@pytest.mark.parametrize("kind", ["small", "table", "wide"])
def test_stages_are_where_the_time_goes(kind):
    rng = np.random.default_rng(0)
    image = pictures.thumbnail(pictures.photograph(1), 200 if kind == "small" else 800)
    if kind == "wide":
        image = (image.astype(np.uint16) << 8) + rng.integers(0, 9, image.shape, np.uint16)
    plain = kf.fit(image, 8, max_iter=3)
    with stages.timing() as seconds:
        result = kf.fit(image, 8, max_iter=3)
    assert np.array_equal(result.labels, plain.labels)
    assert all(seconds[stage] > 0 for stage in stages.STAGES)
    assert seconds["iterate"] >= sum(iteration.seconds for iteration in result.history)
    before = dict(seconds)
    kf.fit(image, 8, max_iter=3)
    assert seconds == before  # nothing stays patched


def test_a_stage_that_is_not_where_it_was_is_said():
    with pytest.raises(LookupError, match="colors: no_such or .*: no one function"):
        stages.find("colors: no_such or NoSuch.method")


def test_checks_are_reached_where_they_are_called_from():
    image = pictures.thumbnail(pictures.photograph(0.1), 30)
    with stages.timing_checks() as seconds:
        kf.fit(image, 4)
    assert len(seconds) > 5
    n = len(seconds)
    kf.fit(image, 4)
    assert len(seconds) == n


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


def test_a_table_of_a_tiny_run_and_a_row_measured_again(tmp_path, capsys):
    out = tmp_path / "table.json"
    given = ["--peers", "", "--rounds", "1", "--scale", "0.01", "--out", str(out)]
    table.main(["--rows", "photo16,tutorial,checks", *given])
    old = lab.load(out)
    assert [row["floor"] for row in old["rows"]] == [4, 5, 5000]
    assert "| the tutorial's loop, 20 x 20, K = 10" in capsys.readouterr().out
    table.main(["--rows", "checks", *given])
    new = lab.load(out)
    assert [row["row"] for row in new["rows"]] == ["photo16", "checks", "tutorial"]
    assert new["rows"][1]["values"] != old["rows"][1]["values"]
    assert new["rows"][::2] == old["rows"][::2]
    assert new["runs"]["tutorial"] == old["runs"]["tutorial"]


# -------------------------------------------------------------------------- tiles and clusters


def test_tiles_are_measured_in_processes_of_their_own(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(tiles, "MEGAPIXELS", (100,))
    path = tmp_path / "tiles.json"
    assert bench.main(["tiles", "--scale", "0.003", "--out", str(path)]) == 0
    (point,) = lab.load(path)["points"]
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
