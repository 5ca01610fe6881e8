"""Hostile and odd pictures: profiles, bombs, lies, rare kinds, and a fuzz of the command line."""

import io
import json
import struct
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

import kmeans_fast as kf
from kmeans_fast import cli
from kmeans_fast.pictures import profiles
from kmeans_fast.pictures.reading import to_array
from kmeans_fast.pictures.saving import save_image

from . import hostile
from .pictures import (
    SRGB_CURVE,
    colors_of,
    few_colors,
    formula_curve,
    grey_profile,
    icc_profile,
    ink_profile,
    photograph,
    power_curve,
    rgb_profile,
    table_curve,
    tiff_file,
)

# Colours of Display P3 that sRGB has too, as other numbers.
COLORS = np.array(
    [[200, 60, 60], [60, 200, 60], [60, 60, 200], [255, 255, 255], [128, 99, 30], [0, 0, 0]],
    np.uint8,
)
PICTURE = COLORS[np.arange(24).reshape(4, 6) % 6].repeat(5, axis=0).repeat(5, axis=1)
P3 = rgb_profile("P3")
NO_SHORTCUTS, AS_MEASURED = 0x100, 1  # of LittleCMS: a flag, and an intent
BROKEN = bytes(16) + b"RGB " + bytes(108)


def shown(image, profile, flags=0, intent=0):
    """Return what a program that knows profiles shows: sRGB."""
    srgb = ImageCms.createProfile("sRGB")
    if profile:
        image = ImageCms.profileToProfile(
            image, io.BytesIO(profile), srgb, outputMode="RGB", flags=flags, renderingIntent=intent
        )
    return np.asarray(image.convert("RGB")).astype(int)


def shown_of(path):
    with Image.open(path) as image:
        return shown(image.convert("RGB"), image.info.get("icc_profile"))


def saved(path, picture=PICTURE, profile=P3, **options):
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    image.save(path, icc_profile=profile, **options)
    return path


def run(*arguments):
    assert cli.main([*map(str, arguments), *(["--force"] if "-o" in arguments else [])]) == 0


SEEN = shown(Image.fromarray(PICTURE), P3)
COLORS_SEEN = shown(Image.fromarray(COLORS[np.newaxis]), P3)[0].tolist()
assert np.abs(SEEN - PICTURE).max() > 20


# ------------------------------------------------------------------------------ profiles


@pytest.mark.parametrize("suffix", [".png", ".tif", ".jpg", ".webp", ".gif", ".bmp"])
@pytest.mark.parametrize("source", ["RGB", "P", "RGBA"])
def test_a_picture_of_another_space_looks_the_same_in_every_format(folder, source, suffix):
    image = Image.fromarray(PICTURE).quantize(6) if source == "P" else Image.fromarray(PICTURE)
    saved("in.png", image.convert(source))
    run("quantize", "in.png", "-k", 6, "-o", f"out{suffix}")
    difference = np.abs(shown_of(f"out{suffix}") - SEEN)
    assert (difference.mean() < 3) if suffix == ".jpg" else (difference.max() <= 1)
    with Image.open(f"out{suffix}") as image:
        carried = image.info.get("icc_profile")
        assert carried == (None if suffix in (".gif", ".bmp") else P3)
        if suffix in (".png", ".tif", ".webp"):
            assert np.array_equal(np.asarray(image.convert("RGB")), PICTURE)


def test_so_does_one_of_more_than_256_colors(folder):
    picture = photograph(20, 30)
    saved("in.png", picture)
    run("quantize", "in.png", "-k", 300, "-o", "out.png")
    run("quantize", "in.png", "-k", 300, "-o", "out.bmp")
    assert np.abs(shown_of("out.png") - shown_of("out.bmp")).max() <= 1
    assert np.abs(shown_of("out.png") - np.asarray(Image.open("out.png"))).max() > 5


def test_a_profile_too_large_for_a_png_is_applied_instead(folder):
    """Pillow reads back none of a megabyte."""
    large = P3 + bytes(2**20)
    saved("in.tif", profile=large)
    run("quantize", "in.tif", "-k", 6, "-o", "out.png")
    run("quantize", "in.tif", "-k", 6, "-o", "out.tif")
    for name in ("out.png", "out.tif"):
        assert np.abs(shown_of(name) - SEEN).max() <= 1
    with Image.open("out.png") as image:
        assert "icc_profile" not in image.info
    save_image(image_of(profile=large), "again.png")
    with Image.open("again.png") as image:
        assert "icc_profile" not in image.info


