"""Colours counted tile by tile, kept, sent and added up; and labels by a table of all colours."""

import copy
import io
import pickle
import struct
import threading
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

import kmeans_fast as kf
from kmeans_fast.colors import counting, keys, tally
from kmeans_fast.colors import histogram as module
from kmeans_fast.colors.counting import CountTable
from kmeans_fast.data import labelling

from .pictures import few_colors, noise, photograph

PICTURE = photograph(700, 900)
FORMATS = [(np.uint8, 1), (np.uint8, 3), (np.uint16, 3)]


def cut(picture, height, width):
    """Return the tiles of a picture, each a view."""
    return [
        picture[row : row + height, column : column + width]
        for row in range(0, picture.shape[0], height)
        for column in range(0, picture.shape[1], width)
    ]


def packed(pixels):
    """Return pixels of three channels as one number each."""
    return pixels.reshape(-1, 3) @ np.array([1 << 32, 1 << 16, 1])


def counts_of(histogram, pixels):
    """Check that the colours are those of the pixels; return how often each one occurs, twice."""
    colors, counts = np.unique(packed(pixels), return_counts=True)
    order = np.argsort(packed(histogram.colors))
    assert np.array_equal(packed(histogram.colors)[order], colors)
    return histogram.counts[order].tolist(), counts.tolist()


# --------------------------------------------------------------------------------- tiles


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("looks", [False, True])
@pytest.mark.parametrize("size", [(64, 64), (300, 400), (700, 1)])
def test_tiles_count_as_the_whole_does_and_fit_to_the_same_bits(size, looks, dtype):
    """Small tiles are sorted at first, then share a table; tall ones are not contiguous."""
    picture = PICTURE if dtype == np.uint8 else photograph(700, 900, 3, dtype)
    histogram, n_pixels = kf.ColorHistogram(), 0
    tiles = cut(picture, *size)
    for at in np.random.default_rng(0).permutation(len(tiles)):
        histogram.update(tiles[at])
        n_pixels += tiles[at].size // 3
        if looks and at % 9 == 0:
            assert histogram.counts.sum() == histogram.n_pixels == n_pixels
    assert histogram == kf.ColorHistogram(picture)
    found, expected = counts_of(histogram, picture)
    assert found == expected and histogram.n_pixels == 630_000
    assert len(histogram) == histogram.n_colors == len(found)
    assert repr(histogram) == f"ColorHistogram(n_colors={len(found):,}, n_pixels=630,000)"
    whole, tiled = kf.fit(picture, 7), kf.fit(histogram, 7)
    assert np.array_equal(whole.centroids, tiled.centroids)
    assert (whole.inertia, whole.n_iter) == (tiled.inertia, tiled.n_iter)
    assert np.array_equal(whole.counts, tiled.counts)


def test_large_and_small_tiles_mix(monkeypatch):
    monkeypatch.setattr(tally, "LARGE", 100_000)
    monkeypatch.setattr(tally, "SMALL", 1_000)
    seen = []
    tiles = [PICTURE[:200], PICTURE[200:201], PICTURE[201:400], PICTURE[400:410], PICTURE[410:]]
    histogram = kf.ColorHistogram.from_tiles(
        tiles, callback=lambda progress: seen.append(progress.n_colors)
    )
    assert histogram == kf.ColorHistogram(PICTURE)
    ends = [200, 201, 400, 410, 700]
    assert seen == [len(np.unique(packed(PICTURE[:end]))) for end in ends]


def test_a_table_that_stays_holds_more_than_its_bytes(monkeypatch):
    """Any colour may be at its byte's end when a tile begins, so each pixel may pass it."""
    monkeypatch.setattr(keys, "CHUNK", 64)
    monkeypatch.setattr(counting, "MOST_PASSED", 32)
    every = np.arange(512 * 3, dtype=np.uint16).astype(np.uint8).reshape(-1, 1, 3)
    one = np.tile(np.array([9, 9, 9], np.uint8), (100, 1, 1))
    tiles = [every if at % 3 else one for at in range(700)]
    histogram = kf.ColorHistogram.from_tiles(tiles, n_threads=2)
    found, expected = counts_of(histogram, np.concatenate(tiles))
    assert max(expected) > 20_000 and found == expected


