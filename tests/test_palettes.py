"""Palettes that people bring, in the order they like, of colours that are there."""

import io
import json
import os
import struct

import numpy as np
import pytest
from PIL import Image, ImageColor
from PIL.GimpPaletteFile import GimpPaletteFile

import kmeans_fast as kf
from kmeans_fast import cli
from kmeans_fast.choosing import in_order
from kmeans_fast.visible import VisibleColors

from .pictures import colors_of, premultiplied

RNG = np.random.default_rng(2)
PICTURE = RNG.integers(0, 256, (20, 30, 3)).astype(np.uint8)


def palette_of(indexed):
    return np.array(indexed.getpalette("RGB"), dtype=np.uint8).reshape(-1, 3)


# -------------------------------------------------------------------- a palette that is given


def test_each_pixel_takes_the_nearest_color_of_a_palette():
    palette = [(0, 0, 0), "white", "#f00", [0, 120, 200]]
    painted = kf.quantize(PICTURE, palette=palette)
    expected = np.array([[0, 0, 0], [255, 255, 255], [255, 0, 0], [0, 120, 200]])
    assert painted.mode == "P"
    assert np.array_equal(palette_of(painted), expected)
    assert np.array_equal(np.asarray(painted), kf.reference.assign(PICTURE, expected))


def test_a_palette_in_oklab_and_with_dithering():
    palette = [(0, 0, 0), (255, 255, 255), (255, 0, 0)]
    in_rgb, in_oklab = (
        np.asarray(kf.quantize(PICTURE, palette=palette, space=space)) for space in ("rgb", "oklab")
    )
    assert (in_rgb != in_oklab).any()
    assert np.array_equal(in_oklab, kf.assign(PICTURE, palette, space="oklab"))
    dithered = kf.quantize(PICTURE, palette=palette, dither=True)
    assert np.array_equal(palette_of(dithered), palette)


def test_a_palette_for_pictures_of_other_kinds():
    palette = ["black", "white"]
    grey = PICTURE[..., :1]
    assert np.array_equal(
        np.asarray(kf.quantize(grey, palette=palette)), (grey[..., 0] >= 128).astype(np.uint8)
    )
    deep = PICTURE.astype(np.uint16) * 257
    assert np.array_equal(
        np.asarray(kf.quantize(deep, palette=palette)),
        np.asarray(kf.quantize(PICTURE, palette=palette)),
    )
    seen = np.dstack([PICTURE, np.full(PICTURE.shape[:2], 255, np.uint8)])
    seen[:5, :, 3] = 0
    painted = kf.quantize(seen, palette=palette)
    assert painted.info["transparency"] == 2
    assert (np.asarray(painted)[:5] == 2).all()
    assert (np.asarray(painted)[5:] < 2).all()


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({}, TypeError, "takes n_colors, or max_error, or a palette: give one of them"),
        ({"n_colors": 2, "palette": ["red"]}, TypeError, "give one of them"),
        ({"palette": []}, ValueError, "palette is empty"),
        ({"palette": ["reddish"]}, ValueError, "palette holds 'reddish', which is no colour"),
        ({"palette": [(1, 2)]}, ValueError, r"palette holds \(1, 2\)"),
        ({"palette": [(1, 2, 256)]}, ValueError, r"palette holds \(1, 2, 256\)"),
        ({"palette": [(1, 2, 0.5)]}, ValueError, "which is no colour"),
        ({"palette": [3]}, ValueError, "palette holds 3"),
        ({"palette": ["#11223344"]}, ValueError, "which is no colour"),
        ({"palette": ["red"], "medoids": True}, ValueError, "a palette is used as it is"),
        ({"n_colors": 3, "sort": "hue"}, ValueError, "give one of luminance, share"),
        ({"palette": ["red"] * 300, "dither": True}, ValueError, "too many to dither"),
        ({"n_colors": 0}, ValueError, "n_colors=0"),
        ({"n_colors": 2.5}, TypeError, "n_colors=2.5"),
        ({"image": np.zeros((3, 3), np.uint8)}, ValueError, r"image has shape \(3, 3\)"),
        ({"image": PICTURE[..., :2]}, ValueError, "1, 3 or 4 channels"),
        ({"image": PICTURE.astype(np.float32)}, ValueError, "dtype float32"),
        ({"image": PICTURE[:0]}, ValueError, r"image has shape \(0, 30, 3\)"),
        ({"image": "photo.jpg"}, FileNotFoundError, "photo.jpg"),
        ({"image": Image.new("F", (3, 3))}, ValueError, "mode 'F'"),
    ],
)
def test_bad_arguments_are_named(arguments, error, message):
    if "image" in arguments:
        arguments = {"n_colors": 2, **arguments}
    with pytest.raises(error, match=message):
        kf.quantize(**{"image": PICTURE, **arguments})


