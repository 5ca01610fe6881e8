"""Dithering: by brute force, on any threads, and what must stay as it is."""

import hashlib

import numpy as np
import pytest
from PIL import Image

import kmeans_fast as kf
from bench.perceived import blurred_error, grain
from kmeans_fast import cli, dithering
from kmeans_fast.cli.parser import DITHERS
from kmeans_fast.kernels import dither as kernel
from kmeans_fast.kernels._candidates import LANES
from kmeans_fast.threads import Threads

from .blue_noise import PATH, make_mask
from .pictures import noise, photograph

COUNTS = np.array([2, 4, 1])  # of squares in red, green and blue
PARTS = 4  # of a level
DIGESTS = {
    "floyd-steinberg": "765f80bb",
    "sierra": "c6945d05",
    "atkinson": "7d8557b6",
    "blue-noise": "8338e914",
    "bayer": "31f71b75",
}
# Where a share of an error goes to: columns ahead, rows below, and the share.
PUSHED = {
    "floyd-steinberg": "1,0,7/16 -1,1,3/16 0,1,5/16 1,1,1/16",
    "sierra": "1,0,5/32 2,0,3/32 -2,1,2/32 -1,1,4/32 0,1,5/32 1,1,4/32 2,1,2/32 "
    "-1,2,2/32 0,2,3/32 1,2,2/32",
    "atkinson": "1,0,1/8 2,0,1/8 -1,1,1/8 0,1,1/8 1,1,1/8 0,2,1/8",
}


def shares_of(method, strength):
    """Return what is handed on, in 4096ths, to (columns ahead, rows below)."""
    shares = {}
    for word in PUSHED[method].split():
        ahead, below, share = word.split(",")
        part, whole = map(int, share.split("/"))
        shares[int(ahead), int(below)] = round(4096 * strength * part / whole)
    return shares


def nearest(value, palette):
    """Return the colour nearest to a value, the first of several."""
    return int((np.square(palette.astype(int) - value) @ COUNTS).argmin())


def diffuse(image, labels, colors, shares, first, stop):
    """Dither some rows, a pixel at a time, each handing its error on."""
    height, width = labels.shape
    palette = PARTS * colors.astype(int)
    pushed = np.zeros((height + 2, width, 3), int)
    out = labels.copy()
    for y in range(first, stop):
        way = -1 if y % 2 else 1
        for x in range(width)[::way]:
            value = PARTS * image[y, x].astype(int)
            if (value == palette[labels[y, x]]).all():
                continue
            value = np.clip(value + ((pushed[y, x] + 2048) >> 12), 0, 255 * PARTS)
            out[y, x] = nearest(value, palette)
            for (ahead, below), share in shares.items():
                if 0 <= x + way * ahead < width:
                    pushed[y + below, x + way * ahead] += share * (value - palette[out[y, x]])
    return out


def in_bands(image, labels, colors, method, strength):
    """Dither each band by itself, after the rows above it."""
    out = labels.copy()
    shares = shares_of(method, strength)
    for start in range(0, len(image), dithering.BAND):
        stop = min(start + dithering.BAND, len(image))
        first = max(0, start - dithering.WARM_UP)
        out[start:stop] = diffuse(image, labels, colors, shares, first, stop)[start:stop]
    return out


def by_pattern(image, labels, colors, thresholds, strength):
    """Dither by a pattern, a pixel at a time."""
    palette = PARTS * colors.astype(int)
    sq_dists = np.square(palette[:, None] - palette) @ COUNTS
    out = labels.copy()
    for (y, x), k in np.ndenumerate(labels):
        gap = PARTS * image[y, x].astype(int) - palette[k]
        if not gap.any():
            continue
        others = np.sort(sq_dists[k][sq_dists[k] > 0])[:2]
        reach = np.sqrt(others[-1]) if others.size else 0.0
        threshold = thresholds[y % len(thresholds), x % len(thresholds)]
        factor = min(max(1.0, strength / (2 * threshold)), reach / np.sqrt(gap**2 @ COUNTS))
        value = palette[k] + np.trunc(max(1.0, factor) * gap).astype(int)
        out[y, x] = nearest(np.clip(value, 0, 255 * PARTS), palette)
    return out


