"""What is asked of a palette: colours that stay, pixels that count more, fewer bits, an error."""

import io

import numpy as np
import pytest
from PIL import Image

import kmeans_fast as kf
from kmeans_fast import choosing, cli
from kmeans_fast.visible import premultiplied

from .pictures import colors_of, few_colors, photograph

PICTURE = photograph(40, 60)
FIXED = ["#fff", (0, 0, 0), "red"]
STAY = [[255, 255, 255], [0, 0, 0], [255, 0, 0]]


def error_of(picture, painted):
    """Return the mean squared error of what is seen, by definition."""
    shown = np.asarray(painted.convert("RGB")).astype(float)
    return np.mean((shown - picture.astype(float)) ** 2)


# ------------------------------------------------------------------------- colours that stay


@pytest.mark.parametrize("refine", [0, 1, 4])
@pytest.mark.parametrize("n_threads", [1, 3])
def test_fixed_colors_stay_and_the_others_are_means(refine, n_threads):
    found = kf.quantize(PICTURE, 9, fixed=FIXED, refine=refine, max_iter=1000, n_threads=n_threads)
    palette = np.array(found.getpalette("RGB")).reshape(-1, 3)
    labels = np.asarray(found)
    assert palette[:3].tolist() == STAY
    for k in range(3, 9):
        assert np.abs(PICTURE[labels == k].mean(axis=0) - palette[k]).max() < 1.0
    same = kf.quantize(PICTURE, 9, fixed=FIXED, refine=refine, max_iter=1000, n_threads=2)
    assert same.getpalette() == found.getpalette()