# --------------------------------------------------------------------------------- in order


@pytest.mark.parametrize("given", [{"n_colors": 8}, {"palette": ["red", "blue", "white", "#333"]}])
def test_a_palette_in_order(given):
    plain = kf.quantize(PICTURE, **given).convert("RGB")
    by_light, by_share = (
        kf.quantize(PICTURE, sort=sort, **given) for sort in ("luminance", "share")
    )
    for ordered in (by_light, by_share):
        assert np.array_equal(np.asarray(ordered.convert("RGB")), np.asarray(plain))
    light = kf.spaces.to_oklab(palette_of(by_light))[:, 0]
    assert (np.diff(light) >= 0).all()
    n = np.bincount(np.asarray(by_share).reshape(-1), minlength=len(palette_of(by_share)))
    assert (np.diff(n) <= 0).all()


def test_a_result_in_order_is_the_same_result():
    result = kf.fit(PICTURE, 7)
    for sort in ("luminance", "share"):
        ordered = in_order(result, sort)
        assert np.array_equal(ordered.recolor(), result.recolor())
        assert np.array_equal(ordered.counts, np.bincount(ordered.labels.reshape(-1)))
        assert np.array_equal(ordered.palette, np.rint(ordered.centroids))
    assert in_order(None, "share") is None


# ------------------------------------------------------------------- colours that are there


@pytest.mark.parametrize("space", ["rgb", "oklab"])
def test_medoids_are_the_nearest_colors_that_occur(space):
    picture = PICTURE // 40 * 40
    painted = kf.quantize(picture, 6, medoids=True, space=space)
    assert colors_of(palette_of(painted)) <= colors_of(picture)
    result = kf.fit(picture, 6, space=space, refine=1)
    measure = kf.spaces.to_oklab if space == "oklab" else np.asarray
    colors = np.unique(picture.reshape(-1, 3), axis=0)
    for centroid, found in zip(result.centroids, palette_of(painted), strict=True):
        apart = ((measure(colors) - measure(centroid[None])) ** 2).sum(axis=1)
        own = ((measure(found[None]) - measure(centroid[None])) ** 2).sum()
        assert own == pytest.approx(apart.min(), rel=1e-12)


def test_medoids_of_pictures_with_transparency():
    seen = np.dstack([PICTURE, np.full(PICTURE.shape[:2], 255, np.uint8)])
    seen[0, :, 3] = 0
    seen[1, :, 3] = 128
    painted = kf.quantize(seen, 5, medoids=True)
    there = colors_of(seen[seen[..., 3] > 0])
    found = np.unique(np.asarray(painted.convert("RGBA")).reshape(-1, 4), axis=0).tolist()
    assert {tuple(color) for color in found if color[3] > 0} <= there
    invisible = np.zeros((4, 4, 4), np.uint8)
    assert kf.quantize(invisible, 3, medoids=True, sort="share").info["transparency"] == 0
    assert VisibleColors().as_medoids(None, None) is None


