"""Outputs of the command line by name, and pictures through stdin and stdout."""

import io
import json
import os
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

import kmeans_fast as kf
from kmeans_fast import cli

from .pictures import photograph

PICTURE = photograph(60, 80)
BUFFERED = os.environ | {"PYTHONUNBUFFERED": ""}


@pytest.fixture
def folder(folder):
    """A folder to work in, with photo.png, other.jpg and an empty folder out in it."""
    Image.fromarray(PICTURE).save("photo.png")
    Image.fromarray(PICTURE[::-1]).save("other.jpg")
    os.mkdir("out")
    return folder


@pytest.fixture
def stdin(monkeypatch):
    """Return a function that gives stdin some bytes."""

    def give(data, is_terminal=False):
        stream = SimpleNamespace(buffer=io.BytesIO(data), isatty=lambda: is_terminal)
        monkeypatch.setattr(sys, "stdin", stream)

    return give


def bytes_of(name):
    with open(name, "rb") as file:
        return file.read()


# ---------------------------------------------------------------------------- names


@pytest.mark.parametrize(
    ("arguments", "written"),
    [
        ("photo.png", ["photo-256.png"]),
        ("photo.png other.jpg -k 5", ["other-5.png", "photo-5.png"]),
        ("photo.png --suffix -small", ["photo-small.png"]),
        ("photo.png --suffix=.v2.GIF", ["photo.v2.GIF"]),
        ("other.jpg --suffix .webp", ["other.webp"]),
        ("other.jpg --palette red,#ff0", ["other-2.png"]),
        ("photo.png other.jpg -o out", ["out/other.png", "out/photo.png"]),
        ("photo.png other.jpg -o out --suffix -x.gif", ["out/other-x.gif", "out/photo-x.gif"]),
        ("out/../photo.png -k 3", ["photo-3.png"]),
    ],
)
def test_an_output_is_named_after_its_picture(folder, arguments, written, capsys):
    def files():
        return {os.path.relpath(os.path.join(path, name)) for path, _, names in os.walk(".")
                for name in names}  # fmt: skip

    before = files()
    assert cli.main(["quantize", *arguments.split()]) == 0
    assert capsys.readouterr().err == ""
    assert sorted(files() - before) == written
    for name in written:
        with Image.open(name) as image:
            assert image.size == (80, 60)


def test_an_output_that_is_there_stays(folder, capsys):
    (folder / "photo-256.png").write_bytes(b"mine")
    assert cli.main(["quantize", "photo.png"]) == 2
    line = "photo-256.png is there already; give another name, or --force"
    assert capsys.readouterr() == ("", f"kmeans-fast: error: {line}\n")
    assert bytes_of("photo-256.png") == b"mine"
    assert cli.main(["quantize", "photo.png", "--force"]) == 0
    expected = kf.fit(PICTURE, 256, refine=1).recolor()
    assert np.array_equal(kf.open_image("photo-256.png"), expected)


def test_two_pictures_of_one_name_are_told(folder, capsys):
    os.rename("other.jpg", "photo.jpg")
    assert cli.main(["quantize", "photo.png", "photo.jpg", "-k", "3"]) == 2
    assert "would both be written to photo-3.png" in capsys.readouterr().err


def test_what_would_be_no_smaller_is_not_written(folder, capsysbinary, stdin):
    Image.fromarray(PICTURE).quantize(4).save("tiny.png", optimize=True)
    command = ["quantize", "tiny.png", "photo.png", "--skip-if-larger", "-o", "out"]
    assert cli.main(command) == 98
    assert os.listdir("out") == ["photo.png"]
    out, err = capsysbinary.readouterr()
    size = os.path.getsize("tiny.png")
    assert out == b"" and err.count(b"\n") == 1
    assert err.startswith(b"kmeans-fast: tiny.png: not written, since ")
    assert err.endswith(b" bytes are no less than its %d\n" % size)
    assert os.path.getsize("out/photo.png") < os.path.getsize("photo.png")
    assert cli.main(["quantize", "none.png", *command[1:], "--force"]) == 2
    # Who reads stdout has a picture all the same.
    for source in ("tiny.png", "-"):
        stdin(bytes_of("tiny.png"))
        assert cli.main(["quantize", source, "--skip-if-larger", "-o", "-"]) == 98
        out, err = capsysbinary.readouterr()
        assert out == bytes_of("tiny.png") and b": not written, since " in err
    (folder / "out" / "tiny.png").write_bytes(b"mine")
    assert cli.main([*command, "--force"]) == 98
    assert bytes_of("out/tiny.png") == b"mine"