def some_colors(k, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (k, 3)).astype(np.uint8)


def label(image, colors):
    return kf.assign(image, colors.astype(np.float64)).astype(np.uint8)


def dither(image, colors, method, strength=0.8, labels=None, n_threads=2):
    usable = np.arange(len(colors), dtype=np.uint8)
    labels = label(image, colors) if labels is None else labels
    with Threads(n_threads) as threads:
        return dithering.dither_labels(image, labels, colors, usable, method, strength, threads)


# ------------------------------------------------------------------------- by brute force


@pytest.mark.parametrize("strength", [0.8, 1.0])
@pytest.mark.parametrize("method", dithering.SHARES)
@pytest.mark.parametrize("k", [1, 5, 40])
def test_errors_are_handed_on_as_a_pixel_at_a_time(method, strength, k, monkeypatch):
    monkeypatch.setattr(dithering, "BAND", 7)
    monkeypatch.setattr(dithering, "WARM_UP", 3)
    image, colors = photograph(24, 19), some_colors(k)
    image[5:9, 4:8] = colors[0]
    ours = dither(image, colors, method, strength)
    assert np.array_equal(ours, in_bands(image, label(image, colors), colors, method, strength))


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 9, 3), (9, 1, 3), (3, 2, 3)])
@pytest.mark.parametrize("method", dithering.DITHERS)
def test_small_pictures(shape, method):
    image, colors = noise(*shape), some_colors(4)
    labels = label(image, colors)
    if method in dithering.SHARES:
        expected = in_bands(image, labels, colors, method, 0.8)
    else:
        thresholds = dithering._thresholds(method)
        expected = by_pattern(image, labels, colors, thresholds, 0.8)
    assert np.array_equal(dither(image, colors, method), expected)


@pytest.mark.parametrize("method", ["blue-noise", "bayer"])
@pytest.mark.parametrize("k", [1, 2, 5, 40])
def test_patterns_are_as_a_pixel_at_a_time(method, k):
    image, colors = photograph(70, 67), some_colors(k)
    if k == 5:
        colors[3] = colors[1]
    image[5:9, 4:8] = colors[0]
    expected = by_pattern(image, label(image, colors), colors, dithering._thresholds(method), 0.9)
    assert np.array_equal(dither(image, colors, method, 0.9), expected)