def test_the_command_line_measures_in_oklab_too(tmp_path, capsys):
    Image.fromarray(PICTURE).save(tmp_path / "a.png")
    given = [str(tmp_path / "a.png"), "-k", "5", "--space", "oklab"]
    assert cli.main(["quantize", *given, "-o", str(tmp_path / "b.png")]) == 0
    expected = kf.quantize(PICTURE, 5, space="oklab")
    found = Image.open(tmp_path / "b.png").convert("RGB")
    assert np.array_equal(np.asarray(found), np.asarray(expected.convert("RGB")))
    assert cli.main(["palette", *given, "--json"]) == 0
    printed = {tuple(row["rgb"]) for row in json.loads(capsys.readouterr().out)["colors"]}
    assert printed == colors_of(palette_of(expected))


def test_a_pillow_picture_keeps_what_it_carries():
    image = Image.fromarray(PICTURE)
    image.info["dpi"] = (72, 72)
    assert kf.quantize(image, palette=["red", "green"]).info["dpi"] == (72, 72)


# ------------------------------------------------------------------- a palette as an object

GREY = np.array([[0, 65535], [25700, 0]], np.uint16)


@pytest.mark.parametrize("options", [{}, {"medoids": True}, {"space": "oklab"}, {"sort": "share"}])
def test_a_palette_is_that_of_the_picture_and_knows_its_error(options, monkeypatch):
    monkeypatch.setattr("kmeans_fast.visible.PART", 100)
    found = kf.palette(PICTURE, 9, **options)
    painted = kf.quantize(PICTURE, 9, **{"sort": "luminance", **options})
    assert np.array_equal(found.colors, palette_of(painted))
    labels = np.asarray(painted)
    assert np.array_equal(np.sort(found.counts), np.sort(np.bincount(labels.reshape(-1)))) or (
        "medoids" in options
    )
    apart = np.asarray(painted.convert("RGB")).astype(int) - PICTURE
    assert found.mse == pytest.approx((apart**2).mean(), rel=1e-12)
    assert found.psnr == pytest.approx(10 * np.log10(255**2 / (apart**2).mean()), rel=1e-12)
    assert found.shares.sum() == pytest.approx(1.0) and found.n_transparent == 0
    again = kf.quantize(PICTURE, palette=found, space=options.get("space", "rgb"))
    assert np.array_equal(palette_of(again), found.colors)


def test_the_error_of_other_kinds_of_pictures():
    grey = kf.palette(PICTURE[..., :1], 3)
    painted = np.asarray(kf.quantize(PICTURE[..., :1], 3).convert("RGB"))[..., :1]
    assert grey.mse == pytest.approx(((painted.astype(int) - PICTURE[..., :1]) ** 2).mean())
    deep = kf.palette(GREY, 2)
    assert deep.hex == ["#323232", "#ffffff"] or deep.hex[0] == "#212121"
    error = [(deep.colors[np.abs(deep.colors[:, 0] - v / 257).argmin(), 0] - v / 257) ** 2
             for v in GREY.ravel().tolist()]  # fmt: skip
    assert deep.mse == pytest.approx(np.mean(error))
    seen = np.dstack([PICTURE, np.full(PICTURE.shape[:2], 255, np.uint8)])
    seen[:5, :, 3], seen[5:9, :, 3] = 0, 100
    mixed = kf.palette(seen, 6)
    assert mixed.n_transparent == 5 * 30 and mixed.counts.sum() == 15 * 30
    assert mixed.colors.shape == (6, 4) and any(len(digits) == 9 for digits in mixed.hex)
    painted = np.asarray(kf.quantize(seen, 6).convert("RGBA"))[5:]
    apart = premultiplied(painted) - premultiplied(seen[5:])
    assert mixed.mse == pytest.approx((apart**2).mean())


def test_darkest_first_is_what_the_eye_says():
    """The red has an L* of 43, the brown one of 26; by gamma-encoded values it was the darker."""
    red, brown = (200, 0, 0), (70, 60, 50)
    assert np.dot(red, [0.2126, 0.7152, 0.0722]) < np.dot(brown, [0.2126, 0.7152, 0.0722])
    picture = np.array([[red, brown]], np.uint8)
    assert list(kf.palette(picture, 2)) == [brown, red]
    assert np.array_equal(palette_of(kf.quantize(picture, 2, sort="luminance")), [brown, red])


