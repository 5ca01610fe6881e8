"""The command line: what it writes, prints and returns, and how it fails."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import kmeans_fast as kf
from kmeans_fast import cli
from kmeans_fast.cli.messages import saying_that_it_compiles
from kmeans_fast.pictures.reading import open_image

from .pictures import rgb_profile

Array = NDArray[Any]
# What cannot be printed is found when it is flushed, and must not be found again at the end.
BUFFERED = os.environ | {"PYTHONUNBUFFERED": ""}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, with pictures a.png, b.png and c.png in it, and an empty folder out."""
    monkeypatch.chdir(tmp_path)
    for seed, name in enumerate("abc"):
        pixels = np.random.default_rng(seed).integers(0, 256, (20, 30, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(f"{name}.png")
    os.mkdir("out")
    return tmp_path


@pytest.fixture
def fails(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Run the command line, which must fail with one line; return that line."""

    def run(*arguments: str) -> str:
        before = {path for path, _, _ in os.walk(".")} | set(os.listdir("."))
        assert cli.main(arguments) == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert err.startswith("kmeans-fast: error: ") and err.count("\n") == 1
        assert {path for path, _, _ in os.walk(".")} | set(os.listdir(".")) == before
        return err

    return run


def used_colors(path: str) -> set[tuple[int, ...]]:
    pixels = open_image(path)
    return set(map(tuple, pixels.reshape(-1, pixels.shape[2]).tolist()))


# ---------------------------------------------------------------------------- quantize


def test_one_picture_is_written_with_the_colors_that_fit_finds(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cli.main(["quantize", "a.png", "-k", "5", "-o", "result.png"])
    capsys.readouterr()  # the first run may have said that it compiles
    assert cli.main(["quantize", "a.png", "-k", "5", "-o", "result.png", "--force"]) == 0
    expected = kf.fit(open_image("a.png"), 5)
    with Image.open("result.png") as image:
        assert image.mode == "P"
        assert image.getpalette() == expected.palette.reshape(-1).tolist()
        assert np.array_equal(np.asarray(image), expected.labels)
    assert capsys.readouterr() == ("", "")


def test_a_folder_as_output_takes_the_name_of_the_picture(folder: Path) -> None:
    assert cli.main(["quantize", "a.png", "-k", "5", "-o", "out"]) == 0
    assert os.listdir("out") == ["a.png"]


def test_many_pictures_are_written_to_a_folder_each_with_its_own_palette(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["quantize", "a.png", "b.png", "c.png", "-k", "4", "-o", "out"]) == 0
    assert sorted(os.listdir("out")) == ["a.png", "b.png", "c.png"]
    for name in "abc":
        expected = kf.fit(open_image(f"{name}.png"), 4).recolor()
        assert np.array_equal(open_image(f"out/{name}.png"), expected)
    assert capsys.readouterr() == ("", "")  # no progress where nobody watches


def test_progress_is_shown_on_a_terminal_only(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    assert cli.main(["quantize", "a.png", "b.png", "-k", "2", "-o", "out"]) == 0
    assert capsys.readouterr() == ("", "[1/2] a.png\n[2/2] b.png\n")


def test_shared_gives_all_pictures_the_palette_of_all_their_pixels(folder: Path) -> None:
    Image.open("b.png").convert("L").save("b.png")  # kinds may differ
    assert cli.main(["quantize", "a.png", "b.png", "-k", "6", "--shared", "-o", "out"]) == 0
    grey = open_image("b.png").repeat(3, axis=2)
    both = np.concatenate([open_image("a.png"), grey])
    expected = kf.fit(both, 6).recolor()
    assert np.array_equal(open_image("out/a.png"), expected[:20])
    assert np.array_equal(open_image("out/b.png"), expected[20:])
    with Image.open("out/a.png") as a, Image.open("out/b.png") as b:
        assert a.getpalette() == b.getpalette()


@pytest.mark.parametrize("alpha", [0, 100])
def test_shared_pictures_may_differ_in_transparency(folder: Path, alpha: int) -> None:
    pixels = np.dstack([open_image("b.png"), np.full((20, 30), 255, np.uint8)])
    pixels[:, :15, 3] = alpha
    Image.fromarray(pixels).save("b.png")
    assert cli.main(["quantize", "a.png", "b.png", "-k", "256", "--shared", "-o", "out"]) == 0
    written = open_image("out/b.png")
    assert (written[:, 15:, 3] > 200).all()
    if alpha == 0:
        assert (written[:, :15, 3] == 0).all()
        seen = np.concatenate(
            [open_image("a.png").reshape(-1, 3), pixels[:, 15:, :3].reshape(-1, 3)]
        )
        expected = kf.fit(seen, 255).recolor()
        assert np.array_equal(open_image("out/a.png").reshape(-1, 3), expected[:600])
    else:
        assert (np.abs(written[:, :15, 3].astype(int) - 100) < 100).all()


def test_options_reach_the_fit(folder: Path) -> None:
    options = ["--seed", "7", "--max-iter", "1", "--threads", "1"]
    assert cli.main(["quantize", "a.png", "-k", "5", "-o", "result.png", *options]) == 0
    expected = kf.fit(open_image("a.png"), 5, random_state=7, max_iter=1)
    assert np.array_equal(open_image("result.png"), expected.recolor())


def test_dither_uses_the_same_colors(folder: Path) -> None:
    assert cli.main(["quantize", "a.png", "-k", "5", "-o", "plain.png"]) == 0
    assert cli.main(["quantize", "a.png", "-k", "5", "--dither", "-o", "dithered.gif"]) == 0
    assert used_colors("dithered.gif") == used_colors("plain.png")
    assert not np.array_equal(open_image("dithered.gif"), open_image("plain.png"))


def test_more_than_256_colors_are_written_in_full(folder: Path) -> None:
    assert cli.main(["quantize", "a.png", "-k", "300", "-o", "result.png"]) == 0
    assert np.array_equal(open_image("result.png"), kf.fit(open_image("a.png"), 300).recolor())


def test_one_bad_picture_does_not_stop_the_others(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "b.png").write_bytes(b"no picture")
    for shared in ([], ["--shared"]):
        pictures = ["a.png", "b.png", "none.png", "c.png"]
        assert cli.main(["quantize", *pictures, "-k", "3", "-o", "out", "--force", *shared]) == 2
        assert sorted(os.listdir("out")) == ["a.png", "c.png"]
        out, err = capsys.readouterr()
        assert out == ""
        assert err.splitlines() == [
            "kmeans-fast: error: b.png: not a picture in a format that Pillow reads",
            "kmeans-fast: error: none.png: No such file or directory",
        ]


def test_max_pixels_refuses_and_0_lifts_the_limit(folder: Path, fails: Callable[..., str]) -> None:
    arguments = ["quantize", "a.png", "-k", "3", "-o", "result.png", "--force", "--max-pixels"]
    assert "a.png: 30 x 20 pixels are more than max_pixels=599" in fails(*arguments, "599")
    assert cli.main([*arguments, "600"]) == 0
    assert cli.main([*arguments, "0"]) == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["a.png", "-k", "3", "-o", "x.xyz"], "x.xyz: unknown suffix '.xyz'; use one of .png"),
        (["a.png", "-k", "3", "-o", "none/x.png"], "none/x.png: there is no folder"),
        (["a.png", "b.png", "-k", "3", "-o", "x.png"], "x.png: is not a folder; make it first"),
        (["a.png", "b.png", "-k", "3", "-o", "none"], "none: is not a folder; make it first"),
        (["a.png", "a.png", "-k", "3", "-o", "out"], "would both be written to out/a.png"),
        (["a.png", "b.png", "-k", "3", "-o", "."], "a.png is one of the pictures to read"),
        (["a.png", "-k", "300", "-o", "x.gif"], "x.gif: .gif holds 256 colours at most"),
        (["a.png", "-k", "300", "--dither", "-o", "x.png"], "--dither works with at most 256"),
        (["a.png", "-k", "0", "-o", "x.png"], "argument -k/--colors: 0 is less than 1"),
        (["a.png", "-k", "two", "-o", "x.png"], "'two' is not a whole number"),
        (["a.png", "-k", "3", "-o", "x.png", "--threads", "0"], "--threads: 0 is less than 1"),
        (["a.png", "-o", "x.png"], "required: -k/--colors (see kmeans-fast quantize --help)"),
        (["a.png", "-k", "3"], "required: -o/--output"),
        (["a.png", "-k", "3", "-o", "x.png", "--fast"], "unrecognized arguments: --fast"),
    ],
)
def test_wrong_usage_is_one_line_before_any_work(
    folder: Path,
    fails: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.setattr(
        "kmeans_fast.pictures.reading.read_picture", lambda *_, **__: pytest.fail("worked")
    )
    assert message in fails("quantize", *arguments)


def test_a_picture_that_the_format_cannot_hold_leaves_nothing(
    folder: Path, fails: Callable[..., str]
) -> None:
    Image.new("RGBA", (3, 3)).save("clear.png")
    message = fails("quantize", "clear.png", "-k", "3", "-o", "x.jpg")
    assert "x.jpg: JPEG cannot hold transparent pixels; write .png instead" in message


def test_a_failed_write_leaves_the_old_file(
    folder: Path, fails: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "x.png").write_bytes(b"before")

    def fail(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    command = ["quantize", "a.png", "-k", "3", "-o", "x.png", "--force"]
    assert "x.png: cannot be written" in fails(*command)
    assert (folder / "x.png").read_bytes() == b"before"


# ---------------------------------------------------------------------------- palette


@pytest.fixture
def stripes(folder: Path) -> Path:
    """Six colours in known shares; a sixteenth of the picture is transparent."""
    pixels = np.zeros((16, 16, 4), np.uint8)
    pixels[..., 3] = 255
    for row, color in enumerate([(250, 240, 0), (0, 0, 90), (200, 0, 0)]):
        pixels[row, :, :3] = color
    pixels[3:15, :, :3] = 10, 20, 30
    pixels[15] = 9, 9, 9, 0
    Image.fromarray(pixels).save(folder / "stripes.png")
    return folder / "stripes.png"


def test_the_palette_lists_the_colors_darkest_first(
    stripes: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["palette", "stripes.png", "-k", "4"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert [line.split() for line in out.splitlines()] == [
        ["index", "hex", "R", "G", "B", "share", "%"],
        ["0", "#00005a", "0", "0", "90", "6.667"],
        ["1", "#0a141e", "10", "20", "30", "80.000"],
        ["2", "#c80000", "200", "0", "0", "6.667"],
        ["3", "#faf000", "250", "240", "0", "6.667"],
    ]


def test_the_palette_lists_the_largest_share_first_on_request_and_as_json(
    stripes: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["palette", "stripes.png", "-k", "9", "--sort", "share", "--json"]
    assert cli.main(arguments) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["picture"] == "stripes.png"
    assert (answer["pixels"], answer["transparent"]) == (240, 16)
    assert [color["hex"] for color in answer["colors"]] == [
        "#0a141e",
        "#00005a",
        "#c80000",
        "#faf000",
    ]
    assert answer["colors"][0] == {
        "hex": "#0a141e",
        "rgb": [10, 20, 30],
        "alpha": 255,
        "pixels": 192,
        "share": 80.0,
    }


def test_translucent_colors_show_their_alpha(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.new("RGBA", (4, 4), (1, 2, 3, 128)).save("glass.png")
    assert cli.main(["palette", "glass.png", "-k", "2", "--json"]) == 0
    (color,) = json.loads(capsys.readouterr().out)["colors"]
    assert color["hex"] == "#01020380" and color["alpha"] == 128


def test_16_bit_grey_has_a_palette_of_8_bits(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.fromarray(np.array([[0, 65535], [257 * 100, 0]], np.uint16)).save("grey.png")
    assert cli.main(["palette", "grey.png", "-k", "3", "--json"]) == 0
    colors = json.loads(capsys.readouterr().out)["colors"]
    assert [color["hex"] for color in colors] == ["#000000", "#646464", "#ffffff"]


def test_the_swatch_shows_the_colors_in_order(
    stripes: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["palette", "stripes.png", "-k", "4", "-o", "swatch.png"]) == 0
    swatch = open_image("swatch.png")
    assert swatch.shape == (64, 4 * 64, 3)
    middles = swatch[32, 32::64].tolist()
    assert middles == [[0, 0, 90], [10, 20, 30], [200, 0, 0], [250, 240, 0]]


def test_a_picture_without_a_visible_pixel_has_an_empty_palette(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.new("RGBA", (4, 4)).save("clear.png")
    assert cli.main(["palette", "clear.png", "-k", "2", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["colors"] == []
    assert cli.main(["palette", "clear.png", "-k", "2", "-o", "swatch.png"]) == 2
    assert "every pixel is transparent" in capsys.readouterr().err
    assert not os.path.exists("swatch.png")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none.png", "-k", "3"], "none.png: No such file or directory"),
        (["a.png", "-k", "3", "-o", "swatch"], "swatch: unknown suffix ''"),
        (["a.png", "-k", "3", "--sort", "hue"], "invalid choice: 'hue'"),
        (["out", "-k", "3"], "out: is a folder without pictures"),
    ],
)
def test_palette_fails_with_one_line(
    folder: Path, fails: Callable[..., str], arguments: list[str], message: str
) -> None:
    assert message in fails("palette", *arguments)


# ---------------------------------------------------------------------------- folders, tiles


def test_a_folder_has_one_palette(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pixels = [open_image(f"{name}.png") for name in "abc"]
    pixels[1] = pixels[1][..., :1].repeat(3, axis=2)
    Image.fromarray(pixels[1][..., 0] * np.uint16(257)).save("b.png")  # kinds may differ
    assert cli.main(["palette", ".", "-k", "4", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    expected = kf.fit(np.concatenate(pixels), 4)
    assert (answer["picture"], answer["pixels"], answer["transparent"]) == (".", 1800, 0)
    assert sorted(color["rgb"] for color in answer["colors"]) == sorted(expected.palette.tolist())


def test_a_folder_stands_for_its_pictures(folder: Path, fails: Callable[..., str]) -> None:
    os.mkdir("in")
    for name in "ab":
        os.rename(f"{name}.png", f"in/{name}.png")
    Path("in/notes.txt").write_text("no picture")
    np.save("in/d.npy", open_image("c.png"))
    assert cli.main(["quantize", "in", "c.png", "-k", "4", "-o", "out"]) == 0
    assert sorted(os.listdir("out")) == ["a.png", "b.png", "c.png", "d.png"]
    assert np.array_equal(open_image("out/c.png"), open_image("out/d.png"))
    os.remove("in/d.npy")
    assert np.array_equal(open_image("out/b.png"), kf.fit(open_image("in/b.png"), 4).recolor())
    assert cli.main(["quantize", "in", "-k", "4", "--shared", "-o", "out", "--force"]) == 0
    both = np.concatenate([open_image("in/a.png"), open_image("in/b.png")])
    assert np.array_equal(open_image("out/b.png"), kf.fit(both, 4).recolor()[20:])
    assert "x.png: is not a folder" in fails("quantize", "in", "-k", "4", "-o", "x.png")
    assert "in/a.png is one of the" in fails("quantize", "in", "-k", "4", "-o", "in")
    os.mkdir("empty")
    assert "empty: is a folder without pictures" in fails(
        "quantize", "empty", "-k", "4", "-o", "out"
    )


@pytest.fixture
def large(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Array:
    """A TIFF large.tif that is read and written in tiles."""
    monkeypatch.setattr("kmeans_fast.pictures.tiles.TILE_PIXELS", 500)
    monkeypatch.setattr("kmeans_fast.cli.commands.TILED", 1000)
    pixels = np.random.default_rng(9).integers(0, 256, (60, 50, 3), dtype=np.uint8)
    save = {"compression": "tiff_lzw", "strip_size": 1000, "dpi": (72, 72)}
    Image.fromarray(pixels).save("large.tif", icc_profile=RGB_PROFILE, **save)
    return pixels


RGB_PROFILE = rgb_profile("sRGB")


@pytest.mark.parametrize("k", [5, 300])
def test_a_large_tiff_is_written_as_it_would_be_whole(large: Array, k: int) -> None:
    assert cli.main(["quantize", "large.tif", "-k", str(k), "-o", "result.tif"]) == 0
    expected = kf.fit(large, k)
    with Image.open("result.tif") as image:
        assert image.mode == ("P" if k <= 256 else "RGB")
        assert image.info["icc_profile"] == RGB_PROFILE and image.info["dpi"] == (72, 72)
        assert image.info["compression"] == "raw"
        if k <= 256:
            assert np.array_equal(np.asarray(image), expected.labels)
    assert np.array_equal(open_image("result.tif"), expected.recolor())


def test_a_large_tiff_keeps_what_is_transparent(large: Array) -> None:
    pixels = np.dstack([large, np.full((60, 50), 255, np.uint8)])
    pixels[40:45, :7, 3] = 0
    Image.fromarray(pixels).save("large.tif", strip_size=1000)
    assert cli.main(["quantize", "large.tif", "-k", "4", "-o", "result.tif"]) == 0
    assert cli.main(["quantize", "large.tif", "-k", "4", "-o", "result.png"]) == 0
    written = open_image("result.tif")
    assert np.array_equal(written[..., 3], pixels[..., 3])
    assert np.array_equal(written, open_image("result.png"))


def test_a_large_tiff_shares_a_palette(large: Array) -> None:
    assert cli.main(["quantize", "large.tif", "a.png", "-k", "6", "--shared", "-o", "out"]) == 0
    both = np.concatenate([large.reshape(-1, 3), open_image("a.png").reshape(-1, 3)])
    expected = kf.fit(both, 6).recolor()
    assert np.array_equal(open_image("out/large.png").reshape(-1, 3), expected[:3000])
    assert cli.main(["quantize", "large.tif", "-k", "6", "--shared", "-o", "result.tif"]) == 0
    assert np.array_equal(open_image("result.tif"), kf.fit(large, 6).recolor())


def test_the_palette_of_a_large_tiff_is_that_of_the_whole(
    large: Array, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["palette", "large.tif", "-k", "5", "--json"]) == 0
    colors = json.loads(capsys.readouterr().out)["colors"]
    assert sorted(c["rgb"] for c in colors) == sorted(kf.fit(large, 5).palette.tolist())


def test_tiles_need_no_limit_but_have_the_one_that_is_given(
    large: Array,
    fails: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    command = ["quantize", "large.tif", "-k", "3", "-o"]
    message = "large.tif: 3000 pixels are more than max_pixels=2999"
    assert message in fails(*command, "x.tif", "--max-pixels", "2999")
    assert message in fails("palette", "large.tif", "-k", "3", "--max-pixels", "2999")
    monkeypatch.setattr("kmeans_fast.pictures.reading.MAX_PIXELS", 2999)
    assert cli.main([*command, "x.tif"]) == 0
    assert cli.main(["palette", "large.tif", "-k", "3"]) == 0
    capsys.readouterr()
    for more in (["x.png"], ["y.tif", "--dither"], ["out"]):
        assert "large.tif: 3000 pixels, more than max_pixels=2999, are written to .tif only" in (
            fails(*command, *more)
        )
    assert cli.main(["quantize", "large.tif", "a.png", "-k", "3", "--shared", "-o", "out"]) == 2
    assert np.array_equal(open_image("out/a.png"), kf.fit(open_image("a.png"), 3).recolor())


def test_tiles_that_fail_or_are_interrupted_leave_nothing(
    large: Array,
    fails: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from kmeans_fast.pictures.tiff import TiffWriter

    command = ["quantize", "large.tif", "-k", "3", "-o", "x.tif", "--force"]
    Path("x.tif").write_bytes(b"before")

    def write(writer: TiffWriter, place: Any, pixels: Array) -> None:
        if place[0].start > 20:
            raise error
        original(writer, place, pixels)

    original = TiffWriter.write
    monkeypatch.setattr(TiffWriter, "write", write)
    error: BaseException = OSError(28, "No space left on device")
    assert "x.tif: cannot be written: [Errno 28] No space left" in fails(*command)
    error = KeyboardInterrupt()
    assert cli.main(command) == 130
    assert capsys.readouterr().err == "kmeans-fast: interrupted\n"
    assert Path("x.tif").read_bytes() == b"before"
    assert not [name for name in os.listdir(".") if name.endswith(".tmp")]


def test_progress_through_tiles_is_shown_on_a_terminal_only(
    large: Array, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ["quantize", "large.tif", "-k", "2", "-o", "x.tif", "--force"]
    assert cli.main(command) == 0
    assert capsys.readouterr() == ("", "")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    assert cli.main(command) == 0
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2 * 10 and lines[9] == "large.tif: counted 100 %"
    assert lines[-1] == "large.tif: written 100 %"


# ---------------------------------------------------------------------------- the rest


def test_info_shows_the_versions(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["info"]) == 0
    assert kf.__version__ in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments", [["--help"], ["quantize", "--help"], ["palette", "--help"], ["info", "--help"]]
)
def test_help_is_no_error(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(arguments) == 0
    out, err = capsys.readouterr()
    assert out.startswith("usage: kmeans-fast") and err == ""
    assert "info" in arguments or "examples:" in out


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"kmeans-fast {kf.__version__}\n"


@pytest.mark.parametrize("arguments", [[], ["paint"], ["--fast"]])
def test_a_command_is_required(arguments: list[str], fails: Callable[..., str]) -> None:
    assert "kmeans-fast --help" in fails(*arguments)


def test_compiling_is_announced_once_and_only_where_it_happens(
    capsys: pytest.CaptureFixture[str],
) -> None:
    from numba.core import event

    with saying_that_it_compiles():
        assert capsys.readouterr().err == ""
        for _ in range(3):
            with event.trigger_event("numba:compile"):
                pass
    with event.trigger_event("numba:compile"):
        pass
    message = "kmeans-fast: compiling the kernels for this machine, once (about 15 s)\n"
    assert capsys.readouterr() == ("", message)


def test_ctrl_c_ends_with_130_and_leaves_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Image.Image, "save", interrupt)
    assert cli.main(["quantize", "a.png", "b.png", "-k", "3", "-o", "out"]) == 130
    assert os.listdir("out") == []
    assert capsys.readouterr().err == "kmeans-fast: interrupted\n"


def test_running_out_of_memory_is_one_line(
    folder: Path, monkeypatch: pytest.MonkeyPatch, fails: Callable[..., str]
) -> None:
    def exhaust(*_: Any, **__: Any) -> None:
        raise MemoryError

    monkeypatch.setattr("kmeans_fast.painting.quantize", exhaust)
    assert "not enough memory" in fails("quantize", "a.png", "-k", "3", "-o", "x.png")


def test_python_m_is_the_same_command(folder: Path) -> None:
    command = [sys.executable, "-m", "kmeans_fast"]
    done = subprocess.run([*command, "palette", "a.png", "-k", "2"], capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.startswith("index")
    done = subprocess.run(
        [*command, "palette", "none.png", "-k", "2"], capture_output=True, text=True
    )
    assert done.returncode == 2
    assert done.stderr == "kmeans-fast: error: none.png: No such file or directory\n"


@pytest.mark.skipif(os.name == "nt", reason="pipes of POSIX")
def test_a_reader_that_has_seen_enough_is_no_error(folder: Path) -> None:
    command = [sys.executable, "-m", "kmeans_fast", "palette", "a.png", "-k", "100", "--json"]
    read, write = os.pipe()
    os.close(read)
    with open(write, "wb") as closed:
        done = subprocess.run(
            command, stdout=closed, stderr=subprocess.PIPE, text=True, env=BUFFERED
        )
    assert (done.returncode, done.stderr) == (0, "")


ALL_CLOSED = "0<&- 1>&- 2>&-"
QUANTIZE = ["quantize", "a.tif", "none.tif", "b.tif", "-k", "3", "-o", "out"]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /bin/sh and /dev/full")
@pytest.mark.parametrize(
    ("streams", "command", "status"),
    [
        (ALL_CLOSED, QUANTIZE, 2),
        ("2>&-", QUANTIZE, 2),
        ("1>&- 2>/dev/full", QUANTIZE, 2),
        (ALL_CLOSED, ["palette", "a.tif", "-k", "3", "-o", "out/swatch.png"], 0),
        ("1</dev/null 2</dev/null", ["palette", "a.tif", "-k", "3", "-o", "out/swatch.png"], 2),
        (ALL_CLOSED, ["explore", "a.tif", "-k", "3", "-o", "out/page.html"], 0),
    ],
)
def test_standard_streams_may_be_anything(
    folder: Path, streams: str, command: list[str], status: int
) -> None:
    """A picture that is opened must not take the place of a stream that is closed."""
    if command[0] == "explore":
        pytest.importorskip("plotly")
    for name in "ab":
        with Image.open(f"{name}.png") as image:
            image.save(f"{name}.tif", compression="tiff_lzw")  # by libtiff
    line = ["sh", "-c", f'exec "$0" "$@" {streams}', sys.executable, "-m", "kmeans_fast", *command]
    done = subprocess.run(line, capture_output=True, text=True, env=BUFFERED)
    assert (done.returncode, done.stdout, done.stderr) == (status, "", "")
    if command[0] == "quantize":
        expected = kf.fit(open_image("a.png"), 3).recolor()
        assert sorted(os.listdir("out")) == ["a.png", "b.png"]
        assert np.array_equal(open_image("out/a.png"), expected)
    elif command[0] == "palette":
        assert open_image("out/swatch.png").shape == (64, 192, 3)
    else:
        assert Path("out/page.html").read_text().endswith("</html>\n")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a disk that is full")
def test_what_cannot_be_printed_is_an_error_of_one_line(folder: Path) -> None:
    for command in (["palette", "a.png", "-k", "3"], ["--help"]):
        with open("/dev/full", "w") as full:
            done = subprocess.run(
                [sys.executable, "-m", "kmeans_fast", *command],
                stdout=full,
                stderr=subprocess.PIPE,
                text=True,
                env=BUFFERED,
            )
        assert done.returncode == 2
        assert done.stderr == "kmeans-fast: error: [Errno 28] No space left on device\n"


def test_python_may_have_no_streams(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    assert cli.main(["palette", "a.png", "-k", "3"]) == 0
    assert cli.main(["quantize", "a.png", "b.png", "-k", "3", "-o", "out"]) == 0
    assert cli.main(["palette", "none.png", "-k", "3"]) == cli.main(["--fast"]) == 2
    assert cli.main(["--help"]) == cli.main(["--version"]) == cli.main(["info"]) == 0
    kf.show_info()
    assert sys.stdout is sys.stderr is None