# ---------------------------------------------------------------------------- options of quantize


def test_order_and_medoids_and_a_palette_reach_the_picture(folder):
    def written(*arguments):
        assert cli.main(["quantize", "photo.png", *arguments, "-o", "x.png", "--force"]) == 0
        with Image.open("x.png") as image:
            return image.getpalette(), np.asarray(image).tolist()

    def expected(**options):
        image = kf.quantize(PICTURE, **options)
        return image.getpalette(), np.asarray(image).tolist()

    for sort in ("luminance", "share"):
        for shared in ([], ["--shared"]):
            found = written("-k", "6", "--sort", sort, "--medoids", *shared)
            assert found == expected(n_colors=6, sort=sort, medoids=True)
    palette = [(0, 0, 0), (200, 180, 120), (255, 255, 255)]
    (folder / "own.gpl").write_text(kf.palettes.Palette(
        np.array(palette, np.uint8), np.ones(3, np.int64), 0, 0.0).to_gpl())  # fmt: skip
    (folder / "own.hex").write_text("#000000\r\nc8b478\n\n  ffffff")
    for given in ("own.gpl", "own.hex", "#000,#c8b478, white"):
        for shared in ([], ["--shared"]):
            assert written("--palette", given, *shared) == expected(palette=palette)


def test_a_palette_of_too_many_colors_is_none_for_dithering(folder, capsys):
    (folder / "own.hex").write_text("\n".join(f"{at:06x}" for at in range(257)))
    command = ["quantize", "photo.png", "--palette", "own.hex"]
    assert cli.main([*command, "--dither"]) == 2
    assert "--palette of 257 colours is too many for --dither" in capsys.readouterr().err
    assert cli.main(command) == 0 and os.path.exists("photo-257.png")


# ---------------------------------------------------------------------------- stdin and stdout


def test_a_picture_comes_through_stdin_and_goes_to_stdout(folder, capsysbinary, stdin):
    for command in (["-", "-k", "4"], ["-", "-k", "4", "-o", "-"], ["photo.png", "-k4", "-o", "-"],
                    ["-", "-k", "4", "--shared", "-o", "-"]):  # fmt: skip
        stdin(bytes_of("photo.png"))
        assert cli.main(["quantize", *command]) == 0
        out, err = capsysbinary.readouterr()
        assert err == b""
        with Image.open(io.BytesIO(out)) as image:
            assert image.format == "PNG"
            assert np.array_equal(np.asarray(image), np.asarray(kf.quantize(PICTURE, 4)))
    stdin(bytes_of("photo.png"))
    assert cli.main(["quantize", "-", "other.jpg", "-k", "4", "-o", "out"]) == 0
    assert sorted(os.listdir("out")) == ["other.png", "stdin.png"]


def test_an_animation_goes_through_too(folder, capsysbinary, stdin):
    frames = [Image.fromarray(np.roll(PICTURE, shift, axis=1)) for shift in (0, 9, 20)]
    frames[0].save("in.webp", save_all=True, append_images=frames[1:], duration=70, lossless=True)
    stdin(bytes_of("in.webp"))
    assert cli.main(["quantize", "-", "-k", "4"]) == 0
    with Image.open(io.BytesIO(capsysbinary.readouterr().out)) as image:
        assert (image.format, image.n_frames) == ("PNG", 3)


def test_other_commands_read_stdin(folder, capsys, stdin):
    stdin(bytes_of("photo.png"))
    assert cli.main(["palette", "-", "-k", "3", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["picture"] == "-"
    assert [color["hex"] for color in answer["colors"]] == kf.palette(PICTURE, 3).hex
    pytest.importorskip("plotly")
    stdin(bytes_of("photo.png"))
    assert cli.main(["explore", "-", "-k", "3", "-o", "page.html"]) == 0
    assert "stdin" in (folder / "page.html").read_text()


@pytest.mark.parametrize(
    "command", [["quantize", "-"], ["palette", "-"], ["quantize", "--shared", "-"]]
)
@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "stdin: not a picture in a format that Pillow reads"),
        (b"no picture at all", "stdin: not a picture in a format that Pillow reads"),
        (b"\x89PNG\r\n\x1a\n", "stdin: a broken or empty PNG picture"),
    ],
)
def test_stdin_that_is_no_picture_is_one_line(folder, capsysbinary, stdin, command, data, message):
    stdin(data)
    assert cli.main([*command, "-k", "3"]) == 2
    out, err = capsysbinary.readouterr()
    assert out == b"" and err.count(b"\n") == 1
    assert err.decode().startswith(f"kmeans-fast: error: {message}")