def palette(*colors):
    return kf.palette(np.array([colors], np.uint8), len(colors))


def test_names_are_of_the_nearest_css_colors():
    css = {"rebeccapurple": "#663399", "gray": "#808080", "cyan": "#00ffff", "black": "#000000"}
    for name, digits in css.items():
        color = bytes.fromhex(digits[1:])
        assert palette(tuple(color)).names == [name]
    assert palette((35, 14, 15)).names == ["black"]  # and not midnightblue
    found = kf.palette(PICTURE, 12)
    for color, name in zip(found.colors, found.names, strict=True):
        own, named = kf.spaces.to_oklab([color, ImageColor.getrgb(name)]) * [1, 2, 2]
        every = [ImageColor.getrgb(each) for each in ImageColor.colormap]
        every = kf.spaces.to_oklab(every) * [1, 2, 2]
        least = ((every - own) ** 2).sum(axis=1).min()
        assert ((named - own) ** 2).sum() == pytest.approx(least)


def test_text_formats():
    found = palette((255, 0, 0), (0, 0, 0), (0, 0, 0), (255, 255, 255))
    assert found.to_hex() == "#000000\n#ff0000\n#ffffff\n"
    assert found.to_css("my-brand").splitlines() == [
        ":root {",
        "  --my-brand-1: #000000; /* black, 50.0% */",
        "  --my-brand-2: #ff0000; /* red, 25.0% */",
        "  --my-brand-3: #ffffff; /* white, 25.0% */",
        "}",
    ]
    head = ["GIMP Palette", "Name: two lines", "Columns: 8", "#"]
    rows = ["  0   0   0\tblack", "255   0   0\tred", "255 255 255\twhite"]
    assert found.to_gpl("two\nlines").splitlines() == head + rows
    GimpPaletteFile(io.BytesIO(found.to_gpl().encode()))  # complains of what it does not know
    for prefix in ("", "a b", "a;b"):
        with pytest.raises(ValueError, match="is no name in CSS"):
            found.to_css(prefix)
    about = json.loads(found.to_json(picture="a.png"))
    assert list(about) == ["picture", "pixels", "transparent", "mse", "psnr", "colors"]
    assert about["colors"][1]["name"] == "red" and about["psnr"] is None


def test_ase_as_others_read_it():
    data = palette((255, 0, 0), (51, 102, 153)).to_ase("mine")
    signature, major, minor, n_blocks = struct.unpack_from(">4sHHL", data)
    assert (signature, major, minor) == (b"ASEF", 1, 0)
    at, found = 12, []
    for _ in range(n_blocks):
        kind, size = struct.unpack_from(">HL", data, at)
        block, at = data[at + 6 : at + 6 + size], at + 6 + size
        if kind == 0xC002:
            found.append((kind,))
            assert block == b""
            continue
        (length,) = struct.unpack_from(">H", block)
        name = block[2 : 2 + 2 * length].decode("utf-16-be")
        assert name.endswith("\0")
        rest = block[2 + 2 * length :]
        found.append((kind, name[:-1], rest if kind == 0xC001 else struct.unpack(">4s3fH", rest)))
    assert at == len(data)
    assert [block[:2] for block in found] == [
        (0xC001, "mine"), (1, "steelblue #336699"), (1, "red #ff0000"), (0xC002,)
    ]  # fmt: skip
    assert found[0][2] == b""
    assert found[1][2][0] == b"RGB " and found[1][2][4] == 2
    assert found[1][2][1:4] == pytest.approx([0.2, 0.4, 0.6])
    assert found[2][2][1:4] == (1.0, 0.0, 0.0)