def test_the_memory_is_that_of_the_colors_once_somebody_has_looked():
    histogram = kf.ColorHistogram.from_tiles(cut(PICTURE, 64, 64))
    assert histogram.nbytes >= 2**24
    n_colors = histogram.n_colors
    assert histogram.nbytes == 12 * n_colors
    for _ in range(3):
        histogram.update(PICTURE[:10])
        assert histogram.nbytes <= 12 * (n_colors + 9000)


@pytest.mark.parametrize("n_before", [0, 1])
def test_where_no_thread_is_to_be_had_tiles_are_counted_all_the_same(n_before, monkeypatch):
    tiles = cut(PICTURE, 300, 300)
    histogram = kf.ColorHistogram.from_tiles(tiles[:n_before])
    for place in (threading.Thread, tally):
        for name in ("start", "start_new_thread"):
            if hasattr(place, name):
                monkeypatch.setattr(place, name, no_thread)
    for tile in tiles[n_before:]:
        histogram.update(tile)
    assert histogram == kf.ColorHistogram.from_tiles(tiles) == kf.ColorHistogram(PICTURE)
    kf.quantize(PICTURE, 9, dither=True)
    kf.explore(PICTURE[:90], [2])


def no_thread(*_, **__):
    raise RuntimeError("can't start new thread")


def test_a_tile_is_counted_whole_or_not_at_all_whatever_ctrl_c_does(ctrl_c, monkeypatch):
    histogram = kf.ColorHistogram.from_tiles([PICTURE])

    def add(table, *args, add=CountTable.add):
        ctrl_c()
        add(table, *args)

    with monkeypatch.context() as patch:
        patch.setattr(CountTable, "add", add)
        with pytest.raises(KeyboardInterrupt):
            histogram.update(PICTURE)
    assert histogram.counts.sum() == histogram.n_pixels == 2 * 700 * 900
    monkeypatch.setattr(tally, "LARGE", 1000)
    monkeypatch.setattr(tally, "CountedPixels", interrupted)
    with pytest.raises(KeyboardInterrupt):
        histogram.update(PICTURE)
    assert histogram.counts.sum() == histogram.n_pixels == 2 * 700 * 900


def interrupted(*_):
    raise KeyboardInterrupt


# ---------------------------------------------------------------------------- from_tiles


def test_from_tiles_takes_any_iterable_and_arrays_larger_than_memory(tmp_path, monkeypatch):
    expected = kf.ColorHistogram(PICTURE)
    assert kf.ColorHistogram.from_tiles(tile for tile in cut(PICTURE, 200, 333)) == expected
    np.save(tmp_path / "picture.npy", PICTURE)
    mapped = np.load(tmp_path / "picture.npy", mmap_mode="r")
    monkeypatch.setattr(module, "BAND", 900 * 50)
    seen = []
    assert kf.ColorHistogram.from_tiles(mapped, callback=seen.append) == expected
    assert len(seen) == 14
    assert kf.ColorHistogram.from_tiles(PICTURE.reshape(-1, 3)) == expected
    assert kf.ColorHistogram.from_tiles([]) == kf.ColorHistogram()


def test_the_callback_is_told_how_far_it_is_and_can_end_it():
    seen = []
    tiles = cut(PICTURE, 350, 450)
    kf.ColorHistogram.from_tiles(tiles, callback=seen.append)
    n_pixels = 350 * 450
    assert [(p.n_tiles, p.n_pixels) for p in seen] == [(i, i * n_pixels) for i in (1, 2, 3, 4)]
    assert seen[-1].n_colors == kf.ColorHistogram(PICTURE).n_colors
    assert seen[0].n_colors == kf.ColorHistogram(tiles[0]).n_colors
    assert 0 < seen[0].seconds < seen[-1].seconds
    half = kf.ColorHistogram.from_tiles(tiles, callback=lambda progress: progress.n_tiles == 2)
    assert half == kf.ColorHistogram(PICTURE[:350])


@pytest.mark.parametrize(
    ("tiles", "error", "message"),
    [
        ([PICTURE, PICTURE[..., :2]], ValueError, "tile 1: this histogram holds 3 channels"),
        ([PICTURE, PICTURE.astype(np.uint16)], ValueError, "tile 1: .* pixels have 3 of 16"),
        ([PICTURE.astype(float)], ValueError, "tile 0: image has 3 channels of float64"),
        ([PICTURE, PICTURE, "a.png"], TypeError, "tile 2: image is str"),
        (["a.png"], TypeError, "tile 0: image is str; open a picture"),
        ("a.png", TypeError, "tiles is str; give an iterable of arrays, or open_tiles"),
        (7, TypeError, "tiles is int; give an iterable"),
    ],
)
def test_a_tile_that_does_not_fit_is_named(tiles, error, message):
    with pytest.raises(error, match=message):
        kf.ColorHistogram.from_tiles(tiles)


