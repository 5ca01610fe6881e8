"""Scenes with their place on the earth: read in tiles, and classified from a file to a file."""

import json
import os
import sys
import warnings
from fractions import Fraction

import numpy as np
import pytest

import kmeans_fast as kf
from kmeans_fast import cli
from kmeans_fast.data import disk_search, on_disk
from kmeans_fast.dense.facts import find_facts
from kmeans_fast.dense.points import DensePoints
from kmeans_fast.pictures import rasters
from kmeans_fast.pictures.reading import LeftOutWarning
from kmeans_fast.scenes import classifying, gathering, output, scaling
from kmeans_fast.scenes.classifying import classify
from kmeans_fast.threads import Threads

rasterio = pytest.importorskip("rasterio", reason="rasterio (extra geo) is not installed")

# Of affine 3, which rasterio's matrices are of.
pytestmark = pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")

CRS = "EPSG:32633"
PLACE = rasterio.Affine(10, 0, 500_000, 0, -20, 5_000_000)
SPECTRA = np.array([[900, 700, 400, 150], [300, 500, 280, 3200], [1500, 1600, 1700, 2000]])


def make_scene(height=70, width=90, d=4, dtype=np.uint16, seed=0):
    """Make pixels (d, h, w) of three kinds, with a swath and some more that are 0 in some band."""
    rng = np.random.default_rng(seed)
    kind = rng.integers(0, 3, (height, width))
    spectra = np.resize(SPECTRA.T, (d, 3)) * (0.07 if np.dtype(dtype).itemsize == 1 else 1.0)
    light = rng.normal(1, 0.1, (height, width))
    pixels = np.clip(spectra[:, kind] * light, 1, 255 if dtype == np.uint8 else 30_000)
    pixels = pixels.astype(dtype)
    y, x = np.mgrid[0:height, 0:width]
    pixels[:, x - y / 2 < 9] = 0
    pixels[-1, rng.random((height, width)) < 0.02] = 0
    return pixels


def write(path, pixels, **options):
    """Write a GeoTIFF of tiles."""
    options = {"crs": CRS, "transform": PLACE, "nodata": 0, "compress": "deflate"} | options
    if options.setdefault("tiled", True):
        options = {"blockxsize": 32, "blockysize": 16} | options
    d, height, width = pixels.shape
    shape = {"count": d, "height": height, "width": width, "dtype": pixels.dtype}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
        with rasterio.open(path, "w", driver="GTiff", **shape, **options) as file:
            file.write(pixels)
    return path