def test_aco_as_others_read_it():
    data = palette((255, 0, 0), (51, 102, 153)).to_aco()
    at, sections = 0, []
    for version in (1, 2):
        found, n_colors = struct.unpack_from(">HH", data, at)
        assert (found, n_colors) == (version, 2)
        at += 4
        for _ in range(n_colors):
            space, *values = struct.unpack_from(">5H", data, at)
            at += 10
            name = None
            if version == 2:
                (length,) = struct.unpack_from(">L", data, at)
                name = data[at + 4 : at + 4 + 2 * length].decode("utf-16-be")
                at += 4 + 2 * length
            sections.append((version, space, *values, name))
    assert at == len(data)
    blue, red = (0, 257 * 51, 257 * 102, 257 * 153, 0), (0, 65535, 0, 0, 0)
    assert sections == [
        (1, *blue, None), (1, *red, None), (2, *blue, "steelblue #336699\0"),
        (2, *red, "red #ff0000\0"),
    ]  # fmt: skip


@pytest.mark.parametrize("kind", ["css", "gpl", "ase", "aco", "hex", "json", "png", "webp"])
def test_a_palette_is_saved_by_its_suffix(folder, kind):
    found = kf.palette(PICTURE, 4)
    found.save(f"own.{kind.upper()}")
    written = (folder / f"own.{kind.upper()}").read_bytes()
    if kind in kf.palettes.WRITERS:
        data = kf.palettes.WRITERS[kind](found)
        assert written == (data if isinstance(data, bytes) else data.encode())
    else:
        assert np.array_equal(Image.open(io.BytesIO(written)), found.swatch())


def test_what_a_palette_cannot_be_saved_as(folder):
    found = kf.palette(PICTURE, 4)
    with pytest.raises(ValueError, match=r"own.svg: unknown suffix '.svg'"):
        found.save("own.svg")
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        found.save("none/own.css")
    nothing = kf.palette(np.zeros((3, 3, 4), np.uint8), 4)
    assert (len(nothing), nothing.n_transparent, nothing.mse, nothing.hex) == (0, 9, 0.0, [])
    assert nothing.to_css() == ":root {\n}\n" and "index" in str(nothing)
    assert nothing._repr_html_() and nothing.to_aco() == bytes([0, 1, 0, 0, 0, 2, 0, 0])
    with pytest.raises(ValueError, match="every pixel is transparent"):
        nothing.save("own.png")
    assert os.listdir() == []
    with pytest.raises(ValueError, match="sort=None is unknown; give one of luminance, share"):
        kf.palette(PICTURE, sort=None)
    with pytest.raises(ValueError, match="n_colors=0"):
        kf.palette(PICTURE, 0)


def test_the_swatch_has_every_color_and_is_labelled():
    found = kf.palette(PICTURE, 11)
    swatch = np.asarray(found.swatch())
    assert swatch.shape == (2 * 96, 8 * 96, 3)
    for at, color in enumerate(found):
        square = swatch[96 * (at // 8) :, 96 * (at % 8) :][:96, :96]
        assert (square[:60] == color).all()
        label = (square[66:92] != color).any(axis=2)
        assert 100 < label.sum() < 1200 and not label[:, :4].any()
        assert np.abs(square[66:92].astype(int) - color).max() > 100
    assert (swatch[96:, 3 * 96 :] == 255).all()
    clear = np.full((4, 4, 4), (250, 0, 0, 102), np.uint8)
    one = kf.palette(clear, 1).swatch()
    assert one.mode == "RGBA" and one.getpixel((5, 5)) == (250, 0, 0, 102)


def test_notebooks_draw_palettes_and_results():
    found, result = kf.palette(PICTURE, 5), kf.fit(PICTURE, 5, refine=1)
    for drawn in (found._repr_html_(), result._repr_html_()):
        for digits in found.hex:
            assert drawn.count(f"{digits}<br>") == 1
            assert f"linear-gradient({digits},{digits})" in drawn
    for share in found.shares:
        assert f"<br>{share:.1%}</div>" in found._repr_html_()
    assert found.names[0] in found._repr_html_()
    assert f"5 clusters in 3 dimensions, inertia {result.inertia:,.6g}, " in result._repr_html_()
    assert repr(found) == f"Palette({', '.join(found.hex)})"
    for points in (np.arange(8.0).reshape(4, 2), PICTURE[..., :2]):
        assert "linear" not in kf.fit(points, 2)._repr_html_()
    assert kf.fit(GREY[..., None], 2)._repr_html_().count("linear") == 2