def image_of(picture=PICTURE, profile=P3):
    image = Image.fromarray(picture)
    image.info["icc_profile"] = profile
    return image


def test_arrays_are_srgb_however_they_are_read(folder):
    saved("in.png")
    saved("in.tif", np.dstack([PICTURE, np.full((20, 30), 255, np.uint8)]))  # mapped, not read
    expected = kf.open_image("in.png")
    assert np.abs(expected - SEEN).max() <= 1
    assert np.array_equal(kf.open_image("in.tif")[..., :3], expected)
    for name in ("in.png", "in.tif"):
        for pixels in (600, 100):
            rows = np.concatenate(list(kf.open_tiles(name, tile_pixels=pixels)))
            assert np.array_equal(rows[..., :3], expected)
    image = image_of()
    assert np.array_equal(to_array(image), expected)
    assert np.array_equal(np.asarray(image), PICTURE)  # the caller's is left alone
    assert sorted(kf.fit(image, 6).palette.tolist()) == sorted(COLORS_SEEN)
    for mode in ("RGBA", "RGBX", "RGBa"):
        other = image.convert("RGBA").convert(mode)
        other.info["icc_profile"] = P3
        assert np.array_equal(to_array(other)[..., :3], expected)


def test_alpha_stays_what_it_is(folder):
    alpha = np.random.default_rng(1).integers(0, 256, (20, 30), np.uint8)
    saved("in.png", np.dstack([PICTURE, alpha]))
    array = kf.open_image("in.png")
    assert np.array_equal(array[..., 3], alpha)
    assert np.abs(array[..., :3] - SEEN).max() <= 1


def test_quantize_of_an_image_keeps_its_profile_but_a_palette_is_srgb(folder):
    image = image_of()
    painted = kf.quantize(image, 6)
    assert painted.info["icc_profile"] == P3
    assert np.array_equal(np.asarray(painted.convert("RGB")), PICTURE)
    for suffix in (".png", ".tif"):  # by Pillow itself
        painted.save(f"out{suffix}")
        assert np.abs(shown_of(f"out{suffix}") - SEEN).max() <= 1
    painted = kf.quantize(image, palette=["gold", *map(tuple, COLORS_SEEN)])
    assert "icc_profile" not in painted.info
    assert painted.getpalette()[:3] == [255, 215, 0]
    assert np.array_equal(np.asarray(painted.convert("RGB")), to_array(image))
    seen = kf.explore(image, [6]).frames[-1].data
    assert "#000000" in str(seen) and f"#{bytes(COLORS_SEEN[0]).hex()}" in str(seen)


def test_palettes_of_the_command_line_are_srgb(folder, capsys):
    saved("in.png")
    expected = sorted(f"#{bytes(color).hex()}" for color in COLORS_SEEN)
    (folder / "many").mkdir()
    saved("many/a.png")
    Image.fromarray(kf.open_image("in.png")).save("many/b.png")
    for name in ("in.png", "many"):
        run("palette", name, "-k", 6, "--json", "-o", "swatch.png")
        colors = json.loads(capsys.readouterr().out)["colors"]
        assert sorted(color["hex"] for color in colors) == expected
        above_the_labels = kf.open_image("swatch.png")[:60]
        assert colors_of(above_the_labels) == {tuple(color["rgb"]) for color in colors}