def read(path):
    """Return the classes, and what there is beside them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
        with rasterio.open(path) as file:
            return file.read(1), file.profile


def points_of(pixels, nodata=0):
    """Return which pixels are there in all bands, and these, as an image of one column."""
    valid = (pixels != nodata).all(axis=0) & (pixels == pixels).all(axis=0)
    return valid, np.ascontiguousarray(pixels[:, valid].T)[:, None]


@pytest.fixture
def scene(folder):
    """Make the scene that most tests take, scene.tif, and return its pixels."""
    pixels = make_scene()
    write("scene.tif", pixels)
    return pixels


@pytest.fixture
def small(monkeypatch):
    """Have windows and parts so small that there are many, and much goes to disk."""
    monkeypatch.setattr(gathering, "WINDOW", 2400)
    monkeypatch.setattr(output, "WRITTEN", 600)
    monkeypatch.setattr(classifying, "PREDICTED", 700)
    monkeypatch.setattr(on_disk, "PART_SIZE", 4000)
    monkeypatch.setattr(on_disk, "LARGE", 1 << 10)
    monkeypatch.setattr(disk_search, "FEW", 3)


@pytest.fixture
def fails(capsys):
    """Run the command line, which must fail with one line and leave nothing; return that line."""

    def run(*arguments):
        before = {path: path.stat().st_mtime_ns for path in os.scandir(".")}
        assert cli.main(["classify", *arguments]) == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert err.startswith("kmeans-fast: error: ") and err.count("\n") == 1, err
        assert {entry.name for entry in os.scandir(".")} == {path.name for path in before}
        return err

    return run


# ------------------------------------------------------------------------------ the classes


def check(pixels, k, none=0, **options):
    """Classify scene.tif; the classes must be those of `fit`, to the bit."""
    report = classify("scene.tif", k, "classes.tif", **options)
    valid, points = points_of(pixels, none)
    expected = kf.fit(points, k)
    classes, profile = read("classes.tif")
    assert np.array_equal(classes[valid], expected.labels[:, 0])
    assert (classes[~valid] == report["class_nodata"]).all()
    assert profile["nodata"] == report["class_nodata"]
    assert report["n_valid"] == valid.sum() and report["n_pixels"] == valid.size
    assert report["inertia"] == expected.inertia and report["n_iter"] == expected.n_iter
    found = [list(each["centroid"].values()) for each in report["classes"]]
    assert np.array_equal(found, expected.centroids)
    assert [each["count"] for each in report["classes"]] == expected.counts.tolist()
    return report


@pytest.mark.parametrize("tiled", [False, True])
def test_classes_are_those_of_a_fit_of_the_pixels_that_are_there(scene, tiled):
    check(scene, 5, tiled=tiled)
    assert sorted(os.listdir(".")) == ["classes.tif", "scene.tif"]


KINDS = [
    (4, np.uint16), (3, np.uint16), (1, np.uint8), (3, np.uint8), (6, np.uint8), (2, np.int16),
    (5, np.float32), (2, np.float64), (1, np.int32), (10, np.uint16),
]  # fmt: skip


@pytest.mark.parametrize(("d", "dtype"), KINDS)
@pytest.mark.parametrize("engine", ["tree", "dense"])
def test_tiles_change_no_bit(folder, small, use, d, dtype, engine):
    use(engine)
    pixels = make_scene(d=d, dtype=dtype)
    write("scene.tif", pixels)
    for tiled in (False, True):
        check(pixels, 7, tiled=tiled)


@pytest.mark.parametrize(
    "layout",
    [
        {"blockxsize": 16, "blockysize": 48},
        {"tiled": False, "blockysize": 1},
        {"tiled": False, "blockysize": 7},
        {"tiled": False, "blockysize": 1000},
        {"interleave": "band"},
        {"compress": None},
        {"compress": "lzw", "predictor": 2},
    ],
    ids=str,
)
def test_blocks_of_any_shape(folder, small, layout):
    pixels = make_scene(63, 151)
    write("scene.tif", pixels, **layout)
    for tiled in (False, True):
        check(pixels, 3, tiled=tiled)


def test_other_files_that_gdal_reads(folder, small):
    """Blocks of an odd number of columns, too."""
    pixels = make_scene(d=1, dtype=np.uint8)
    write("whole.tif", pixels)
    blocks = """<VRTDataset rasterXSize="90" rasterYSize="70">
      <VRTRasterBand dataType="Byte" band="1" blockXSize="13" blockYSize="11">
        <NoDataValue>0</NoDataValue><SimpleSource>
        <SourceFilename relativeToVRT="1">whole.tif</SourceFilename><SourceBand>1</SourceBand>
      </SimpleSource></VRTRasterBand></VRTDataset>"""
    with open("scene.vrt", "w") as file:
        file.write(blocks)
    with pytest.warns(LeftOutWarning, match="nothing of where it lies"):
        classify("scene.vrt", 4, "classes.tif")
    valid, points = points_of(pixels)
    assert np.array_equal(read("classes.tif")[0][valid], kf.fit(points, 4).labels[:, 0])


def test_more_classes_than_a_byte_holds(folder):
    pixels = make_scene()
    write("scene.tif", pixels)
    assert check(pixels, 255)["class_nodata"] == 255
    assert read("classes.tif")[0].dtype == np.uint8
    assert check(pixels, 256)["class_nodata"] == 65535
    assert read("classes.tif")[0].dtype == np.uint16


@pytest.mark.parametrize(("d", "engine"), [(3, "tree"), (6, "dense")])
def test_what_a_part_on_disk_keeps_is_not_in_memory(folder, small, use, d, engine):
    use(engine)
    values = np.random.default_rng(0).normal(0, 1, (9000, d)).astype(np.float32)
    with Threads(1) as threads:
        raw = on_disk.PointsOnDisk(
            lambda start, stop: values[start:stop].copy(), values.shape, values.dtype, threads, "."
        )
        facts = find_facts(raw)
        parts = raw.settle(facts)
        points = disk_search.PointsInPartsOnDisk(parts, facts, threads)
        expected = DensePoints(values, None, threads)
        centroids = np.empty((6, d))
        centroids[0] = values[0]
        found = centroids.copy()
        points.spread(found, 3, np.random.default_rng(1))
        expected.spread(centroids, 3, np.random.default_rng(1))
        assert np.array_equal(found, centroids)
        step = points.step(found)
        assert np.array_equal(
            points.means(step, found), expected.means(expected.step(found), found)
        )
        for part in parts._parts:
            kept = on_disk._Moved(".")
            kept.look_into(part.part)
            assert kept.mapped and not kept._owners
            assert part.part.points.base is not None and not part.part.points.flags.writeable
        for each, other in zip(points.label(found), expected.label(found), strict=True):
            assert np.array_equal(each, other)
        parts.close()
    assert os.listdir(".") == []


# ---------------------------------------------------------------------------------- the place


def test_the_output_lies_where_the_scene_does(scene):
    report = check(scene, 4)
    with rasterio.open("classes.tif") as file:
        assert file.crs == rasterio.crs.CRS.from_string(CRS) and report["crs"] == CRS
        assert file.transform == PLACE
        assert (file.nodata, file.dtypes, file.count) == (255, ("uint8",), 1)
        assert file.shape == scene.shape[1:]
        assert file.profile["tiled"] and file.profile["compress"] == "deflate"
        assert file.block_shapes == [(256, 256)]
        tags = file.tags()
        assert tags["N_CLUSTERS"] == "4" and tags["KMEANS_FAST"] == kf.__version__
        assert float(tags["INERTIA"]) == report["inertia"]
        assert tags["BANDS"] == "1,2,3,4"
        colors = file.colormap(1)
    for each in report["classes"]:
        assert "#{:02x}{:02x}{:02x}".format(*colors[each["class"]]) == each["color"]
    assert len({each["color"] for each in report["classes"]}) == 4


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_ground_control_points_are_kept(folder):
    point = rasterio.control.GroundControlPoint
    points = [point(0, 0, 500, 900), point(0, 90, 600, 900), point(70, 0, 500, 800)]
    pixels = make_scene()
    write("scene.tif", pixels, transform=None, crs=None)
    with rasterio.open("scene.tif", "r+") as file:
        file.gcps = points, rasterio.crs.CRS.from_string(CRS)
    check(pixels, 2)
    with rasterio.open("classes.tif") as file:
        kept, crs = file.gcps
    assert [(each.row, each.col, each.x) for each in kept] == [
        (each.row, each.col, each.x) for each in points
    ]
    assert crs == rasterio.crs.CRS.from_string(CRS)


def test_without_a_place_the_result_is_plain_and_that_is_said_once(folder, capsys):
    write("scene.tif", make_scene(), crs=None, transform=None)
    command = ["classify", "scene.tif", "-k", "3", "-o", "classes.tif", "--force"]
    cli.main(command)
    capsys.readouterr()
    assert cli.main(command) == 0
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1
    assert err.startswith("kmeans-fast: warning: scene.tif: says nothing of where it lies")
    assert read("classes.tif")[1]["crs"] is None


# --------------------------------------------------------------------------------- no data


def test_nodata_can_be_given(folder):
    pixels = make_scene()
    write("scene.tif", pixels, nodata=None)
    check(pixels, 3, nodata=0)
    assert classify("scene.tif", 3, "classes.tif")["n_valid"] == pixels[0].size


def test_nan_is_no_data_whatever_the_file_says(folder):
    pixels = make_scene(dtype=np.float32)
    pixels[1, 50:, 60:] = np.nan
    for nodata in (0, np.nan, None):
        write("scene.tif", pixels, nodata=nodata)
        for tiled in (False, True):
            report = check(pixels, 3, none=0 if nodata == 0 else np.nan, tiled=tiled)
    assert report["nodata"] == [None] * 4


def test_a_mask_and_alpha_are_no_data(folder):
    pixels = make_scene(d=3, dtype=np.uint8)
    seen = pixels.all(axis=0)
    alpha = np.where(seen, 255, 0).astype(np.uint8)
    both = np.concatenate([pixels, alpha[None]])
    write("alpha.tif", both, nodata=None, photometric="rgb", alpha="yes")
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True):
        write("scene.tif", pixels, nodata=None)
        with rasterio.open("scene.tif", "r+") as file:
            file.write_mask(seen)
    check(pixels, 4)
    expected = read("classes.tif")[0]
    report = classify("alpha.tif", 4, "classes.tif")
    assert list(report["bands"].values()) == [1, 2, 3]
    assert np.array_equal(read("classes.tif")[0], expected)
    # A fourth band that is called alpha, as GDAL does of itself, and chosen is one as any other.
    report = classify("alpha.tif", 4, "classes.tif", bands=[1, 2, 3, 4])
    assert report["n_valid"] == seen.size


def test_a_value_that_the_type_cannot_hold(folder):
    assert rasters.in_type(-9999.0, np.dtype(np.uint16)) is None
    assert rasters.in_type(1.5, np.dtype(np.uint8)) is None
    assert rasters.in_type(float("nan"), np.dtype(np.int16)) is None
    assert rasters.in_type(7.0, np.dtype(np.int16)) == 7
    assert rasters.in_type(-3.4028234663852886e38, np.dtype(np.float32)) == np.finfo("f4").min


# ----------------------------------------------------------------------------- bands and scale


@pytest.mark.parametrize("tiled", [False, True])
def test_bands_are_chosen_in_the_order_given(folder, tiled):
    pixels = make_scene(d=6)
    write("scene.tif", pixels)
    with rasterio.open("scene.tif", "r+") as file:
        file.set_band_description(2, "green")
    report = check(pixels[[3, 1]], 3, bands=[4, 2], tiled=tiled)
    assert report["bands"] == {"band 4": 4, "green": 2}
    assert list(report["classes"][0]["centroid"]) == ["band 4", "green"]


@pytest.mark.parametrize("dtype", [np.uint16, np.int16, np.uint8, np.float32, np.float64, np.int32])
def test_scaled_bands_count_alike(folder, small, dtype):
    pixels = make_scene(dtype=dtype)
    write("scene.tif", pixels, photometric="minisblack")
    valid, points = points_of(pixels)
    numbers = [[Fraction(float(x)) for x in points[:, 0, at]] for at in range(4)]
    means = [sum(band) / len(band) for band in numbers]
    variances = [
        sum((x - mean) ** 2 for x in band) / len(band)
        for band, mean in zip(numbers, means, strict=True)
    ]
    mean, std = np.array(means, float), np.sqrt(np.array(variances, float))
    kind = scaling.scaled_type(np.dtype(dtype))
    scaled = ((points - mean) / std).astype(kind)
    expected = kf.fit(scaled, 4)
    for tiled in (False, True):
        report = classify("scene.tif", 4, "classes.tif", scale=True, tiled=tiled)
        assert np.array_equal(read("classes.tif")[0][valid], expected.labels[:, 0])
        assert report["inertia"] == expected.inertia
        assert list(report["scaled"]["mean"].values()) == mean.tolist()
        assert list(report["scaled"]["std"].values()) == std.tolist()
        found = np.array([list(each["centroid"].values()) for each in report["classes"]])
        assert np.array_equal(found, expected.centroids * std + mean)


def test_sums_are_exact_whatever_the_order():
    rng = np.random.default_rng(1)
    values = rng.normal(0, 1, (5000, 2)) * 10.0 ** rng.integers(-30, 30, (5000, 2))
    values[:10] = [1e-310, -0.0]
    found = []
    for order in (np.arange(5000), rng.permutation(5000)):
        sums = scaling.Sums(2)
        for part in np.array_split(values[order], 7):
            sums.add(part)
        found.append(sums)
    exact = [sum(map(Fraction, values[:, at])) for at in range(2)]
    squares = [sum(Fraction(x) ** 2 for x in values[2000:, at]) for at in range(2)]
    assert found[0]._sums == found[1]._sums == exact
    sums = scaling.Sums(2)
    sums.add(values[2000:])
    assert sums._squares == squares
    constant = scaling.Sums(1)
    constant.add(np.full((9, 1), 7, np.uint16))
    assert constant.scale().std.tolist() == [1.0]


# ----------------------------------------------------------------------------- the command


def test_the_command_writes_classes_and_a_report(scene, capsys):
    command = [
        "classify", "scene.tif", "-k", "3", "-o", "classes.tif", "--bands", "4,3", "--scale",
        "--tiled", "--seed", "5", "--max-iter", "7", "--tol", "0", "--threads", "1",
        "--report", "classes.json",
    ]  # fmt: skip
    assert cli.main(command) == 0
    with open("classes.json", encoding="utf-8") as file:
        report = json.load(file)
    assert (report["seed"], report["max_iter"], report["tol"], report["tiled"]) == (5, 7, 0, True)
    assert report["bands"] == {"band 4": 4, "band 3": 3}
    assert sum(each["share"] for each in report["classes"]) == pytest.approx(1)
    assert set(report["seconds"]) == {"read", "fit", "write"}
    capsys.readouterr()
    assert cli.main([*command[:-1], "-", "--force"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    again = json.loads(out)
    assert again.pop("seconds") and report.pop("seconds")
    assert again == report


def test_progress_is_shown_on_a_terminal(scene, small, capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    assert cli.main(["classify", "scene.tif", "-k", "2", "-o", "classes.tif"]) == 0
    lines = capsys.readouterr().err.splitlines()
    assert lines[-1] == "scene.tif: written 100 %"
    assert "scene.tif: read 100 %" in lines and len(lines) <= 20


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["none.tif"], "none.tif: No such file or directory"),
        (["text.tif"], "text.tif: GDAL cannot open it: not recognized as "),
        (["cut.tif"], "cut.tif: rows 0 to 69, columns 0 to 89 cannot be read: "),
        (["scene.tif", "--bands", "4,7"], "scene.tif: has no band 7; its bands are 1 to 4"),
        (["scene.tif", "--bands", "4,4"], "'4,4': give each band once, the first is 1"),
        (["scene.tif", "--bands", "red"], "'red': give such as 4,3,2"),
        (["scene.tif", "--nodata", "-9999"], "nodata=-9999 is no value of scene.tif, of uint16"),
        (["scene.tif", "--nodata", "none"], "'none' is not a number, nor nan"),
        (["empty.tif"], "empty.tif: all pixels are nodata; give another value by nodata"),
        (["empty.tif", "--tiled"], "empty.tif: all pixels are nodata"),
        (["empty.tif", "--scale"], "empty.tif: all pixels are nodata"),
        (["mixed.vrt"], "bands differ in type (1 is uint8, 2 is uint16); choose some of one type"),
        (["complex.tif"], "complex.tif: bands hold complex64; give real numbers"),
        (["infinite.tif"], "data holds NaN or infinity at row "),
        (["infinite.tif", "--tiled"], "data holds NaN or infinity at row "),
        (["infinite.tif", "--scale"], "bands hold infinity, or values beyond 1e150; say which "),
        (["scene.tif", "-k", "7000"], "n_clusters=7000 is more than the "),
        (["scene.tif", "-k", "70000"], "n_clusters=70000 is more than the 65535 classes"),
        (["scene.tif", "-o", "out.png"], "out.png: unknown suffix '.png'; use one of .tif, .tiff"),
        (["scene.tif", "-o", "no/out.tif"], "no/out.tif: there is no folder "),
        (["scene.tif", "-o", "there.tif"], "there.tif is there already; give another name, or"),
        (["scene.tif", "-o", "scene.tif", "--force"], "scene.tif is one of the pictures to read"),
        (["scene.tif", "--report", "out.tif"], "out.tif: is the output, and cannot be the report"),
        (["scene.tif", "--tol", "-1"], "tol=-1.0"),
    ],
    ids=" ".join,
)
def test_what_is_wrong_is_said_in_a_line(scene, fails, arguments, says):
    pixels = make_scene()
    with open("text.tif", "w") as file:
        file.write("nothing\n" * 1000)
    with open(write("whole.tif", pixels, compress=None), "rb") as file:
        data = file.read()
    with open("cut.tif", "wb") as file:
        file.write(data[: int(len(data) * 0.7)])
    write("empty.tif", 0 * pixels)
    write("complex.tif", pixels.astype(np.complex64))
    infinite = pixels.astype(np.float32)
    infinite[2, 60, 80] = np.inf
    write("infinite.tif", infinite)
    write("there.tif", pixels)
    write("bytes.tif", make_scene(d=1, dtype=np.uint8))
    bands = "".join(
        f"""<VRTRasterBand dataType="{kind}" band="{band}"><SimpleSource>
        <SourceFilename relativeToVRT="1">{name}</SourceFilename><SourceBand>1</SourceBand>
        </SimpleSource></VRTRasterBand>"""
        for band, (kind, name) in enumerate((("Byte", "bytes.tif"), ("UInt16", "scene.tif")), 1)
    )
    with open("mixed.vrt", "w") as file:
        file.write(f'<VRTDataset rasterXSize="90" rasterYSize="70">{bands}</VRTDataset>')
    rest = [*arguments]
    rest += [] if "-k" in rest else ["-k", "3"]
    rest += [] if "-o" in rest else ["-o", "out.tif"]
    assert says in fails(*rest)


def test_an_output_that_cannot_be_written(scene, fails):
    write("there.tif", scene)
    os.chmod("there.tif", 0o444)
    said = fails("scene.tif", "-k", "3", "-o", "there.tif", "--force")
    assert "there.tif: is not writable; make it so, or choose another" in said


def test_an_output_that_is_open_is_replaced_and_its_reader_keeps_what_it_has(scene):
    write("classes.tif", scene[:1])
    with rasterio.open("classes.tif") as reader:
        check(scene, 3)
        assert np.array_equal(reader.read(), scene[:1])


@pytest.mark.parametrize("tiled", [False, True])
@pytest.mark.parametrize("error", [OSError("gone"), KeyboardInterrupt()], ids=["error", "ctrl-c"])
@pytest.mark.parametrize("amid", ["read", "written"])
def test_nothing_is_left_of_what_fails(scene, small, tiled, error, amid):
    with open("classes.tif", "wb") as file:
        file.write(b"before")

    def stop(doing, share):
        if doing == amid and share > 0.4:
            raise error

    with pytest.raises(type(error)):
        classify("scene.tif", 3, "classes.tif", tiled=tiled, watch=stop)
    assert sorted(os.listdir(".")) == ["classes.tif", "scene.tif"]
    with open("classes.tif", "rb") as file:
        assert file.read() == b"before"


def test_a_disk_that_is_full_is_noticed(scene, monkeypatch):
    """As where GDAL closes a file that it could not write."""
    opened = rasterio.open

    class Short:
        def __init__(self, file, name):
            self.file, self.name = file, name

        def __getattr__(self, name):
            return getattr(self.file, name)

        def __setattr__(self, name, value):
            self.__dict__[name] = value

        def __enter__(self):
            return self

        def __exit__(self, *_):
            self.file.close()
            os.truncate(self.name, 3000)

    def open_short(name, mode="r", **options):
        file = opened(name, mode, **options)
        return Short(file, name) if mode == "w" else file

    monkeypatch.setattr(rasterio, "open", open_short)
    with pytest.raises(OSError, match="classes.tif: cannot be written: .* is the disk full"):
        classify("scene.tif", 3, "classes.tif")
    assert os.listdir(".") == ["scene.tif"]


def test_no_room_for_what_is_set_aside(scene, small, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(on_disk.os, "posix_fallocate", full)
    with pytest.raises(OSError, match="No space left on device; make room for [0-9]+ bytes"):
        classify("scene.tif", 3, "classes.tif", tiled=True)


def test_too_little_memory_names_the_remedy(scene, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr(gathering.memory, "LARGE", 0)
        patched.setattr(gathering.memory, "find_free", lambda: 1000)
        with pytest.raises(MemoryError, match="tiles \\(--tiled\\)"):
            classify("scene.tif", 3, "classes.tif")

    def refuse(*_, **__):
        raise MemoryError

    monkeypatch.setattr(classifying, "fit", refuse)
    with pytest.raises(MemoryError, match="4357 pixels of 4 bands"):
        classify("scene.tif", 3, "classes.tif")


def test_without_rasterio_a_line_names_the_extra(scene, fails, monkeypatch):
    monkeypatch.setitem(sys.modules, "rasterio", None)
    said = fails("scene.tif", "-k", "3", "-o", "out.tif")
    assert "a scene is read and written with rasterio: pip install 'kmeans_fast[geo]'" in said


# ---------------------------------------------------------------------------------- open_tiles


@pytest.mark.parametrize(("d", "dtype"), KINDS)
def test_tiles_of_a_geotiff_are_windows_of_its_blocks(folder, d, dtype):
    pixels = make_scene(d=d, dtype=dtype)
    write("scene.tif", pixels)
    tiles = kf.open_tiles("scene.tif", tile_pixels=1500)
    assert (tiles.shape, tiles.dtype) == ((70, 90, d), dtype)
    assert tiles.crs == rasterio.crs.CRS.from_string(CRS) and tiles.transform == PLACE
    assert tiles.nodata == [0] * d
    whole = np.zeros(tiles.shape, tiles.dtype)
    for (rows, columns), tile in tiles.items():
        assert rows.start % 16 == columns.start % 32 == 0 and tile.flags.c_contiguous
        whole[rows, columns] = tile
    assert np.array_equal(whole, pixels.transpose(1, 2, 0))
    assert len(tiles) == len(list(tiles)) == 10 and tiles.n_pixels == 70 * 90


def test_tiles_of_a_geotiff_are_counted(folder):
    pixels = make_scene(d=3, dtype=np.uint8)
    write("scene.tif", pixels, photometric="rgb", nodata=None)
    tiles = kf.open_tiles("scene.tif", tile_pixels=1000)
    image = np.ascontiguousarray(pixels.transpose(1, 2, 0))
    assert kf.ColorHistogram.from_tiles(tiles) == kf.ColorHistogram(image)
    both = kf.open_tiles(["scene.tif", "scene.tif"])
    assert both.n_pixels == 2 * 70 * 90


def test_without_rasterio_a_geotiff_is_an_ordinary_one(folder, monkeypatch):
    pixels = make_scene(d=3, dtype=np.uint8)
    write("scene.tif", pixels, photometric="rgb", nodata=None)
    with_it = next(iter(kf.open_tiles("scene.tif")))
    monkeypatch.setitem(sys.modules, "rasterio", None)
    tiles = kf.open_tiles("scene.tif")
    assert not hasattr(tiles, "crs")
    assert np.array_equal(next(iter(tiles)), with_it)


def test_pictures_are_not_read_as_scenes(folder):
    """Those without a place, and those whose samples are numbers of colours."""
    pixels = make_scene(d=1, dtype=np.uint8)
    write("plain.tif", pixels, nodata=None, crs=None, transform=None)
    write("scene.tif", pixels, nodata=None)
    with rasterio.open("indexed.tif", "w", driver="GTiff", dtype="uint8", count=1, height=70,
                       width=90, crs=CRS, transform=PLACE) as file:  # fmt: skip
        file.write_colormap(1, {at: (at, 255 - at, 7) for at in range(256)})
        file.write(pixels)
    assert not rasters.is_scene("plain.tif") and not rasters.is_scene("indexed.tif")
    assert rasters.is_scene("scene.tif")
    assert kf.open_tiles("indexed.tif").shape == (70, 90, 3)
    assert np.array_equal(next(iter(kf.open_tiles("indexed.tif"))), kf.open_image("indexed.tif"))


def test_a_geotiff_that_changes_or_has_large_blocks_is_refused(scene):
    tiles = kf.open_tiles("scene.tif")
    write("scene.tif", make_scene(d=2))
    with pytest.raises(OSError, match="scene.tif: has changed since it was opened"):
        list(tiles)
    with pytest.raises(ValueError, match="tiles of 512 pixels are more than max_pixels=500"):
        kf.open_tiles("scene.tif", max_pixels=500)
    with open("scene.tif", "r+b") as file:
        file.truncate(600)
    with pytest.raises(OSError, match="scene.tif: rows 0 to 69, columns 0 to 89 cannot be read"):
        list(kf.open_tiles("scene.tif"))


def test_a_rasterio_that_fills_gaps_with_zeros_is_refused(monkeypatch, capsys):
    monkeypatch.setattr(rasterio, "__version__", "1.3.11")
    assert cli.main(["classify", "scene.tif", "-k", "3", "-o", "out.tif"]) != 0
    assert "rasterio 1.3.11 says nothing of files that are cut short" in capsys.readouterr().err