@pytest.mark.parametrize("k", [1, 2, 9, 256])
def test_lists_hold_whatever_is_nearest(k):
    rng = np.random.default_rng(k)
    colors = some_colors(k) if k != 9 else np.repeat(some_colors(3), 3, axis=0)  # with copies
    if k == 256:
        colors = colors // 8 + 90  # most of the cube is far from all
    palette = PARTS * colors.astype(np.int32)
    spans = np.empty((kernel.SIDES**3, 2), np.int32)
    lists = np.empty((kernel.SIDES**3 * -(-k // LANES), 4, LANES), np.int16)
    usable = np.arange(k, dtype=np.uint8)
    for slab in range(kernel.SLABS):
        kernel.list_candidates(slab, palette, usable, spans, lists)
    values = rng.integers(0, 255 * PARTS + 1, (3000, 3))
    edges = rng.integers(0, 32, (1000, 3)) * 32 + rng.integers(-1, 1, (1000, 3))  # of cells
    for value in (*values, *np.clip(edges, 0, 255 * PARTS)):
        r, g, b = value // 32
        first, last = spans[(r * kernel.SIDES + g) * kernel.SIDES + b]
        listed = lists[first:last].transpose(0, 2, 1).reshape(-1, 4)
        assert nearest(value, palette) in listed[:, 3]
        assert np.array_equal(palette[listed[:, 3]], listed[:, :3])


def test_the_mask_is_what_void_and_cluster_makes():
    mask = np.load(PATH)
    assert np.array_equal(mask, make_mask())
    assert (np.bincount(mask.reshape(-1), minlength=256) == 64 * 64 // 256).all()
    assert np.sort(dithering._thresholds("bayer").reshape(-1)).tolist() == [
        (rank + 0.5) / 64 for rank in range(64)
    ]


# ------------------------------------------------------------------------------ what is seen


@pytest.mark.parametrize("method", dithering.DITHERS)
def test_the_bits_are_the_same_on_any_threads(method):
    image, colors = photograph(300, 41), some_colors(16)
    one = dither(image, colors, method, n_threads=1)
    for n_threads in (2, 3, 8):
        assert np.array_equal(dither(image, colors, method, n_threads=n_threads), one)


def test_the_bits_are_the_same_on_any_machine():
    y, x = np.mgrid[:150, :90].astype(np.uint8)
    image = np.dstack([y + 40, x * 2, 200 - y // 2])
    found = {}
    for method in dithering.DITHERS:
        shown = np.asarray(kf.quantize(image, palette=some_colors(30), dither=method))
        found[method] = hashlib.sha256(shown.tobytes()).hexdigest()[:8]
    assert found == DIGESTS


@pytest.mark.parametrize("method", [*dithering.SHARES, "blue-noise", "bayer"])
def test_means_are_kept(method):
    colors = np.array([[40, 60, 80], [120, 150, 180], [250, 10, 10]], np.uint8)
    for share in (0.1, 0.25, 0.5, 0.7):
        image = np.empty((192, 192, 3), np.uint8)
        image[:] = np.rint(colors[0] + share * (colors[1].astype(float) - colors[0]))
        found = colors[dither(image, colors, method, 1.0)].mean(axis=(0, 1))
        # Atkinson's drops a quarter of each error.
        assert np.abs(found - image[0, 0]).max() < (18 if method == "atkinson" else 2)


@pytest.mark.parametrize("method", dithering.SHARES)
def test_bands_leave_no_seam(method, monkeypatch):
    y, x = np.mgrid[:400, :256]
    image = np.dstack([90 + y // 8 + x // 20, 110 + y // 10, 140 + x // 10]).astype(np.uint8)
    colors = kf.fit(image, 16).palette
    edges = range(dithering.BAND, 390, dithering.BAND)

    def error_of_means():
        errors = colors[dither(image, colors, method, 1.0)].astype(float) - image
        some = [errors[y - 3 : y + 3].reshape(6, 16, 16, 3).mean(axis=(0, 2)) for y in edges]
        return np.sqrt(np.square(some).mean())

    in_bands = error_of_means()
    monkeypatch.setattr(dithering, "BAND", 10**6)
    assert in_bands < 1.05 * error_of_means()


@pytest.mark.parametrize("method", dithering.DITHERS)
def test_flat_areas_and_text_stay_clean(method):
    image = np.full((80, 120, 3), 247, np.uint8)
    image[50:] = 31, 136, 61
    image[10:30, 10:110] = photograph(20, 100)
    image[60:70:2, 20:100:3] = 255
    palette = np.concatenate([image[[0, 50, 60], [0, 0, 20]], kf.fit(image[10:30], 9).palette])
    shown = np.asarray(kf.quantize(image, palette=palette, dither=method).convert("RGB"))
    flat = np.ones((80, 120), bool)
    flat[10:30, 10:110] = False
    assert np.array_equal(shown[flat], image[flat])
    # One that is two levels off, among colours that are far: no dots are made of so little.
    colors = np.array([[245, 246, 247], [30, 30, 30], [200, 220, 240]], np.uint8)
    image[:] = 247
    image[20:40, 20:40] = 100, 110, 120
    labels = dither(image, colors, "floyd-steinberg")
    assert (labels[44:] == 0).all() and len(np.unique(labels[20:40, 20:40])) > 1


@pytest.mark.parametrize("method", dithering.DITHERS)
def test_a_picture_of_the_palettes_colors_stays_as_it_is(method):
    colors = some_colors(64)
    given = np.random.default_rng(0).integers(0, 64, (90, 50))
    for order in (colors, colors[::-1], np.concatenate([colors, colors])):
        shown = kf.quantize(colors[given], palette=order, dither=method)
        assert np.array_equal(np.asarray(shown.convert("RGB")), colors[given])


def test_no_dithering_is_that_of_no_strength():
    image = photograph(40, 30)
    plain = kf.quantize(image, 6)
    assert kf.quantize(image, 6, dither=True, dither_strength=0) == plain
    assert kf.quantize(image, 6, dither=False, dither_strength=1) == plain
    named = kf.quantize(image, 6, dither="floyd-steinberg", dither_strength=0.8)
    assert kf.quantize(image, 6, dither=True) == named != plain


def test_colors_that_no_pixel_is_nearest_to_are_used_too():
    image = np.full((40, 40), 100, np.uint8)
    image[0, 0] = 101
    shown = kf.quantize(image, palette=["black", "white"], dither=True, dither_strength=1)
    assert abs(np.asarray(shown.convert("L")).mean() - 100) < 3


def test_opaque_pixels_take_no_translucent_color():
    pixels = np.dstack([photograph(60, 40), np.full((60, 40), 255, np.uint8)])
    pixels[:, 20:, 3] = 90
    for method in dithering.DITHERS:
        plain = np.asarray(kf.quantize(pixels, 12).convert("RGBA"))
        shown = np.asarray(kf.quantize(pixels, 12, dither=method).convert("RGBA"))
        assert np.array_equal(shown[:, 20:], plain[:, 20:])
        assert np.array_equal(shown[..., 3], plain[..., 3])
        assert (shown != plain).any()


def test_less_is_seen_of_it_than_without():
    image = photograph(200, 200)
    plain = np.asarray(kf.quantize(image, 8).convert("RGB"))
    for method in dithering.DITHERS:
        shown = np.asarray(kf.quantize(image, 8, dither=method).convert("RGB"))
        assert blurred_error(image, shown) < blurred_error(image, plain) < grain(image, shown)


# ------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"dither": "ordered"}, ValueError, "dither='ordered' is unknown; give True, False or one "
         "of floyd-steinberg, sierra, atkinson, blue-noise, bayer"),
        ({"dither": None}, ValueError, "dither=None is unknown"),
        ({"dither": ["bayer"]}, ValueError, "is unknown"),
        ({"dither_strength": 1.2}, ValueError, "dither_strength=1.2 is not in its range; give 0"),
        ({"dither_strength": -0.1}, ValueError, "dither_strength=-0.1"),
        ({"dither_strength": float("nan")}, ValueError, "dither_strength=nan"),
        ({"dither_strength": "much"}, TypeError, "dither_strength='much' is not a number"),
    ],
)  # fmt: skip
def test_what_is_no_dithering_is_refused(options, error, message):
    with pytest.raises(error, match=message):
        kf.quantize(noise(4, 4), 2, **options)


# ------------------------------------------------------------------------- the command line


def test_the_command_line_knows_all_ways():
    assert DITHERS == dithering.DITHERS


@pytest.mark.parametrize(
    ("flags", "options"),
    [
        (["--dither"], {"dither": True}),
        (["--dither=blue-noise"], {"dither": "blue-noise"}),
        (["--dither", "--dither-strength", "0.5"], {"dither": True, "dither_strength": 0.5}),
        (["--dither=sierra", "--shared"], {"dither": "sierra"}),
    ],
)
def test_the_command_line_dithers(folder, flags, options):
    image = photograph(50, 40)
    Image.fromarray(image).save("a.png")
    assert cli.main(["quantize", "-k", "5", *flags, "a.png", "-o", "out.png"]) == 0
    expected = kf.quantize(image, 5, **options).convert("RGB")
    assert np.array_equal(kf.open_image("out.png"), np.asarray(expected))


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--dither=stucki", "invalid choice: 'stucki'"),
        ("--dither-strength=2", "2 is not between 0 and 1"),
        ("--dither-strength=nan", "nan is not between 0 and 1"),
        ("--dither-strength=x", "'x' is not a number"),
    ],
)
def test_the_command_line_refuses_in_one_line(folder, flag, message, capsys):
    assert cli.main(["quantize", "a.png", "-k", "5", flag, "-o", "out.png"]) == 2
    told = capsys.readouterr().err
    assert message in told and len(told.strip().splitlines()) == 1