def test_terminals_take_and_give_no_pictures(folder, capsys, stdin, monkeypatch):
    stdin(b"", is_terminal=True)
    assert cli.main(["quantize", "-", "-o", "x.png"]) == 2
    assert "-: stdin is no file and no pipe; give a picture" in capsys.readouterr().err
    monkeypatch.setattr(sys, "stdin", None)
    assert cli.main(["quantize", "-", "-o", "x.png"]) == 2
    assert "-: stdin is no file and no pipe" in capsys.readouterr().err
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert cli.main(["quantize", "photo.png", "-o", "-"]) == 2
    assert "stdout is a terminal, and shows no picture; redirect it" in capsys.readouterr().err
    for kind in ("ase", "aco"):
        assert cli.main(["palette", "photo.png", "--format", kind]) == 2
        assert f"--format {kind} is no text for a terminal; redirect it" in capsys.readouterr().err


@pytest.mark.skipif(os.name == "nt", reason="pipes of POSIX")
@pytest.mark.parametrize("command", [["quantize", "photo.png", "-o", "-"], ["quantize", "-"],
                                     ["palette", "photo.png", "--format", "ase"]])  # fmt: skip
def test_a_reader_that_has_gone_is_no_error(folder, command):
    read, write = os.pipe()
    os.close(read)
    with open(write, "wb") as closed, open("photo.png", "rb") as picture:
        done = subprocess.run(
            [sys.executable, "-m", "kmeans_fast", *command],
            stdin=picture, stdout=closed, stderr=subprocess.PIPE, text=True, env=BUFFERED,
        )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a disk that is full")
def test_a_picture_that_stdout_cannot_take_is_one_line(folder):
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "kmeans_fast", "quantize", "photo.png", "-o", "-"],
            stdout=full, stderr=subprocess.PIPE, text=True, env=BUFFERED,
        )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr == "kmeans-fast: error: [Errno 28] No space left on device\n"


# ---------------------------------------------------------------------------- formats of a palette


@pytest.mark.parametrize("kind", ["css", "gpl", "ase", "aco", "hex", "json"])
def test_the_palette_is_printed_or_written_in_any_format(folder, capsysbinary, kind):
    found = kf.palette(PICTURE, 5, medoids=True)
    expected = kf.palettes.WRITERS[kind](found)
    expected = expected if isinstance(expected, bytes) else expected.encode()
    command = ["palette", "photo.png", "-k", "5", "--medoids"]
    assert cli.main([*command, "-o", f"own.{kind}"]) == 0
    table, err = capsysbinary.readouterr()
    assert err == b"" and table.decode() == f"{found}\n"
    assert bytes_of(f"own.{kind}") == expected
    assert cli.main([*command, "--format", kind]) == 0
    printed, err = capsysbinary.readouterr()
    if kind == "json":
        expected = b'{\n  "picture": "photo.png",' + expected[1:]
    assert printed == expected and err == b""
    assert cli.main([*command, "-o", f"own.{kind}"]) == 2
    assert f"own.{kind} is there already" in capsysbinary.readouterr().err.decode()


def test_a_terminal_shows_the_colors_where_they_are_wanted(folder, capsys, monkeypatch):
    block = "\x1b[48;2;255;0;0m      \x1b[0m      0  #ff0000"
    Image.new("RGB", (3, 3), "red").save("red.png")
    for name, value, shown in (("X", "", True), ("NO_COLOR", "1", False), ("NO_COLOR", "", True),
                               ("TERM", "dumb", False)):  # fmt: skip
        with monkeypatch.context() as patch:
            patch.setattr(sys.stdout, "isatty", lambda: True)
            patch.delenv("NO_COLOR", raising=False)
            patch.setenv("TERM", "xterm")
            patch.setenv(name, value)
            assert cli.main(["palette", "red.png"]) == 0
        assert (block in capsys.readouterr().out) == shown
    assert cli.main(["palette", "red.png"]) == 0
    assert "\x1b" not in capsys.readouterr().out
