"""The command line: what it writes, prints and returns, and how it fails."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numba
import numpy as np
import pytest
from PIL import Image

import kmeans_fast as kf
from kmeans_fast import cli
from kmeans_fast.cli.messages import saying_that_it_compiles
from kmeans_fast.painting import paint
from kmeans_fast.pictures.reading import open_image

from .pictures import colors_of, rgb_profile

# What cannot be printed is found when it is flushed, and must not be found again at the end.
BUFFERED = os.environ | {"PYTHONUNBUFFERED": ""}


@pytest.fixture
def folder(folder):
    """A folder to work in, with pictures a.png, b.png and c.png in it, and an empty folder out."""
    for seed, name in enumerate("abc"):
        pixels = np.random.default_rng(seed).integers(0, 256, (20, 30, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(f"{name}.png")
    os.mkdir("out")
    return folder


@pytest.fixture
def fails(capsys):
    """Run the command line, which must fail with one line; return that line."""

    def run(*arguments):
        before = {path for path, _, _ in os.walk(".")} | set(os.listdir("."))
        assert cli.main(arguments) == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert err.startswith("kmeans-fast: error: ") and err.count("\n") == 1
        assert {path for path, _, _ in os.walk(".")} | set(os.listdir(".")) == before
        return err

    return run


# ---------------------------------------------------------------------------- quantize


def test_pictures_are_written_to_a_folder_each_with_the_colors_that_fit_finds(folder, capsys):
    command = ["quantize", "a.png", "b.png", "c.png", "-k", "4", "-o", "out", "--force"]
    cli.main(command)
    capsys.readouterr()  # the first run may have said that it compiles
    assert cli.main(command) == 0
    assert capsys.readouterr() == ("", "")  # no progress where nobody watches
    assert sorted(os.listdir("out")) == ["a.png", "b.png", "c.png"]
    for name in "abc":
        expected = kf.fit(open_image(f"{name}.png"), 4, refine=1)
        with Image.open(f"out/{name}.png") as image:
            assert image.mode == "P"
            assert image.getpalette() == expected.palette.reshape(-1).tolist()
            assert np.array_equal(np.asarray(image), expected.labels)


def test_progress_is_shown_on_a_terminal(large, capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    assert cli.main(["quantize", "a.png", "b.png", "-k", "2", "-o", "out"]) == 0
    assert capsys.readouterr() == ("", "[1/2] a.png\n[2/2] b.png\n")
    assert cli.main(["quantize", "large.tif", "-k", "2", "-o", "x.tif"]) == 0
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2 * 10 and lines[9] == "large.tif: counted 100 %"
    assert lines[-1] == "large.tif: written 100 %"


def test_shared_gives_all_pictures_the_palette_of_all_their_pixels(folder):
    Image.open("b.png").convert("L").save("b.png")  # kinds may differ
    assert cli.main(["quantize", "a.png", "b.png", "-k", "6", "--shared", "-o", "out"]) == 0
    grey = open_image("b.png").repeat(3, axis=2)
    both = np.concatenate([open_image("a.png"), grey])
    expected = kf.fit(both, 6, refine=1).recolor()
    assert np.array_equal(open_image("out/a.png"), expected[:20])
    assert np.array_equal(open_image("out/b.png"), expected[20:])
    with Image.open("out/a.png") as a, Image.open("out/b.png") as b:
        assert a.getpalette() == b.getpalette()


@pytest.mark.parametrize("alpha", [0, 100])
def test_shared_pictures_may_differ_in_transparency(folder, alpha):
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
        expected = kf.fit(seen, 255, refine=1).recolor()
        assert np.array_equal(open_image("out/a.png").reshape(-1, 3), expected[:600])
    else:
        assert (np.abs(written[:, :15, 3].astype(int) - 100) < 100).all()


@pytest.mark.parametrize(
    ("k", "options", "given"),
    [
        (
            5,
            {"random_state": 7, "max_iter": 1},
            ["--seed", "7", "--max-iter", "1", "--threads", "1"],
        ),
        (300, {}, []),  # more than an indexed picture holds
    ],
)
def test_options_reach_the_fit_and_a_folder_takes_the_name(folder, k, options, given):
    assert cli.main(["quantize", "a.png", "-k", str(k), "-o", "out", "--threads", "1", *given]) == 0
    expected = kf.fit(open_image("a.png"), k, refine=1, **options)
    assert np.array_equal(open_image("out/a.png"), expected.recolor())


def test_dither_uses_the_same_colors(folder):
    assert cli.main(["quantize", "a.png", "-k", "5", "-o", "plain.png"]) == 0
    assert cli.main(["quantize", "a.png", "-k", "5", "--dither", "-o", "dithered.gif"]) == 0
    assert colors_of(open_image("dithered.gif")) == colors_of(open_image("plain.png"))
    assert not np.array_equal(open_image("dithered.gif"), open_image("plain.png"))


def test_one_bad_picture_does_not_stop_the_others(folder, capsys):
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


def test_max_pixels_refuses_and_0_lifts_the_limit(folder, fails):
    arguments = ["quantize", "a.png", "-k", "3", "-o", "result.png", "--force", "--max-pixels"]
    assert "a.png: 30 x 20 pixels are more than max_pixels=599" in fails(*arguments, "599")
    assert cli.main([*arguments, "600"]) == 0
    assert cli.main([*arguments, "0"]) == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("quantize a.png -k 3 -o x.xyz", "x.xyz: unknown suffix '.xyz'; use one of .png"),
        ("quantize a.png -k 3 -o none/x.png", "none/x.png: there is no folder"),
        ("quantize a.png b.png -k 3 -o x.png", "x.png: is not a folder; make it first"),
        ("quantize a.png b.png -k 3 -o none", "none: is not a folder; make it first"),
        ("quantize a.png a.png -k 3 -o out", "would both be written to out/a.png"),
        ("quantize a.png b.png -k 3 -o .", "a.png is one of the pictures to read"),
        ("quantize a.png -k 300 -o x.gif", "x.gif: .gif holds 256 colours at most"),
        ("quantize a.png -k 300 --dither -o x.png", "--dither works with at most 256"),
        ("quantize a.png -k 0 -o x.png", "argument -k/--colors: 0 is less than 1"),
        ("quantize a.png -k two -o x.png", "'two' is not a whole number"),
        ("quantize a.png -k 3 -o x.png --threads 0", "--threads: 0 is less than 1"),
        ("quantize -k 3 -o x.png", "required: PICTURE (see kmeans-fast quantize --help)"),
        ("quantize a.png --palette red -k 3", "--palette has its colours already"),
        ("quantize a.png --palette red --medoids", "--palette has its colours already"),
        ("quantize a.png --palette red,reddish", "palette holds 'reddish', which is no colour"),
        ("quantize a.png --palette a.png", "a.png: no line is a colour; write such as #ffd700"),
        ("quantize a.png --palette ,", "palette is empty"),
        ("quantize a.png -o x.png --suffix -s", "'-s' and --output x.png both name the file"),
        ("quantize a.png --suffix x/y", "--suffix 'x/y' holds a path; give a folder as --output"),
        ("quantize a.png --suffix .xyz", "a.xyz: unknown suffix '.xyz'; use one of .png"),
        ("quantize a.png --suffix .png", "a.png is one of the pictures to read"),
        ("quantize a.png --suffix", "argument --suffix: expected one argument"),
        ("quantize a.png -k 300 --suffix .gif", "a.gif: .gif holds 256 colours at most"),
        ("quantize a.png b.png -o -", "--output -: stdout takes one picture, not 2"),
        ("quantize - - -o out", "- is given twice, but stdin can be read once"),
        ("quantize - a.png", "-: stdin has no name to write beside; give --output"),
        ("quantize - --suffix -x", "-: stdin has no name to write beside; give --output"),
        ("palette a.png --format svg", "invalid choice: 'svg'"),
        ("palette a.png -o -", "-: unknown suffix ''; use one of"),
        ("quantize a.png -k 3 -o x.png --fast", "unrecognized arguments: --fast"),
        ("palette none.png -k 3", "none.png: No such file or directory"),
        ("palette a.png -k 3 -o swatch", "swatch: unknown suffix ''"),
        ("palette a.png -k 3 --sort hue", "invalid choice: 'hue'"),
        ("palette out -k 3", "out: is a folder without pictures"),
        ("explore a.png -o page.html -k 4-2", "the lower first"),
        ("explore a.png -o page.html -k x", "give such as 1-20"),
        ("explore a.png -o page.html -k 0", "give 1 to 4096"),
        ("explore a.png -o nowhere/page.html", "there is no folder"),
        ("explore a.png -o .", "is a folder"),
        ("paint", "kmeans-fast --help"),
        ("--fast", "kmeans-fast --help"),
    ],
)
def test_wrong_usage_is_one_line_before_any_work(folder, fails, monkeypatch, arguments, message):
    monkeypatch.setattr(
        "kmeans_fast.pictures.reading.read_picture", lambda *_, **__: pytest.fail("worked")
    )
    assert message in fails(*arguments.split())


# ---------------------------------------------------------------------------- palette


@pytest.fixture
def stripes(folder):
    """Six colours in known shares; a sixteenth of the picture is transparent."""
    pixels = np.zeros((16, 16, 4), np.uint8)
    pixels[..., 3] = 255
    for row, color in enumerate([(250, 240, 0), (0, 0, 90), (200, 0, 0)]):
        pixels[row, :, :3] = color
    pixels[3:15, :, :3] = 10, 20, 30
    pixels[15] = 9, 9, 9, 0
    Image.fromarray(pixels).save(folder / "stripes.png")
    return folder / "stripes.png"


def test_the_palette_lists_and_draws_the_colors_darkest_first(stripes, capsys):
    assert cli.main(["palette", "stripes.png", "-k", "4", "-o", "swatch.png"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert [line.split() for line in out.splitlines()] == [
        ["index", "hex", "R", "G", "B", "share", "%", "name"],
        ["0", "#0a141e", "10", "20", "30", "80.000", "black"],
        ["1", "#00005a", "0", "0", "90", "6.667", "midnightblue"],
        ["2", "#c80000", "200", "0", "0", "6.667", "firebrick"],
        ["3", "#faf000", "250", "240", "0", "6.667", "yellow"],
    ]
    swatch = open_image("swatch.png")
    assert swatch.shape == (96, 4 * 96, 3)
    middles = swatch[32, 48::96].tolist()
    assert middles == [[10, 20, 30], [0, 0, 90], [200, 0, 0], [250, 240, 0]]


def test_the_palette_lists_the_largest_share_first_on_request_and_as_json(stripes, capsys):
    arguments = ["palette", "stripes.png", "-k", "9", "--sort", "share", "--json"]
    assert cli.main(arguments) == 0
    answer = json.loads(capsys.readouterr().out)
    colors = answer.pop("colors")
    about = {"picture": "stripes.png", "pixels": 240, "transparent": 16, "mse": 0, "psnr": None}
    assert answer == about
    hexes = [color["hex"] for color in colors]
    assert hexes == ["#0a141e", "#00005a", "#c80000", "#faf000"]
    first = {"hex": "#0a141e", "name": "black", "rgb": [10, 20, 30], "alpha": 255}
    assert colors[0] == first | {"pixels": 192, "share": 80.0}


@pytest.mark.parametrize(
    ("pixels", "expected"),
    [
        (np.full((4, 4, 4), (1, 2, 3, 128), np.uint8), ["#01020380"]),
        (np.array([[0, 65535], [25700, 0]], np.uint16), ["#000000", "#646464", "#ffffff"]),
    ],
)
def test_colors_are_of_8_bits_and_show_their_alpha(folder, capsys, pixels, expected):
    Image.fromarray(pixels).save("some.png")
    assert cli.main(["palette", "some.png", "-k", "3", "--json"]) == 0
    colors = json.loads(capsys.readouterr().out)["colors"]
    assert [color["hex"] for color in colors] == expected
    assert colors[0]["alpha"] == (pixels[0, 0, 3] if pixels.ndim == 3 else 255)


def test_a_picture_without_a_visible_pixel_has_an_empty_palette(folder, capsys):
    Image.new("RGBA", (4, 4)).save("clear.png")
    assert cli.main(["palette", "clear.png", "-k", "2", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["colors"] == []
    assert cli.main(["palette", "clear.png", "-k", "2", "-o", "swatch.png"]) == 2
    assert "every pixel is transparent" in capsys.readouterr().err
    assert not os.path.exists("swatch.png")


# ---------------------------------------------------------------------------- folders, tiles


def test_a_folder_has_one_palette(folder, capsys):
    pixels = [open_image(f"{name}.png") for name in "abc"]
    pixels[1] = pixels[1][..., :1].repeat(3, axis=2)
    Image.fromarray(pixels[1][..., 0] * np.uint16(257)).save("b.png")  # kinds may differ
    assert cli.main(["palette", ".", "-k", "4", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    expected = kf.fit(np.concatenate(pixels), 4, refine=1)
    assert (answer["picture"], answer["pixels"], answer["transparent"]) == (".", 1800, 0)
    assert sorted(color["rgb"] for color in answer["colors"]) == sorted(expected.palette.tolist())


def test_a_folder_stands_for_its_pictures(folder, fails):
    os.mkdir("in")
    for name in "ab":
        os.rename(f"{name}.png", f"in/{name}.png")
    Path("in/notes.txt").write_text("no picture")
    np.save("in/d.npy", open_image("c.png"))
    assert cli.main(["quantize", "in", "c.png", "-k", "4", "-o", "out"]) == 0
    assert sorted(os.listdir("out")) == ["a.png", "b.png", "c.png", "d.png"]
    assert np.array_equal(open_image("out/c.png"), open_image("out/d.png"))
    os.remove("in/d.npy")
    alone = kf.fit(open_image("in/b.png"), 4, refine=1)
    assert np.array_equal(open_image("out/b.png"), alone.recolor())
    assert cli.main(["quantize", "in", "-k", "4", "--shared", "-o", "out", "--force"]) == 0
    both = np.concatenate([open_image("in/a.png"), open_image("in/b.png")])
    assert np.array_equal(open_image("out/b.png"), kf.fit(both, 4, refine=1).recolor()[20:])
    assert "x.png: is not a folder" in fails("quantize", "in", "-k", "4", "-o", "x.png")
    assert "in/a.png is one of the" in fails("quantize", "in", "-k", "4", "-o", "in")
    os.mkdir("empty")
    assert "empty: is a folder without pictures" in fails(
        "quantize", "empty", "-k", "4", "-o", "out"
    )


@pytest.fixture
def large(folder, monkeypatch):
    """A TIFF large.tif that is read and written in tiles."""
    monkeypatch.setattr("kmeans_fast.pictures.tiles.TILE_PIXELS", 500)
    monkeypatch.setattr("kmeans_fast.cli.commands.TILED", 1000)
    pixels = np.random.default_rng(9).integers(0, 256, (60, 50, 3), dtype=np.uint8)
    save = {"compression": "tiff_lzw", "strip_size": 1000, "dpi": (72, 72)}
    Image.fromarray(pixels).save("large.tif", icc_profile=RGB_PROFILE, **save)
    return pixels


RGB_PROFILE = rgb_profile("sRGB")


@pytest.mark.parametrize("k", [5, 300])
def test_a_large_tiff_is_written_as_it_would_be_whole(large, k):
    assert cli.main(["quantize", "large.tif", "-k", str(k), "-o", "result.tif"]) == 0
    expected = kf.fit(large, k, refine=1)
    with Image.open("result.tif") as image:
        assert image.mode == ("P" if k <= 256 else "RGB")
        assert image.info["icc_profile"] == RGB_PROFILE and image.info["dpi"] == (72, 72)
        assert image.info["compression"] == "raw"
        if k <= 256:
            assert np.array_equal(np.asarray(image), expected.labels)
    assert np.array_equal(open_image("result.tif"), expected.recolor())


def test_a_large_tiff_keeps_what_is_transparent(large):
    pixels = np.dstack([large, np.full((60, 50), 255, np.uint8)])
    pixels[40:45, :7, 3] = 0
    Image.fromarray(pixels).save("large.tif", strip_size=1000)
    assert cli.main(["quantize", "large.tif", "-k", "4", "-o", "result.tif"]) == 0
    assert cli.main(["quantize", "large.tif", "-k", "4", "-o", "result.png"]) == 0
    written = open_image("result.tif")
    assert np.array_equal(written[..., 3], pixels[..., 3])
    assert np.array_equal(written, open_image("result.png"))


def test_a_large_tiff_shares_a_palette(large, capsys):
    assert cli.main(["quantize", "large.tif", "a.png", "-k", "6", "--shared", "-o", "out"]) == 0
    both = np.concatenate([large.reshape(-1, 3), open_image("a.png").reshape(-1, 3)])
    expected = kf.fit(both, 6, refine=1).recolor()
    assert np.array_equal(open_image("out/large.png").reshape(-1, 3), expected[:3000])
    assert cli.main(["quantize", "large.tif", "-k", "6", "--shared", "-o", "result.tif"]) == 0
    alone = kf.fit(large, 6, refine=1)
    assert np.array_equal(open_image("result.tif"), alone.recolor())
    assert cli.main(["palette", "large.tif", "-k", "6", "--json"]) == 0
    colors = json.loads(capsys.readouterr().out)["colors"]
    assert sorted(color["rgb"] for color in colors) == sorted(alone.palette.tolist())


def test_tiles_need_no_limit_but_have_the_one_that_is_given(large, fails, monkeypatch, capsys):
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
    expected = kf.fit(open_image("a.png"), 3, refine=1).recolor()
    assert np.array_equal(open_image("out/a.png"), expected)


# ---------------------------------------------------------------------------- the rest


def test_version_and_info(capsys):
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"kmeans-fast {kf.__version__}\n"
    assert cli.main(["info"]) == 0
    assert kf.__version__ in capsys.readouterr().out


WITHOUT_WORK = """
import sys
from kmeans_fast import cli
for line, status in (
    ("--help", 0), ("--version", 0), ("quantize --help", 0), ("explore --help", 0), ("", 2),
    ("--fast", 2), ("palette", 2), ("quantize a.png -k 0 -o b.png", 2),
    ("quantize a.png -k 300 --dither -o b.png", 2),
):
    assert cli.main(line.split()) == status, line