def test_what_a_generator_raises_comes_through():
    def tiles():
        yield PICTURE
        raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match="mine"):
        kf.ColorHistogram.from_tiles(tiles())
    with pytest.raises(TypeError, match="callback=3 is not callable"):
        kf.ColorHistogram.from_tiles([PICTURE], callback=3)


# ---------------------------------------------------------------------- masks and weights


@pytest.mark.parametrize("size", [(30, 40), (600, 700)])
def test_masks_choose_pixels_and_weights_repeat_them(size):
    rng = np.random.default_rng(0)
    picture = photograph(*size)
    mask = rng.random(size) < 0.3
    weight = rng.integers(0, 4, size)

    def updated(**options):
        histogram = kf.ColorHistogram(picture[:5])
        histogram.update(picture, **options)
        return histogram

    first = kf.ColorHistogram(picture[:5])
    flat = picture.reshape(-1, 3)
    assert updated(mask=mask) == first + kf.ColorHistogram(picture[mask])
    repeated = kf.ColorHistogram(np.repeat(flat, weight.ravel(), axis=0))
    assert updated(weight=weight) == first + repeated
    assert updated(weight=weight.astype(np.float32)) == first + repeated
    chosen = np.repeat(picture[mask], weight[mask], axis=0)
    assert updated(weight=weight, mask=mask) == first + kf.ColorHistogram(chosen)
    three = updated(weight=3)
    assert three == first + kf.ColorHistogram(np.concatenate([picture] * 3))
    assert three.n_pixels == 3 * picture[..., 0].size + 5 * size[1]
    sliced = kf.ColorHistogram()
    sliced.update(picture[:, ::2], mask=mask[:, ::2], weight=weight[:, ::2])
    half = np.repeat(picture[:, ::2][mask[:, ::2]], weight[:, ::2][mask[:, ::2]], axis=0)
    assert sliced == kf.ColorHistogram(half)


def test_colors_that_count_nothing_are_not_kept():
    picture = few_colors()
    histogram = kf.ColorHistogram()
    histogram.update(picture, weight=0)
    histogram.update(picture, mask=np.zeros((30, 40), bool))
    histogram.update(picture, weight=np.zeros((30, 40), int))
    assert histogram == kf.ColorHistogram() and len(histogram) == 0
    histogram.update(picture, weight=(picture[..., 0] == 0).astype(int))
    assert histogram == kf.ColorHistogram(picture[picture[..., 0] == 0])


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"weight": 0.5}, ValueError, "weight holds fractions, NaN or infinity, .*; round it"),
        ({"weight": np.full((700, 900), np.nan)}, ValueError, "weight holds fractions, NaN"),
        ({"weight": -1}, ValueError, "weight goes down to -1; give 0 or more"),
        ({"weight": np.full((700, 900), -2)}, ValueError, "weight goes down to -2"),
        ({"weight": [1, 2]}, ValueError, r"weight has shape \(2,\); give a number, or one for"),
        ({"weight": 2**63}, ValueError, "weight reaches 9223372036854775808; counts are exact"),
        ({"weight": 2**50}, ValueError, r"pass 2\*\*62, to which counts are exact; give smaller"),
        ({"weight": np.full((700, 900), 2**62)}, ValueError, r"630000 pixels and .* pass 2\*\*62"),
        ({"weight": "two"}, TypeError, "weight has dtype <U3; give whole numbers"),
        ({"mask": np.ones((700, 900))}, TypeError, "mask has dtype float64; give bool"),
        ({"mask": np.ones((900, 700), bool)}, ValueError, r"mask has shape \(900, 700\)"),
        ({"n_threads": 0}, ValueError, "n_threads=0 is less than 1"),
    ],
)
def test_options_that_do_not_fit_add_nothing(options, error, message):
    histogram = kf.ColorHistogram(PICTURE)
    with pytest.raises(error, match=message):
        histogram.update(PICTURE, **options)
    assert histogram == kf.ColorHistogram(PICTURE)