def test_pictures_that_share_a_palette_are_brought_to_srgb(folder, monkeypatch):
    saved("a.png")
    saved("b.tif", profile=rgb_profile("Adobe"), strip_size=400)
    Image.fromarray(PICTURE).save("c.png")
    before = {name: shown_of(name) for name in ("a.png", "b.tif", "c.png")}
    (folder / "out").mkdir()
    run("quantize", *before, "-k", 18, "--shared", "-o", "out")
    monkeypatch.setattr("kmeans_fast.pictures.tiles.TILE_PIXELS", 100)
    monkeypatch.setattr("kmeans_fast.cli.commands.TILED", 200)
    run("quantize", "b.tif", "-k", 6, "--shared", "-o", "out/tiles.tif")
    for name, picture in before.items():
        assert np.abs(shown_of(f"out/{name[0]}.png") - picture).max() <= 2
    assert np.abs(shown_of("out/tiles.tif") - before["b.tif"]).max() <= 2
    for path in Path("out").iterdir():
        with Image.open(path) as image:
            assert "icc_profile" not in image.info
    run("quantize", "b.tif", "-k", 6, "-o", "out/tiles.tif")
    with Image.open("out/tiles.tif") as image:
        assert image.info["icc_profile"] == rgb_profile("Adobe")
        assert np.array_equal(np.asarray(image.convert("RGB")), PICTURE)