heavy = {"numpy", "numba", "llvmlite", "PIL", "logging", "json", "shtab"} & sys.modules.keys()
assert not heavy, heavy
import kmeans_fast
from kmeans_fast import reference  # which is NumPy alone
assert "numba" not in sys.modules
from kmeans_fast import *
assert fit is kmeans_fast.fit and callable(explore) and reference is kmeans_fast.reference
assert set(kmeans_fast.__all__) <= set(globals())
assert "sklearn" not in sys.modules
"""


def test_what_needs_no_work_imports_nothing_heavy():
    command = [sys.executable, "-c", WITHOUT_WORK]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0 and done.stderr.count("kmeans-fast: error: ") == 4, done.stderr


def test_compiling_is_announced_once_and_only_where_it_happens(capsys, monkeypatch):
    from kmeans_fast.kernels import _compiled
    from kmeans_fast.kernels._jit import jit

    def add(a, b):
        return a + b

    add.__module__ = "kmeans_fast.kernels.somewhere"
    monkeypatch.setattr(_compiled, "compiled_here", [])
    with saying_that_it_compiles():
        numba.njit(lambda x: x + 1)(1)  # another's
        assert capsys.readouterr().err == ""
        for kind in (1, 1.0, 1j):
            jit(add, forceinline=True).dispatcher(kind, 1)  # what is kept nowhere
    assert _compiled.compiled_here == ["somewhere.add"] * 3
    line = "compiling kernels that there is no ready code for: this takes seconds"
    assert capsys.readouterr() == ("", f"kmeans-fast: {line}, once on this machine\n")


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (KeyboardInterrupt(), 130, "interrupted"),
        (MemoryError(), 2, "error: not enough memory for this picture"),
        (OSError(28, "No space"), 2, "error: x.tif: cannot be written: [Errno 28] No space"),
    ],
)
def test_what_stops_it_is_one_line_and_leaves_all_as_it_was(
    large, monkeypatch, capsys, error, status, line
):
    def stop_amid_the_tiles(*args, **options):
        painted.append(paint(*args, **options))
        if len(painted) > 2:
            raise error
        return painted[-1]

    painted = []
    monkeypatch.setattr("kmeans_fast.cli.commands.paint", stop_amid_the_tiles)
    Path("x.tif").write_bytes(b"before")
    before = os.listdir(".")
    assert cli.main(["quantize", "large.tif", "-k", "3", "-o", "x.tif", "--force"]) == status
    assert Path("x.tif").read_bytes() == b"before" and os.listdir(".") == before
    assert capsys.readouterr().err == f"kmeans-fast: {line}\n"


@pytest.mark.skipif(os.name == "nt", reason="pipes of POSIX")
def test_a_reader_that_has_seen_enough_is_no_error(folder):
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
        ("1>&- 2>/dev/full", QUANTIZE, 2),
        ("1</dev/null 2</dev/null", ["palette", "a.tif", "-k", "3", "-o", "out/swatch.png"], 2),
        (ALL_CLOSED, ["explore", "a.tif", "-k", "3", "-o", "out/page.html"], 0),
    ],
)
def test_standard_streams_may_be_anything(folder, streams, command, status):
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
        expected = kf.fit(open_image("a.png"), 3, refine=1).recolor()
        assert sorted(os.listdir("out")) == ["a.png", "b.png"]
        assert np.array_equal(open_image("out/a.png"), expected)
    elif command[0] == "palette":
        assert open_image("out/swatch.png").shape == (96, 288, 3)
    else:
        assert Path("out/page.html").read_text().endswith("</html>\n")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a disk that is full")
def test_what_cannot_be_printed_is_an_error_of_one_line(folder):
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


def test_python_may_have_no_streams(folder, monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    assert cli.main(["palette", "a.png", "-k", "3"]) == 0
    assert cli.main(["quantize", "a.png", "b.png", "-k", "3", "-o", "out"]) == 0
    assert cli.main(["palette", "none.png", "-k", "3"]) == cli.main(["--fast"]) == 2
    assert cli.main(["--help"]) == cli.main(["--version"]) == cli.main(["info"]) == 0
    kf.show_info()
    assert sys.stdout is sys.stderr is None
