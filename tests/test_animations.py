"""Animations by the command line: all frames, their times, one palette, and what is transparent."""

import io
import os

import numpy as np
import pytest
from PIL import Image

import kmeans_fast as kf
from kmeans_fast import cli
from kmeans_fast.pictures.animations import _changed, open_animation

from .pictures import colors_of, few_colors, photograph, rgb_profile

TIMES = [100, 250, 30, 100, 470]
SUFFIXES = ["gif", "png", "webp"]


def moving(transparent=False, height=24, width=40):
    """Return frames (h, w, 3 or 4): a square wanders over a photograph, and rests in the fourth.

    There one pixel differs a little, since writers join frames that are alike.
    """
    frames = []
    for at in (0, 1, 2, 2, 4):
        frame = photograph(height, width)
        if transparent:
            frame = np.dstack([frame, np.full((height, width), 255, np.uint8)])
            frame[:, 8 * at + 4 :, 3] = 0  # a window that moves, over nothing
            frame[:, : 5 * at, 3] = 0
        frame[6:14, 7 * at : 7 * at + 6, :3] = 250, 40 * at, 10
        frames.append(frame)
    frames[3][0, 0, 0] ^= 1
    return frames


def save(name, frames, **options):
    images = [Image.fromarray(frame) for frame in frames]
    options = {"duration": TIMES, "loop": 0, "lossless": True, "disposal": 0} | options
    images[0].save(name, save_all=True, append_images=images[1:], **options)


def read(name):
    """Return the frames of a file as RGBA, with nothing under what is transparent, and times."""
    frames, times = [], []
    with Image.open(name) as image:
        for at in range(getattr(image, "n_frames", 1)):
            image.seek(at)
            image.load()
            pixels = np.array(image.convert("RGBA"))
            pixels[pixels[..., 3] == 0] = 0
            frames.append(pixels)
            times.append(image.info.get("duration"))
    return frames, times


def seen_at(name, moments):
    """Return what is seen at these ms, whatever frames a writer has joined."""
    frames, times = read(name)
    ends = np.cumsum(times)
    return [frames[int(np.searchsorted(ends, moment, side="right"))] for moment in moments]


@pytest.mark.parametrize("transparent", [False, True])
@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("source", ["png", "webp"])
def test_every_frame_is_painted_in_the_colors_of_all(folder, source, suffix, transparent, capsys):
    frames = moving(transparent)
    save(f"in.{source}", frames)
    assert cli.main(["quantize", f"in.{source}", "-k", "12", "-o", f"out.{suffix}"]) == 0
    assert capsys.readouterr().err == ""
    whole = np.concatenate(frames)
    if transparent:
        visible = whole[whole[..., 3] > 0][:, :3]
        expected = np.dstack([np.zeros_like(whole[..., :3]), whole[..., 3]])
        expected[whole[..., 3] > 0, :3] = kf.fit(visible, 12, refine=1).recolor()
    else:
        painted = kf.fit(whole, 12, refine=1).recolor()
        expected = np.dstack([painted, np.full(whole.shape[:2], 255, np.uint8)])
    middles = np.cumsum(TIMES) - 15
    found = seen_at(f"out.{suffix}", middles)
    assert np.array_equal(np.concatenate(found), expected)
    times = read(f"out.{suffix}")[1]
    assert times == TIMES or (suffix == "webp" and sum(times) == sum(TIMES))


def test_a_gif_has_one_palette_and_all_frames(folder):
    save("in.png", moving())
    assert cli.main(["quantize", "in.png", "-k", "12", "-o", "out.gif"]) == 0
    tables, times = local_tables((folder / "out.gif").read_bytes())
    assert tables == [0] * 5
    assert times == TIMES == read("out.gif")[1]
    assert os.path.getsize("out.gif") < 24 * 40 * 4


def local_tables(data):
    """Return the sizes of the palettes of a GIF's frames, and their times."""
    size = 3 << (data[10] & 7) + 1
    at, tables, times = 13 + size * (data[10] >> 7), [], []
    while data[at : at + 1] != b";":
        if data[at : at + 1] == b"!":
            if data[at + 1] == 0xF9:
                times.append(10 * int.from_bytes(data[at + 4 : at + 6], "little"))
            at += 2
        else:
            flags = data[at + 9]
            tables.append(3 << (flags & 7) + 1 if flags & 128 else 0)
            at += 11 + tables[-1]
        while data[at]:
            at += data[at] + 1
        at += 1
    return tables, times


@pytest.mark.parametrize("suffix", ["gif", "png"])
def test_a_frame_that_shows_nothing_new_stays_a_frame(folder, suffix):
    frames = moving()
    save("in.webp", frames)
    assert cli.main(["quantize", "in.webp", "-k", "5", "-o", f"out.{suffix}"]) == 0
    found, times = read(f"out.{suffix}")
    assert times == TIMES and np.array_equal(found[2], found[3])


