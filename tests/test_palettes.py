"""Palettes that people bring, in the order they like, of colours that are there."""

import json

import numpy as np
import pytest
from PIL import Image

import kmeans_fast as kf
from kmeans_fast import cli
from kmeans_fast.painting import VisibleColors, in_order

from .pictures import colors_of

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
        ({}, TypeError, "takes n_colors, or a palette: give one of them"),
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
    result = kf.fit(picture, 6, space=space)
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