def test_counts_are_exact_to_2_to_the_62_and_refused_beyond():
    histogram = kf.ColorHistogram()
    histogram.update(np.zeros((1, 1, 3), np.uint8), weight=2**62 - 1)
    histogram.update(np.ones((1, 1, 3), np.uint8))
    assert histogram.n_pixels == 2**62
    for more in (kf.ColorHistogram(np.ones((1, 1, 3), np.uint8)), histogram):
        with pytest.raises(ValueError, match=r"more pass 2\*\*62"):
            histogram.merge(more)
    assert histogram.counts.tolist() == [2**62 - 1, 1]


# ------------------------------------------------------------------------- as a value


@pytest.mark.parametrize(("dtype", "channels"), FORMATS)
def test_histograms_add_up_and_compare(dtype, channels):
    picture = photograph(40, 50, channels, dtype)
    whole, top, rest = map(kf.ColorHistogram, (picture, picture[:11], picture[11:]))
    assert top + rest == rest + top == whole
    assert top != whole and top == kf.ColorHistogram(picture[:11])
    assert top + kf.ColorHistogram() == top
    twice = whole + whole
    assert twice != whole and (twice.counts == 2 * whole.counts).all()
    total = same = top.copy()
    total += rest
    assert total is same and total == whole and top == kf.ColorHistogram(picture[:11])
    whole.merge(whole)
    assert whole == twice
    assert whole != "whole"
    with pytest.raises(TypeError, match="unhashable"):
        hash(whole)
    with pytest.raises(TypeError, match="unsupported operand"):
        whole + 1
    with pytest.raises(TypeError, match="unsupported operand"):
        whole += 1


def test_colors_of_other_kinds_are_other_colors():
    grey = np.zeros((4, 4, 1), np.uint8)
    assert kf.ColorHistogram(grey) != kf.ColorHistogram(grey.astype(np.uint16))
    assert kf.ColorHistogram(grey) != kf.ColorHistogram(grey.repeat(3, axis=2))
    histogram = kf.ColorHistogram(grey)
    for add in (histogram.update, lambda image: histogram.merge(kf.ColorHistogram(image))):
        with pytest.raises(ValueError, match="holds 1 channels of 8 bits, .* pixels have 1 of 16"):
            add(grey.astype(np.uint16))
    assert histogram == kf.ColorHistogram(grey)


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda h: pickle.loads(dump(h))])
def test_pickles_and_copies_hold_colors_and_counts_alone(again):
    histogram = kf.ColorHistogram.from_tiles(cut(PICTURE, 64, 64))
    n_pixels = histogram.n_pixels
    other = again(histogram)
    assert other == histogram and other.n_pixels == n_pixels
    assert len(dump(histogram)) < 12 * histogram.n_colors + 1000
    other.update(PICTURE)
    assert histogram == kf.ColorHistogram(PICTURE) and other == histogram + histogram
    assert again(kf.ColorHistogram()) == kf.ColorHistogram()


def dump(histogram):
    return pickle.dumps(histogram, protocol=5)


# -------------------------------------------------------------------------------- files


@pytest.mark.parametrize(("dtype", "channels"), FORMATS)
def test_a_saved_histogram_is_read_again(dtype, channels, tmp_path):
    path = tmp_path / "colors.any"
    for histogram in (kf.ColorHistogram(photograph(40, 50, channels, dtype)), kf.ColorHistogram()):
        histogram.save(path)
        assert kf.ColorHistogram.load(str(path)) == histogram
        with np.load(path, allow_pickle=False) as archive:  # by NumPy alone
            assert sorted(archive) == ["colors", "counts", "version"]
            assert np.array_equal(archive["counts"], histogram.counts)


COLORS, COUNTS = kf.ColorHistogram(few_colors((9, 9, 3))).colors, np.arange(1, 1000)


def written(compressed=False, **arrays):
    """Return the bytes of a sound archive, but for some arrays."""
    file = io.BytesIO()
    sound = {"version": np.array(1), "colors": COLORS, "counts": COUNTS[: len(COLORS)]}
    chosen = {name: value for name, value in (sound | arrays).items() if value is not None}
    (np.savez_compressed if compressed else np.savez)(file, **chosen)
    return file.getvalue()