def test_an_apng_is_a_png_of_the_first_frame_to_who_knows_no_more(folder):
    save("in.webp", moving())
    assert cli.main(["quantize", "in.webp", "-k", "5", "-o", "out.png"]) == 0
    data = (folder / "out.png").read_bytes()
    assert data.count(b"fcTL") == 5 and data.count(b"PLTE") == 1
    plain, at = data[:8], 8
    while at < len(data):
        size = 12 + int.from_bytes(data[at : at + 4], "big")
        if data[at + 4 : at + 8] not in (b"acTL", b"fcTL", b"fdAT"):
            plain += data[at : at + size]
        at += size
    with Image.open(io.BytesIO(plain)) as image:
        assert (image.mode, getattr(image, "n_frames", 1)) == ("P", 1)
        assert np.array_equal(image.convert("RGBA"), read("out.png")[0][0])


def test_a_gif_comes_in_by_its_disposal_and_goes_out_the_same(folder):
    frames = moving(transparent=True)
    save("in.png", frames)
    assert cli.main(["quantize", "in.png", "-k", "255", "-o", "first.gif"]) == 0
    for suffix in SUFFIXES:
        assert cli.main(["quantize", "first.gif", "-o", f"again.{suffix}"]) == 0
        moments = np.cumsum(TIMES) - 15
        again, first = (seen_at(name, moments) for name in (f"again.{suffix}", "first.gif"))
        assert np.array_equal(again, first)


@pytest.mark.parametrize(("loop", "plays"), [(0, 0), (1, 1), (3, 3), (2**20, 65535)])
def test_it_is_shown_as_often_in_every_format(folder, loop, plays):
    save("in.png", moving(), loop=loop)
    assert open_animation("in.png", None).plays == loop
    for suffix in SUFFIXES:
        assert cli.main(["quantize", "in.png", "-k", "4", "-o", f"out.{suffix}"]) == 0
        assert open_animation(f"out.{suffix}", None).plays == plays
        assert cli.main(["quantize", f"out.{suffix}", "-k", "3", "-o", "x.webp", "--force"]) == 0
        assert open_animation("x.webp", None).plays == plays


def test_times_that_a_gif_cannot_hold_add_up(folder):
    save("in.webp", moving(), duration=[34, 34, 34, 34, 34])
    assert cli.main(["quantize", "in.webp", "-k", "4", "-o", "out.gif"]) == 0
    assert read("out.gif")[1] == [30, 40, 30, 40, 30]


def test_what_stands_before_an_apng_is_no_frame_of_it(folder):
    cover, *frames = (Image.fromarray(frame) for frame in moving())
    cover.save("in.png", save_all=True, append_images=frames, default_image=True, duration=90)
    assert open_animation("in.png", None).n_frames == 4
    assert cli.main(["quantize", "in.png", "-k", "4", "-o", "out.gif"]) == 0
    assert len(read("out.gif")[0]) == 4


def test_dithering_sorting_and_a_palette_of_ones_own(folder):
    frames = moving()
    save("in.webp", frames)
    given = ["--palette", "#000,white,red", "--dither", "--sort", "share"]
    assert cli.main(["quantize", "in.webp", *given, "-o", "out.gif"]) == 0
    whole = kf.quantize(np.concatenate(frames), palette=["#000", "white", "red"], sort="share")
    palette = np.reshape(whole.getpalette(), (-1, 3))  # of equally near colours the first is taken
    for frame, painted in zip(frames, read("out.gif")[0], strict=True):
        alone = kf.quantize(frame, palette=palette, dither=True).convert("RGB")
        assert np.array_equal(painted[..., :3], np.asarray(alone))
    with Image.open("out.gif") as image:
        assert image.getpalette("RGB")[:9] == whole.getpalette() != [0] * 3 + [255] * 4 + [0] * 2


def test_more_colors_than_an_index_has(folder):
    frames = moving()
    save("in.webp", frames)
    for suffix in ("png", "webp"):
        assert cli.main(["quantize", "in.webp", "-k", "300", "-o", f"out.{suffix}"]) == 0
        expected = kf.fit(np.concatenate(frames), 300, refine=1).recolor()
        found = np.concatenate(seen_at(f"out.{suffix}", np.cumsum(TIMES) - 15))
        assert np.array_equal(found[..., :3], expected)


def test_a_change_of_one_channel_is_a_change():
    before = np.zeros((6, 8, 3), np.uint8)
    after = before.copy()
    after[2, 3, 1] = after[4, 5, 2] = 1
    assert _changed(after, before) == (3, 2, 6, 5)
    assert _changed(after, after) == (0, 0, 1, 1) and _changed(after, None) == (0, 0, 8, 6)