FINE_GREYS = (np.arange(600).reshape(20, 30) * 65535 // 599).astype(np.uint16)
GREYS = (FINE_GREYS >> 8).astype(np.uint8)


@pytest.mark.parametrize(
    "curve",
    [
        power_curve(1.8),
        power_curve(1.0),
        table_curve([]),
        table_curve(65535 * np.linspace(0, 1, 50) ** 1.5),
        formula_curve(0, 1.4),
        formula_curve(1, 2.0, 0.9, 0.1),
        formula_curve(2, 2.0, 0.8, 0.1, 0.1),
        formula_curve(4, 2.4, 0.9, 0.05, 0.1, 0.2, 0.02, 0.01),
    ],
)
def test_greys_follow_the_curve_of_their_profile(curve):
    profile = grey_profile(curve)
    image = image_of(np.arange(256, dtype=np.uint8)[np.newaxis], profile)
    expected = shown(image, profile, NO_SHORTCUTS, AS_MEASURED)[..., :1]
    array = to_array(image)
    assert np.abs(array - expected).max() <= 1
    assert np.abs(expected[0, :, 0] - np.arange(256)).max() > 10
    fine = image_of(np.arange(0, 65536, 257, dtype=np.uint16)[np.newaxis], profile)
    assert np.abs(to_array(fine) / 257 - expected).max() <= 1
    with_alpha = image.convert("LA")
    with_alpha.info["icc_profile"] = profile
    assert np.array_equal(to_array(with_alpha)[..., :3], np.repeat(array, 3, axis=2))
    assert (to_array(with_alpha)[..., 3] == 255).all()


def test_a_profiles_arithmetic_is_not_for_the_callers_errstate():
    with np.errstate(all="raise"):  # and no warning that the profile cannot be used
        found = to_array(image_of(np.arange(0, 65536, 257)[None].astype(np.uint16),
                                  grey_profile(power_curve(200))))  # fmt: skip
    assert found[0, 128, 0] == 0 and found[0, 255, 0] == 65535


@pytest.mark.parametrize("profile", [grey_profile(power_curve(1.4)), rgb_profile("Adobe")])
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_grey_pictures_become_srgb_and_carry_no_profile(folder, suffix, profile):
    saved(f"in{suffix}", GREYS, profile)
    run("quantize", f"in{suffix}", "-k", 256, "-o", "out.png")
    image = Image.fromarray(GREYS)
    image = image if profile[16:20] == b"GRAY" else image.convert("RGB")
    expected = shown(image, profile, NO_SHORTCUTS, AS_MEASURED)
    assert np.abs(shown_of("out.png") - expected).max() <= 1
    assert np.abs(expected[..., 0] - GREYS).max() >= 5
    with Image.open("out.png") as image:
        assert "icc_profile" not in image.info
    saved(f"in{suffix}", FINE_GREYS, profile)
    rows = np.concatenate(list(kf.open_tiles(f"in{suffix}", tile_pixels=100)))
    assert np.array_equal(rows, kf.open_image(f"in{suffix}"))
    run("quantize", f"in{suffix}", "-k", 600, "-o", "out.png")
    with Image.open("out.png") as image:
        fine = np.asarray(image)
        assert "icc_profile" not in image.info and len(np.unique(fine)) == 600
    exact = GREYS == FINE_GREYS / 257
    assert exact.any() and np.abs(fine / 257 - expected[..., 0])[exact].max() <= 1


def test_a_transparent_grey_is_found_before_the_profile_changes_it(folder):
    values = np.array([[0, 1000, 2570]], np.uint16)
    saved("in.png", values, grey_profile(power_curve(1.0)), transparency=1000)
    array = kf.open_image("in.png")
    assert array[0, :, 3].tolist() == [255, 0, 255]
    assert array[0, 2, 0] > 40  # light of 2570 / 65535
    saved("in.png", values.astype(np.uint8), grey_profile(power_curve(1.0)), transparency=232)
    assert kf.open_image("in.png")[0, :, 3].tolist() == [255, 0, 255]


@pytest.mark.parametrize("form", ["TIFF", "JPEG"])
def test_cmyk_is_converted_by_its_profile(folder, form):
    ink = np.random.default_rng(2).integers(0, 256, (20, 30, 4), np.uint8)
    image = Image.frombytes("CMYK", (30, 20), ink.tobytes())
    saved("in", image, ink_profile(), format=form, **({"quality": 100} if form == "JPEG" else {}))
    with Image.open("in") as image:
        expected = shown(image, ink_profile())
        plain = np.asarray(image.convert("RGB"))
    array = kf.open_image("in")
    assert np.array_equal(array, expected)
    assert np.abs(expected - plain).mean() > 10
    assert np.array_equal(np.concatenate(list(kf.open_tiles("in", tile_pixels=100))), array)
    run("quantize", "in", "-k", 300, "-o", "out.png")
    with Image.open("out.png") as image:
        assert "icc_profile" not in image.info
        assert np.abs(shown(image, None) - expected).mean() < 15


def test_lab_has_the_colors_that_it_says(folder):
    lab = bytes([128, 0, 0, 255, 0, 0, 136, 81, 70])  # a grey, white, red
    Image.frombytes("LAB", (3, 1), lab).save("in.tif")
    run("quantize", "in.tif", "-k", 3, "-o", "out.png")
    expected = [[119, 119, 119], [255, 255, 255], [255, 0, 0]]
    assert np.abs(kf.open_image("out.png")[0] - expected).max() <= 6


@pytest.mark.parametrize("profile", [rgb_profile("sRGB"), None])
def test_what_is_srgb_already_is_left_as_it_is(profile):
    steps = np.arange(0, 256, 15, dtype=np.uint8)
    picture = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(1, -1, 3)
    assert np.array_equal(to_array(image_of(picture, profile)), picture)
    greys = image_of(GREYS, grey_profile(SRGB_CURVE) if profile else None)
    assert np.array_equal(to_array(greys)[..., 0], GREYS)


@pytest.mark.parametrize(
    ("picture", "profile"),
    [
        (PICTURE, BROKEN),
        (PICTURE, P3[:300]),
        (GREYS, grey_profile(power_curve(1.4))[:140]),
        (GREYS, icc_profile(b"GRAY", {b"kTRC": power_curve(1.4)}, b"Lab ")),
        (GREYS, grey_profile(b"what" + bytes(20))),
        (GREYS, grey_profile(formula_curve(1, 2.0, 0.0, 0.1))),
    ],
)
def test_a_profile_that_cannot_be_used_is_told_and_not_used(folder, picture, profile, capsys):
    saved("in.png", picture, profile)
    with pytest.warns(profiles.ProfileWarning, match="in.png: the colour profile cannot be used"):
        array = kf.open_image("in.png")
    assert np.array_equal(array, picture.reshape(array.shape))
    run("palette", "in.png", "-k", 3)
    err = capsys.readouterr().err
    message = "kmeans-fast: warning: in.png: the colour profile cannot be used"
    assert err.splitlines()[-1].startswith(message) and err.count(message) == 1
    run("quantize", "in.png", "-k", 256, "-o", "out.gif")
    assert "the colour profile cannot be used" in capsys.readouterr().err
    assert np.array_equal(kf.open_image("out.gif").max(axis=2), picture.reshape(20, 30, -1).max(2))


def test_without_littlecms_a_profile_is_carried_or_told(folder, monkeypatch):
    def fail(*_, **__):
        raise ImportError("The _imagingcms C module is not installed")

    saved("in.png")
    profiles._transform.cache_clear()
    monkeypatch.setattr(ImageCms, "ImageCmsTransform", fail)
    run("quantize", "in.png", "-k", 6, "-o", "out.png")
    with Image.open("out.png") as image:
        assert image.info["icc_profile"] == P3
    with pytest.warns(profiles.ProfileWarning, match="cannot be used"):
        assert np.array_equal(kf.open_image("in.png"), PICTURE)


def test_a_profile_of_another_kind_of_picture_is_none(folder):
    for picture, profile in ((PICTURE, ink_profile()), (PICTURE, grey_profile(power_curve(1.4)))):
        image = image_of(picture, profile)
        assert np.array_equal(to_array(image), picture)
        assert kf.quantize(image, 6).info == {}
    image_of(GREYS, ink_profile())
    assert np.array_equal(to_array(image_of(GREYS, ink_profile()))[..., 0], GREYS)


# ----------------------------------------------------------------------------- odd kinds


def test_a_preview_of_a_camera_is_no_frame_and_others_are_told_once(folder, capsys):
    first, second = (Image.fromarray(few_colors(seed=seed)) for seed in (1, 2))
    for form, lost in (("MPO", False), ("GIF", False), ("TIFF", True)):  # all of a GIF is written
        first.copy().save("in", form, save_all=True, append_images=[second.copy()])
        run("quantize", "in", "-k", 125, "-o", "out.png")
        run("quantize", "in", "-k", 125, "--shared", "-o", "out.png")
        run("palette", "in", "-k", 2, "--json")
        said = "kmeans-fast: warning: in: only the first of its 2 frames is read, and 1 left out\n"
        assert capsys.readouterr().err == 3 * lost * said


def test_palettes_with_alpha_from_files(folder):
    image = Image.fromarray(PICTURE).convert("PA")
    image.putalpha(Image.fromarray(GREYS))
    image.save("in.tif")
    with Image.open("in.tif") as read:
        assert read.mode == "PA"
        assert np.array_equal(kf.open_image("in.tif"), np.asarray(read.convert("RGBA")))
    assert np.array_equal(kf.open_image("in.tif")[..., 3], GREYS)


# ---------------------------------------------------------------------------- hostile ones


@pytest.fixture(scope="module")
def bombs():
    return hostile.bombs()


def complaint(path, data, capsys, *options):
    path.write_bytes(data)
    command = ["palette", str(path), "-k", "2", "--max-pixels", str(hostile.MAX_PIXELS)]
    assert cli.main([*command, *options]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and "memory" not in err
    return err


def test_bombs_are_refused_by_what_they_say(bombs, folder, capsys):
    told = {
        "png text": "decompressed data too large",
        "png profile": "decompressed data too large",
        "png chunk": "broken data stream",
        "ppm of large numbers": "maxval must be",
        "tiff of a larger jpeg": "decoder error",
        "tiff of many channels": "a tiff of a kind that pillow does not read",
        "tiff of one directory": "values that lie over each other",
        "npy": "a broken .npy file",
        "webp": "picture: ",  # Pillow looks itself, lately
        "jp2 within": "picture: ",
        "j2k tile": "picture: ",
    }
    for name, data in bombs.items():
        expected = told.get(name, "pixels are more than max_pixels=4000")
        assert expected in complaint(folder / "picture", data, capsys).lower(), name
        with pytest.raises((OSError, ValueError), match="picture: ") as caught:
            kf.open_image("picture", max_pixels=4000)
        if name not in told and "tiff of one tile" != name:
            assert expected in str(caught.value), name


def test_a_picture_within_an_icon_is_held_to_the_limit(bombs, folder, capsys):
    Path("picture").write_bytes(bombs["ico of a png"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert kf.open_image("picture", max_pixels=8000 * 8000).shape[:2] == (8000, 8000)
    for name in ("ico of a png", "icns"):
        Path("picture").write_bytes(bombs[name])
        with pytest.raises(ValueError, match="8000 x 8000 pixels are more than max_pixels="):
            kf.open_image("picture", max_pixels=8000 * 8000 - 1)
    many = struct.pack("<HHH", 0, 1, 65535) + bytes(16 * 65535)
    assert "an icon of 65535 pictures" in complaint(folder / "picture", many, capsys)
    many = b"icns\0\0\x09\x68" + b"".join(struct.pack(">4sL", b"%04d" % n, 8) for n in range(300))
    assert "an icon of 300 pictures" in complaint(folder / "picture", many, capsys)
    broken = b"icns\0\0\xff\xff" + b"ic07" + bytes(99)
    assert "picture: invalid block header" in complaint(folder / "picture", broken, capsys)


def test_no_picture_is_without_pixels(folder, capsys):
    sound = hostile.seeds()
    for name, places in {
        "bmp RGB": (18, 22), "gif": (), "tga RGB": (12, 14), "sgi": (6, 8), "dds": (12, 16),
    }.items():  # fmt: skip
        for place in places:
            data = bytearray(sound[name])
            data[place : place + (4 if name in ("bmp RGB", "dds") else 2)] = bytes(
                4 if name in ("bmp RGB", "dds") else 2
            )
            assert "picture: " in complaint(folder / "picture", bytes(data), capsys), name
    for data in (b"P6 0 5 255\n", b"P6 5 0 255\n", hostile.png(0, 5), hostile.png(5, 0)):
        assert "picture: a broken or empty" in complaint(folder / "picture", data, capsys)
    for shape in ((0, 5), (5, 0)):
        data = tiff_file(shape, [bytes(9)], {259: 1, 262: 1})
        assert "picture: " in complaint(folder / "picture", data, capsys)


EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 26 20\n%%EndComments\n"


def test_no_other_program_is_started_for_a_picture(folder, capsys, monkeypatch):
    from PIL import EpsImagePlugin, IptcImagePlugin

    monkeypatch.setattr(EpsImagePlugin, "Ghostscript", lambda *_, **__: pytest.fail("it is"))
    monkeypatch.setattr(IptcImagePlugin.IptcImageFile, "_open", lambda *_: pytest.fail("asked"))
    within = b"".join(
        struct.pack(">BBBH", 0x1C, *tag, len(value)) + value
        for tag, value in (
            ((3, 60), b"\1\0"), ((3, 20), b"\0\x1a"), ((3, 30), b"\0\x14"), ((3, 120), b"\5"),
            ((8, 10), EPS),
        )
    )  # fmt: skip
    fits = b"".join(
        line.ljust(80) for line in (b"SIMPLE  = T", b"BITPIX  = 8", b"NAXIS   = 0", b"END")
    )
    assert "EPS is not read" in complaint(folder / "picture", EPS, capsys)
    assert "FITS is not read" in complaint(folder / "picture", fits, capsys)
    assert "not a picture in a format" in complaint(folder / "picture", within, capsys)


def test_tags_said_twice_are_read_as_pillow_reads_them(folder):
    """Which of two heights is meant must not depend on the size of the tiles."""
    data = bytearray(tiff_file((20, 30), [bytes(600)], {258: 8, 259: 1, 262: 1, 277: 1}))
    at = struct.unpack_from("<L", data, 4)[0]
    (n,) = struct.unpack_from("<H", data, at)
    tags = [struct.unpack_from("<HHLL", data, at + 2 + 12 * entry) for entry in range(n)]
    more = sorted([*tags, (257, 4, 1, 10)], key=lambda tag: tag[0])
    data[at:] = struct.pack("<H", n + 1) + b"".join(struct.pack("<HHLL", *tag) for tag in more)
    Path("in.tif").write_bytes(bytes(data) + bytes(4))
    whole = kf.open_image("in.tif")
    assert kf.open_tiles("in.tif", tile_pixels=100).shape == whole.shape


# -------------------------------------------------------------------------------- fuzz


def test_every_sound_picture_is_taken(tmp_path):
    for name, data in hostile.seeds().items():
        assert hostile.check(data, hostile.COMMANDS[0], tmp_path) == 0, name


@pytest.mark.skipif(sys.platform == "win32", reason="has no limits of memory to set")
def test_damaged_files_and_bombs_take_no_more_memory_than_the_limit_says(tmp_path):
    code = "from tests.hostile import try_many; print(try_many(100, seed=1, most=300))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(__file__).parents[1]
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("300 damaged files, ")
    assert done.stderr == ""  # nor a word from libtiff or from Pillow's log