def altered(old, new):
    """Return an archive of arrays in whose headers something else stands."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive, zipfile.ZipFile(io.BytesIO(written())) as sound:
        for name in sound.namelist():
            archive.writestr(name, sound.read(name).replace(old, new))
    return file.getvalue()


def claiming():
    """Return an archive in whose directory, the counts are 4 GB large."""
    data, n = written(), len(COLORS)
    size = struct.pack("<L", 128 + 8 * n)
    at = data.rindex(b"counts.npy") - 26  # the sizes in the directory
    assert data[at : at + 8] == 2 * size
    claim = 0xF0000000
    return data[:at] + 2 * struct.pack("<L", claim) + data[at + 8 :]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is truncated or no histogram"),
        (b"no archive", "is truncated or no histogram"),
        (written()[:-300], "is truncated or no histogram"),
        (written()[:200] + b"\xff" + written()[201:], "is truncated or no histogram"),
        (written(counts=None), "is truncated or no histogram"),
        (written(compressed=True), "version is compressed, which save does not do"),
        (claiming(), "counts is larger than the file"),
        (altered(b"NUMPY\x01", b"NUMPY\x02"), "version is of a format that save does not write"),
        (altered(b", 3), ", b"999, 3), "), "the header of colors does not agree with its size"),
        (written(version=np.array(2)), "is of version 2, where 1 can be read"),
        (written(version=np.array("1")), "is of version 1, where 1"),
        (written(counts=COUNTS[:3]), r"counts of shape \(3,\)"),
        (written(counts=COUNTS[: len(COLORS)] * 1.0), "dtype float64, not"),
        (written(counts=np.array([{}])), "no histogram .the header of counts does not agree"),
        (written(colors=COLORS[:, 0]), "holds colors of shape"),
        (written(colors=COLORS.astype(np.int64)), "holds colors of 3 channels of int64"),
        (written(colors=np.tile(COLORS, 2)), "holds colors of 6 channels of uint8"),
        (written(colors=COLORS[::-1]), "colors that are not sorted, or not distinct"),
        (written(colors=np.repeat(COLORS[:1], len(COLORS), 0)), "not sorted, or not distinct"),
        (written(counts=COUNTS[: len(COLORS)] - 1), "counts that are not positive"),
        (written(counts=COUNTS[: len(COLORS)] << 52), "or add up to more than 2..62"),
    ],
)
def test_a_file_that_is_no_histogram_is_refused(data, message, tmp_path):
    path = tmp_path / "colors.npz"
    path.write_bytes(written())
    assert len(kf.ColorHistogram.load(path)) == len(COLORS)
    path.write_bytes(data)
    with pytest.raises(ValueError, match=f"colors.npz: .*{message}.*; write it again"):
        kf.ColorHistogram.load(path)


def test_folders_and_files_that_are_not_there_are_said(tmp_path):
    with pytest.raises(FileNotFoundError, match="missing.npz"):
        kf.ColorHistogram.load(tmp_path / "missing.npz")
    with pytest.raises(FileNotFoundError, match="there is no folder .*none; make it first"):
        kf.ColorHistogram().save(tmp_path / "none" / "colors.npz")
    with pytest.raises(IsADirectoryError, match="is a folder"):
        kf.ColorHistogram().save(tmp_path)


# ------------------------------------------------------------------------ label tables


@pytest.fixture
def at_once(monkeypatch):
    """Make the table in the first call."""
    monkeypatch.setattr(labelling, "TABLE_PIXELS", -(2**40))


def of_centroids(centroids, space="rgb"):
    return replace(kf.fit(PICTURE[:1, :1], 1), centroids=centroids, space=space)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_grey_pixels_have_a_table_too(at_once, dtype):
    picture = photograph(60, 80, 1, dtype)
    result = kf.fit(picture, 5)
    for pixels in (picture, photograph(60, 80, 1, np.uint8 if dtype == np.uint16 else np.uint16)):
        assert np.array_equal(result.predict(pixels), kf.assign(pixels, result.centroids))
        assert result._labeller._table.size == 1 << 8 * pixels.itemsize


@pytest.mark.parametrize("k", [1, 2, 16, 256, 300])
def test_the_table_has_the_label_of_every_color(at_once, k):
    """Centroids on a coarse lattice, and some twice: many colours are as near to several."""
    rng = np.random.default_rng(k)
    centroids = rng.integers(0, 9, (k, 3)) * 32.0 - 0.5 * (rng.random((k, 3)) < 0.3)
    result = of_centroids(centroids)
    colors = np.concatenate([noise(300, 400, seed=k), few_colors((300, 400, 3), 8)])
    labels = result.predict(colors)
    assert np.array_equal(labels, kf.assign(colors, centroids))
    assert result._labeller._table.size == 2**24
    some = rng.integers(0, 600, 30), rng.integers(0, 400, 30)
    assert np.array_equal(labels[some], kf.reference.assign(colors[some], centroids))


def test_the_table_is_made_once_it_is_worth_it_and_changes_no_label():
    result = kf.fit(PICTURE, 6)
    calls = 0
    while result._labeller._table.size == 0:
        assert np.array_equal(result.predict(PICTURE), result.labels)
        calls += 1
    assert 2 < calls < 20
    made = result._labeller._table
    assert np.array_equal(result.predict(PICTURE[::2, ::3]), result.labels[::2, ::3])
    assert result._labeller._table is made
    result.centroids[:] = result.centroids[::-1].copy()  # nobody should, but if they do
    assert np.array_equal(result.predict(PICTURE), kf.assign(PICTURE, result.centroids))


def test_oklab_fills_its_table_by_assign_later(at_once, monkeypatch):
    result = of_centroids(np.zeros((256, 3)), "oklab")
    monkeypatch.setattr(labelling, "label_array", lambda x, *_: x[..., 0])
    assert np.array_equal(result.predict(PICTURE), PICTURE[..., 0])
    assert result._labeller._table.size == 0
    monkeypatch.setattr(labelling, "OKLAB_PIXELS", 0)
    assert np.array_equal(result.predict(PICTURE), PICTURE[..., 0])
    assert result._labeller._table.size == 2**24


@pytest.mark.parametrize("tabled", [False, True])
def test_labels_go_where_they_are_wanted(tabled, tmp_path, monkeypatch):
    if tabled:
        monkeypatch.setattr(labelling, "TABLE_PIXELS", -(2**40))
    result = kf.fit(PICTURE, 6)
    mapped = np.lib.format.open_memmap(tmp_path / "labels.npy", "w+", np.uint8, (700, 900))
    for row in range(0, 700, 300):
        for column in range(0, 900, 400):
            place = slice(row, row + 300), slice(column, column + 400)
            out = mapped[place]
            assert result.predict(PICTURE[place], out=out) is out
    mapped.flush()
    assert np.array_equal(np.load(tmp_path / "labels.npy"), result.labels)
    assert result.predict(PICTURE, out=mapped, n_threads=1) is mapped
    backwards = np.empty((700, 900), np.uint8)[::-1]
    assert np.array_equal(result.predict(PICTURE, out=backwards), result.labels)
    points = PICTURE[:20, :20].astype(np.float32)
    few = np.empty((20, 20), np.uint8)
    assert result.predict(points, out=few) is few
    assert np.array_equal(few, result.labels[:20, :20])
    own = PICTURE.copy()
    result.predict(own, out=own[..., 1])
    assert np.array_equal(own[..., 1], result.labels)


@pytest.mark.parametrize(
    ("out", "error", "message"),
    [
        ([0], TypeError, "out is list; give an array"),
        (np.empty((900, 700), np.uint8), ValueError, r"the labels take \(700, 900\) of uint8"),
        (np.empty((700, 900), np.int64), ValueError, "dtype int64; the labels take"),
        (np.broadcast_to(np.uint8(0), (700, 900)), ValueError, "out is read-only"),
    ],
)
def test_out_has_to_fit(out, error, message):
    with pytest.raises(error, match=message):
        kf.fit(PICTURE[:9, :9], 3).predict(PICTURE, out=out)


def test_pickles_leave_the_table_behind_and_threads_share_it(at_once):
    result = kf.fit(PICTURE, 6)
    with ThreadPoolExecutor(4) as pool:
        found = pool.map(lambda _: result.predict(PICTURE, n_threads=1), range(4))
        assert all(np.array_equal(labels, result.labels) for labels in found)
    assert result._labeller._table.size == 2**24
    assert len(pickle.dumps(result)) < result.labels.nbytes + 5000
    again = pickle.loads(pickle.dumps(result))
    assert np.array_equal(again.predict(PICTURE), result.labels)
    assert copy.deepcopy(result)._labeller._table.size == 0