def test_a_fixed_color_far_from_all_pixels_takes_none():
    """And none is given to it, as to other clusters that are empty."""
    dark = (PICTURE // 4).astype(np.uint8)
    free = kf.palette(dark, 5)
    both = kf.palette(dark, 6, fixed=["#ff00ff"], sort="share")
    assert both.counts[-1] == 0 and both.hex[-1] == "#ff00ff"
    assert both.mse == pytest.approx(free.mse, rel=0.05)


@pytest.mark.parametrize("kind", ["grey", "deep", "oklab", "translucent", "few"])
def test_fixed_colors_of_other_kinds(kind):
    options = {"space": "oklab"} if kind == "oklab" else {}
    picture = {
        "grey": PICTURE[..., :1],
        "deep": PICTURE.astype(np.uint16) * 257,
        "few": few_colors(levels=2),
        "translucent": np.dstack([PICTURE, np.arange(2400).reshape(40, 60) % 200 + 56]).astype(
            "u1"
        ),
    }.get(kind, PICTURE)
    found = kf.palette(picture, 40 if kind == "few" else 4, fixed=["white", "black"], sort="share",
                       **options)  # fmt: skip
    assert {"#ffffff", "#000000"} <= set(found.hex)
    assert len(found) == (10 if kind == "few" else 4)


def test_all_colors_are_fixed():
    given = kf.quantize(PICTURE, palette=FIXED)
    fixed = kf.quantize(PICTURE, 3, fixed=FIXED)
    assert np.array_equal(np.asarray(given), np.asarray(fixed))
    assert given.getpalette() == fixed.getpalette()


# ------------------------------------------------------------------------- pixels that count


def test_a_map_of_ones_changes_nothing():
    plain = kf.quantize(PICTURE, 7)
    for weight in (np.ones((40, 60)), np.full((40, 60), 3, np.uint8), np.ones((40, 60), bool)):
        assert kf.quantize(PICTURE, 7, weight=weight).getpalette() == plain.getpalette()


def test_what_counts_for_nothing_has_no_colors_of_its_own():
    half = np.zeros((40, 60))
    half[:, :30] = 1
    assert (
        kf.quantize(PICTURE, 7, weight=half).getpalette()
        == kf.quantize(PICTURE[:, :30], 7).getpalette()
    )
    found = kf.palette(PICTURE, 7, weight=half / 4)
    assert found.counts.sum() == 2400  # pixels are counted all the same


def test_a_map_may_be_a_picture(tmp_path):
    half = np.zeros((40, 60), np.uint8)
    half[:, :30] = 255
    Image.fromarray(half).save(tmp_path / "map.png")
    expected = kf.quantize(PICTURE, 7, weight=half).getpalette()
    rgb = np.repeat(half[..., None], 3, axis=2)
    for weight in (Image.fromarray(half), Image.fromarray(rgb), str(tmp_path / "map.png")):
        assert kf.quantize(PICTURE, 7, weight=weight).getpalette() == expected


# ------------------------------------------------------------------------------------- alpha


def test_premultiplied_colors_are_rounded():
    pixels = np.random.default_rng(0).integers(0, 256, (300, 200, 4)).astype(np.uint8)
    product = pixels[..., :3].astype(float) * pixels[..., 3:] / 255
    expected = np.concatenate([np.floor(product + 0.5), pixels[..., 3:]], axis=2)
    assert np.array_equal(premultiplied(pixels), expected)


def test_colors_that_are_hardly_seen_take_no_entries():
    """Noise at an alpha of 2 beside three opaque colours."""
    rng = np.random.default_rng(0)
    picture = np.zeros((40, 40, 4), np.uint8)
    picture[:20, :, :3] = np.array([[250, 0, 0], [0, 250, 0], [0, 0, 250]])[
        rng.integers(3, size=(20, 40))
    ]
    picture[:20, :, 3] = 255
    picture[20:, :, :3] = rng.integers(0, 256, (20, 40, 3))
    picture[20:, :, 3] = 2
    painted = np.asarray(kf.quantize(picture, 4).convert("RGBA"))
    assert np.array_equal(painted[:20], picture[:20])
    assert (painted[20:, :, 3] == 2).all()


def test_a_translucent_color_keeps_its_colors():
    picture = np.zeros((4, 4, 4), np.uint8)
    picture[:2] = 200, 100, 50, 128
    picture[2:] = 20, 40, 60, 255
    painted = np.asarray(kf.quantize(picture, 2).convert("RGBA")).astype(int)
    assert np.abs(painted - picture).max() <= 1
    assert np.array_equal(painted[..., 3], picture[..., 3])


@pytest.mark.parametrize("options", [{}, {"medoids": True}, {"sort": "share"}, {"max_error": 0}])
def test_few_translucent_colors_are_kept_as_they_are(options):
    rng = np.random.default_rng(0)
    colors = rng.integers(0, 256, (200, 4)).astype(np.uint8)
    colors[:, 3] |= 1
    picture = colors[rng.integers(200, size=(40, 60))]
    picture[0, :9] = 0
    painted = kf.quantize(picture, 255, **options)
    assert np.array_equal(np.asarray(painted.convert("RGBA")), picture)


def test_medoids_of_translucent_pixels_occur():
    picture = np.random.default_rng(0).integers(1, 256, (40, 60, 4)).astype(np.uint8)
    painted = np.asarray(kf.quantize(picture, 9, medoids=True).convert("RGBA"))
    assert colors_of(painted) <= colors_of(picture) and len(colors_of(painted)) == 9


# --------------------------------------------------------------------------------- posterized


@pytest.mark.parametrize("bits", [1, 4, 7])
def test_levels_of_a_posterized_palette(bits):
    steps = 2 ** (8 - bits) - 1
    levels = np.rint(255 * np.arange(steps + 1) / steps)
    for picture in (PICTURE, PICTURE[..., :1], PICTURE.astype(np.uint16) * 257):
        found = kf.palette(picture, 30, posterize=bits)
        assert np.isin(found.colors, levels).all()
        assert len(colors_of(found.colors)) == len(found)
        assert found.counts.sum() == 2400
        painted = kf.quantize(picture, 30, posterize=bits, sort="luminance")
        assert painted.convert("RGB").getcolors() is not None
        assert set(found.hex) == set(kf.palette(painted.convert("RGB"), 30, refine=0).hex)


# ---------------------------------------------------------------------- an error that is held


@pytest.mark.parametrize("target", [2000.0, 300.0, 90, "27 dB", "31.5dB", 8.0])
def test_the_smallest_palette_that_holds_an_error(target):
    limit = choosing.check_max_error(target)
    painted = kf.quantize(PICTURE, max_error=target)
    k = len(painted.getpalette("RGB")) // 3
    assert error_of(PICTURE, painted) <= limit
    smallest = next(k for k in range(1, 257) if kf.palette(PICTURE, k).mse <= limit)
    assert smallest <= k <= max(smallest + 1, 1.05 * smallest)
    assert kf.palette(PICTURE, max_error=target).mse == pytest.approx(error_of(PICTURE, painted))


def test_errors_at_their_ends():
    few = few_colors(levels=2)
    assert len(kf.palette(few, max_error=0)) == 8
    assert len(kf.palette(few, max_error=1e9)) == 1
    assert len(kf.palette(PICTURE, max_error=1e9, fixed=FIXED)) == 3
    with pytest.raises(ValueError, match=r"the best 5 colours leave an error of \d+.*dB; allow"):
        kf.quantize(PICTURE, 5, max_error="40 dB")
    transparent = np.zeros((4, 4, 4), np.uint8)
    assert len(kf.palette(transparent, max_error=1)) == 0


@pytest.mark.parametrize("limit", [0, 1e-9, 1.0, 30.0, 300.0])
def test_few_fits_find_the_palette_of_few_colors(limit, monkeypatch):
    """Where there are no errors from some number on, nothing says how they fall."""
    n_fits, fit = [], choosing.VisibleColors.fit
    monkeypatch.setattr(
        choosing.VisibleColors, "fit", lambda *a, **o: n_fits.append(a[1]) or fit(*a, **o)
    )
    colors = np.random.default_rng(0).integers(0, 256, (150, 3)).astype(np.uint8)
    picture = colors[np.random.default_rng(1).integers(150, size=(40, 60))]
    found = kf.palette(picture, max_error=limit)
    assert len(found) == 150 if limit < 1e-6 else len(found) <= 150
    assert found.mse <= limit and len(n_fits) <= 10


@pytest.mark.parametrize("wish", [{"medoids": True}, {"posterize": 3}])
def test_the_error_is_that_of_the_colors_as_they_are_used(wish):
    painted = kf.quantize(PICTURE, max_error=150, **wish)
    assert error_of(PICTURE, painted) <= 150


# -------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("wish", "says"),
    [
        ({"max_error": -1}, "max_error=-1 is no error; give"),
        ({"max_error": "loud"}, "max_error='loud' is no error"),
        ({"max_error": "nan dB"}, "is no error"),
        ({"max_error": True}, "is no error"),
        ({"fixed": ["#fff"] * 4}, "fixed holds 4 colours, more than n_colors=3; give fewer"),
        ({"fixed": []}, "fixed is empty"),
        ({"fixed": ["whitish"]}, "fixed holds 'whitish', which is no colour"),
        ({"weight": np.ones((4, 4))}, r"weight has shape \(4, 4\), and the picture \(40, 60\)"),
        ({"weight": -np.ones((40, 60))}, "negative or not finite"),
        ({"weight": np.full((40, 60), np.nan)}, "negative or not finite"),
        ({"weight": np.zeros((40, 60))}, "weight is 0 for every pixel"),
        ({"posterize": -1}, "posterize=-1 is less than 0"),
        ({"posterize": 8}, "posterize=8 leaves no bits"),
        ({"refine": -1}, "refine=-1 is less than 0"),
    ],
)
@pytest.mark.parametrize("call", [kf.quantize, kf.palette])
def test_wishes_that_cannot_be(call, wish, says):
    with pytest.raises(ValueError, match=says):
        call(PICTURE, 3, **wish)