def test_frames_share_a_palette_with_pictures(folder):
    frames = moving()
    save("a.webp", frames)
    picture = photograph(seed=3)
    Image.fromarray(picture).save("b.png")
    os.mkdir("out")
    assert cli.main(["quantize", "a.webp", "b.png", "-k", "9", "--shared", "-o", "out"]) == 0
    seen = [frame.reshape(-1, 3) for frame in (*frames, picture)]
    expected = kf.fit(np.concatenate(seen), 9, refine=1).recolor()
    n = sum(frame.size // 3 for frame in frames)
    found = np.concatenate(seen_at("out/a.png", np.cumsum(TIMES) - 15))
    assert np.array_equal(found[..., :3].reshape(-1, 3), expected[:n])
    assert np.array_equal(kf.open_image("out/b.png").reshape(-1, 3), expected[n:])


def test_the_palette_command_counts_every_frame(folder, capsys):
    frames = moving()
    save("in.webp", frames)
    assert cli.main(["palette", "in.webp", "-k", "7", "--format", "hex"]) == 0
    found = capsys.readouterr().out.split()
    assert set(found) == set(kf.palette(np.concatenate(frames), 7).hex)


def test_all_frames_are_transparent(folder):
    frames = [np.zeros((5, 6, 4), np.uint8) for _ in range(2)]
    frames[1][0, 0] = 1, 2, 3, 0
    save("in.webp", frames, duration=50, exact=True)
    for suffix in SUFFIXES:
        assert cli.main(["quantize", "in.webp", "-o", f"out.{suffix}"]) == 0
        assert not np.concatenate(read(f"out.{suffix}")[0]).any()


def test_colors_are_srgb_whatever_the_profile(folder):
    frames = [few_colors(seed=seed) for seed in (1, 2)]
    save("in.png", frames, duration=50, icc_profile=rgb_profile("P3"))
    assert cli.main(["quantize", "in.png", "-o", "out.png"]) == 0
    with pytest.warns(UserWarning, match="only the first of its 2 frames"):
        expected = kf.open_image("in.png")
    assert (expected != frames[0]).any()
    assert np.array_equal(read("out.png")[0][0][..., :3], expected)
    with Image.open("out.png") as image:
        assert "icc_profile" not in image.info


# ---------------------------------------------------------------------------- what cannot be


def test_another_format_has_the_first_frame_and_it_is_said_so(folder, capsys):
    save("in.webp", moving())
    assert cli.main(["quantize", "in.webp", "-k", "4", "-o", "out.jpg"]) == 0
    line = "kmeans-fast: warning: in.webp: only the first of its 5 frames is read, and 4 left out\n"
    assert capsys.readouterr() == ("", line)


def test_translucent_frames_are_none_for_gif(folder, capsys):
    frames = moving(transparent=True)
    frames[3][..., 3] //= 2
    frames[1][..., 3] = 255
    save("in.webp", frames)
    assert cli.main(["quantize", "in.webp", "-k", "9", "-o", "out.gif"]) == 2
    line = "kmeans-fast: error: out.gif: GIF cannot hold translucent pixels; write .png instead\n"
    assert capsys.readouterr() == ("", line) and os.listdir() == ["in.webp"]
    assert cli.main(["quantize", "in.webp", "-k", "9", "-o", "out.png"]) == 0
    for frame, painted in zip(frames, read("out.png")[0], strict=True):
        assert np.array_equal(painted[..., 3] == 0, frame[..., 3] == 0)
    assert {128 > color[3] > 100 for color in colors_of(painted)} == {False}
    assert {128 > color[3] > 100 for color in colors_of(read("out.png")[0][3])} == {True, False}


def test_the_limit_of_pixels_is_one_for_all_frames(folder, capsys):
    save("in.webp", moving())
    command = ["quantize", "in.webp", "-k", "4", "-o", "out.gif", "--max-pixels"]
    assert cli.main([*command, "4799"]) == 2
    line = "in.webp: 4800 pixels in 5 frames are more than max_pixels=4799; allow more"
    assert capsys.readouterr().err == f"kmeans-fast: error: {line}\n"
    assert cli.main([*command, "4800"]) == 0


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_file_that_ends_amid_its_frames_is_no_traceback(folder, capsys, suffix):
    save("whole.webp", moving())
    assert cli.main(["quantize", "whole.webp", "-o", f"in.{suffix}"]) == 0
    data = (folder / f"in.{suffix}").read_bytes()
    for part in np.linspace(20, len(data) - 1, 12).astype(int):
        (folder / f"cut.{suffix}").write_bytes(data[:part])
        capsys.readouterr()
        status = cli.main(["quantize", f"cut.{suffix}", "-k", "4", "-o", "out.png", "--force"])
        said = capsys.readouterr().err
        assert status in (0, 2) and said.count("\n") == (status == 2), said