def test_a_palette_that_is_given_has_no_wishes():
    for wish in ({"fixed": FIXED}, {"posterize": 1}, {"weight": np.ones((40, 60))}):
        with pytest.raises(ValueError, match="a palette is used as it is"):
            kf.quantize(PICTURE, palette=FIXED, **wish)


# ------------------------------------------------------------------------ the command line


def test_wishes_by_the_command_line(folder, capsys):
    Image.fromarray(PICTURE).save("in.png")
    given = ["--fixed", "#fff,black,red", "--posterize", "2", "--max-error", "25 dB"]
    assert cli.main(["quantize", "in.png", "-o", "out.png", *given]) == 0
    expected = kf.quantize(PICTURE, max_error="25 dB", fixed=FIXED, posterize=2)
    with Image.open("out.png") as painted:
        assert painted.convert("RGB").tobytes() == expected.convert("RGB").tobytes()
    assert cli.main(["palette", "in.png", "--format", "hex", *given]) == 0
    found = kf.palette(PICTURE, max_error="25 dB", fixed=FIXED, posterize=2)
    assert capsys.readouterr().out == found.to_hex()


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (["--max-error", "much"], "max_error='much'"),
        (["-k", "2", "--fixed", "#fff,#000,red"], "fixed holds 3 colours"),
        (["--posterize", "9"], "posterize=9 leaves no bits"),
        (["-k", "4", "--max-error", "60dB"], "the best 4 colours leave an error"),
    ],
)
def test_wishes_that_cannot_be_by_the_command_line(given, says, folder, capsys):
    Image.fromarray(PICTURE).save("in.png")
    assert cli.main(["quantize", "in.png", "-o", "out.png", *given]) == 2
    assert says in capsys.readouterr().err
    assert not (folder / "out.png").exists()


def test_a_stream_of_frames_shares_a_palette_that_holds_an_error(folder):
    frames = [Image.fromarray(np.roll(PICTURE, 9 * at, axis=1)) for at in range(3)]
    data = io.BytesIO()
    frames[0].save(data, "WEBP", save_all=True, append_images=frames[1:], lossless=True)
    (folder / "in.webp").write_bytes(data.getvalue())
    assert cli.main(["quantize", "in.webp", "-o", "out.gif", "--max-error", "26dB"]) == 0
    with Image.open("out.gif") as painted:
        assert painted.n_frames == 3
        assert error_of(PICTURE, painted) <= choosing.check_max_error("26dB")
