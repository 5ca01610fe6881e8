"""Pictures read a tile at a time: the pixels of `open_image`, in place, whatever the file."""

import io
import itertools
import os
import struct
import sys

import numpy as np
import pytest
import tifffile
from PIL import Image

import kmeans_fast as kf
from kmeans_fast import cli
from kmeans_fast.pictures import tiff as format_
from kmeans_fast.pictures.reading import LeftOutWarning, pictures_in, to_array

from .pictures import few_colors, joined, photograph, tiff_file

PICTURE = photograph(90, 130)
TILE = 2000  # pixels, where nothing else is said


def saved(path, picture, strip=512, **options):
    """Write a TIFF of strips of about so many bytes."""
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    image.save(path, "TIFF", strip_size=strip, **options)
    return path


def tiled(path, picture, compression="zlib", orientation=1, **options):
    """Write a TIFF of tiles, which Pillow cannot."""
    options = {"photometric": "rgb", "metadata": None, "tile": (48, 32)} | options
    tags = [(274, 3, 1, orientation, True)]
    tifffile.imwrite(path, picture, compression=compression, extratags=tags, **options)
    return path


# ----------------------------------------------------------------------------------- TIFF

KINDS = ["RGB", "L", "RGBA", "P", "1", "I;16", "LA", "CMYK"]
COMPRESSIONS = ["raw", "tiff_lzw", "tiff_adobe_deflate", "packbits"]
OTHERS = [("1", "group4", {}), ("RGB", "jpeg", {"quality": 90}), ("RGB", "tiff_deflate", {})]
PREDICTED = [("RGB", name, {"tiffinfo": {317: 2}}) for name in COMPRESSIONS[1:3]]


@pytest.mark.parametrize(
    ("kind", "compression", "options"),
    [*((*both, {}) for both in itertools.product(KINDS, COMPRESSIONS)), *OTHERS, *PREDICTED],
)
def test_strips_hold_the_pixels_of_open_image(kind, compression, options, tmp_path):
    if kind == "I;16":
        image = Image.fromarray(photograph(90, 130, 1, np.uint16)[..., 0])
    else:
        image = Image.fromarray(PICTURE).convert(kind)
    path = saved(tmp_path / "picture.tif", image, compression=compression, **options)
    tiles = kf.open_tiles(path, tile_pixels=TILE)
    expected = kf.open_image(path)
    assert (len(tiles) > 1) == (kind != "1")  # is read whole
    assert (tiles.shape, tiles.dtype) == (expected.shape, expected.dtype)
    assert tiles.n_pixels == 90 * 130
    assert np.array_equal(joined(tiles), expected)
    assert np.array_equal(np.concatenate(list(tiles)), expected)  # again


def test_without_tifffile_a_large_tiff_is_a_line_and_a_small_one_is_a_tile(
    tmp_path, monkeypatch, capsys
):
    path = saved(tmp_path / "scan.tif", PICTURE)
    monkeypatch.setitem(sys.modules, "tifffile", None)
    message = "scan.tif: a TIFF of 11700 pixels is read by its tiles with tifffile: pip install"
    with pytest.raises(ImportError, match=message):
        kf.open_tiles(path, tile_pixels=700)
    monkeypatch.setattr("kmeans_fast.pictures.tiles.TILE_PIXELS", 700)
    assert cli.main(["palette", str(path), "-k", "2"]) == 2
    assert f"{message} 'kmeans_fast[tiff]'\n" in capsys.readouterr().err
    assert np.array_equal(kf.open_image(path), PICTURE)
    tiles = kf.open_tiles(path, tile_pixels=TILE)
    assert len(tiles) == 1 and np.array_equal(joined(tiles), PICTURE)
    with pytest.raises(ImportError, match="a large TIFF is written with tifffile: pip install"):
        format_.write_tiff(io.BytesIO(), (90, 130), painted(Image.fromarray(PICTURE)), {})


@pytest.mark.parametrize(("order", "big"), [("<", False), (">", False), ("<", True)])
@pytest.mark.parametrize("compression", [None, "jpeg", "zlib", "lzma", "zstd"])
@pytest.mark.parametrize("tile_pixels", [1, 5 * 48 * 32, 11_000])
def test_tiles_are_cropped_at_the_edges(compression, big, order, tile_pixels, tmp_path):
    path = tmp_path / "picture.tif"
    tiled(path, PICTURE, compression, byteorder=order, bigtiff=big)
    tiles = kf.open_tiles(path, tile_pixels=tile_pixels)
    assert len(tiles) == {1: 10, 5 * 48 * 32: 2, 11_000: 2}[tile_pixels]
    if compression != "zstd":  # which not every Pillow reads
        assert np.array_equal(joined(tiles), kf.open_image(path))
    if compression != "jpeg":
        assert np.array_equal(joined(tiles), PICTURE)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    ("n_channels", "extra"),
    [(1, None), (3, None), (4, "unassalpha"), (4, "assocalpha"), (4, "unspecified")],
)
@pytest.mark.filterwarnings("ignore:.*bands are read")
def test_16_bits_come_in_either_order_and_colors_at_8_as_of_pillow(
    order, n_channels, extra, tmp_path
):
    picture, path = photograph(90, 130, n_channels, np.uint16), tmp_path / "deep.tif"
    for dtype in (np.uint16, np.uint8):
        for how in ({"tile": (48, 32), "compression": "zlib"}, {}):
            pixels = (picture >> 8 * (dtype == np.uint8)).astype(dtype)
            how |= {"photometric": "rgb" if n_channels > 1 else "minisblack"}
            extras = extra and [extra]
            tifffile.imwrite(path, pixels, byteorder=order, extrasamples=extras, **how)
            tiles = kf.open_tiles(path, tile_pixels=TILE)
            assert len(tiles) > 1 and np.array_equal(joined(tiles), kf.open_image(path))
            if n_channels == 1 and dtype == np.uint16:
                assert np.array_equal(joined(tiles), picture) and tiles.dtype == np.uint16


def test_a_jpeg_of_ycbcr_is_read_as_rgb(tmp_path):
    path = tiled(tmp_path / "jpeg.tif", PICTURE, "jpeg", photometric="ycbcr")
    tiles = kf.open_tiles(path, tile_pixels=TILE)
    assert len(tiles) > 1 and np.array_equal(joined(tiles), kf.open_image(path))


def test_one_large_strip_is_cut_where_it_is_not_compressed(tmp_path):
    path = saved(tmp_path / "raw.tif", PICTURE, strip=2**30)
    tiles = kf.open_tiles(path, tile_pixels=130 * 7, max_pixels=130)
    assert len(tiles) == 13 and np.array_equal(joined(tiles), PICTURE)
    path = saved(tmp_path / "lzw.tif", PICTURE, strip=2**30, compression="tiff_lzw")
    assert len(kf.open_tiles(path, tile_pixels=TILE)) == 1
    with pytest.raises(ValueError, match="lzw.tif: strips or tiles of 11700 pixels are more than"):
        kf.open_tiles(path, tile_pixels=TILE, max_pixels=11_699)


@pytest.mark.parametrize("orientation", range(10))
def test_places_are_those_of_the_upright_picture(orientation, tmp_path):
    path = tiled(tmp_path / "picture.tif", PICTURE, orientation=orientation)
    assert np.array_equal(joined(kf.open_tiles(path, tile_pixels=TILE)), kf.open_image(path))


def test_separate_channels_are_read_whole(tmp_path):
    planes = np.ascontiguousarray(np.moveaxis(PICTURE, 2, 0))
    tags = {258: [8] * 3, 259: 1, 262: 2, 277: 3, 284: 2}
    path = tmp_path / "planes.tif"
    path.write_bytes(tiff_file((90, 130), [plane.tobytes() for plane in planes], tags))
    tiles = kf.open_tiles(path, tile_pixels=TILE)
    assert len(tiles) == 1 and np.array_equal(joined(tiles), PICTURE)
    with pytest.raises(ValueError, match="planes.tif: 130 x 90 pixels are more than max_pixels"):
        kf.open_tiles(path, tile_pixels=TILE, max_pixels=1000)


@pytest.mark.parametrize(
    "picture", [PICTURE[..., 0].astype(np.float64), np.repeat(PICTURE, 4, axis=2)]
)
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_a_sound_tiff_of_a_kind_that_pillow_does_not_read_is_not_called_broken(
    picture, compression, tmp_path
):
    path = tiled(tmp_path / "a.tif", picture, compression, photometric="minisblack", planarconfig=1)
    message = r"a.tif: a TIFF of a kind that Pillow does not read \(.*\); read it with tifffile or"
    for opened in (
        kf.open_image,
        kf.open_tiles,
        lambda path: kf.open_tiles(path, tile_pixels=TILE),
    ):
        with pytest.raises(ValueError, match=message):
            opened(path)


@pytest.mark.parametrize("n_more", [1, 2])
def test_bands_without_a_name_are_left_out_with_a_word(n_more, tmp_path, capsys):
    picture = np.concatenate([PICTURE, PICTURE[..., :n_more]], axis=2)
    path = tiled(tmp_path / "a.tif", picture, extrasamples=["unspecified"] * n_more)
    message = f"a.tif: only RGB of its {3 + n_more} bands are read; for all, read it with tifffile"
    with pytest.warns(LeftOutWarning, match=message):
        assert np.array_equal(kf.open_image(path), PICTURE)
    with pytest.warns(LeftOutWarning, match=message):
        assert np.array_equal(joined(kf.open_tiles(path, tile_pixels=TILE)), PICTURE)
    with Image.open(path) as image, pytest.warns(LeftOutWarning, match="only RGB of its"):
        kf.fit(image, 2)
    assert cli.main(["palette", str(path), "-k", "2"]) == 0
    assert capsys.readouterr().err.count("kmeans-fast: warning: ") == 1
    kf.open_image(
        tiled(path, picture[..., :4], extrasamples=["unassalpha"])
    )  # alpha: nothing is lost


@pytest.mark.parametrize("compression", ["raw", "tiff_adobe_deflate"])
def test_16_bits_where_white_is_zero(compression, tmp_path):
    grey = photograph(90, 130, 1, np.uint16)
    image = Image.fromarray(65535 - grey[..., 0])
    path = saved(tmp_path / "a.tif", image, compression=compression, tiffinfo={262: 0})
    with Image.open(path) as opened:
        assert opened.tag_v2[262] == 0
        assert np.array_equal(to_array(opened), grey)
    assert np.array_equal(kf.open_image(path), grey)
    assert np.array_equal(joined(kf.open_tiles(path, tile_pixels=TILE)), grey)


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """A TIFF of tiles, and one of LZW strips, as bytes."""
    folder = tmp_path_factory.mktemp("sound")
    strips = saved(folder / "b.tif", PICTURE, 2048, compression="tiff_lzw")
    return {
        "tiles": tiled(folder / "a.tif", PICTURE).read_bytes(),
        "strips": strips.read_bytes(),
        "raw": saved(folder / "c.tif", PICTURE).read_bytes(),
    }


def changed(data, tag, values=None, count=None, kind=None):
    """Return a little-endian TIFF in which a tag of the directory says otherwise."""
    data = bytearray(data)
    at = struct.unpack("<L", data[4:8])[0]
    (n,) = struct.unpack_from("<H", data, at)
    for entry in range(at + 2, at + 2 + 12 * n, 12):
        if struct.unpack_from("<H", data, entry)[0] == tag:
            old_kind, old_count = struct.unpack_from("<HL", data, entry + 2)
            struct.pack_into("<HL", data, entry + 2, kind or old_kind, count or old_count)
            where = entry + 8
            if (count or old_count) * {3: 2, 4: 4}[kind or old_kind] > 4:
                (where,) = struct.unpack_from("<L", data, where)
            if values is not None:
                struct.pack_into(f"<{'L' if (kind or old_kind) == 4 else 'H'}", data, where, values)
            return bytes(data)
    raise AssertionError(tag)


@pytest.mark.parametrize(
    ("kind", "change", "message"),
    [
        ("tiles", lambda d: changed(d, 324, 2**31), "some tiles lie outside"),
        ("tiles", lambda d: changed(d, 325, 2**31, kind=4), "some tiles lie outside"),
        ("tiles", lambda d: changed(d, 325, 0), "some tiles lie outside"),
        ("tiles", lambda d: changed(d, 324, count=9), "lists 9 offsets and 10 sizes of tiles"),
        ("tiles", lambda d: changed(d, 324, count=2**31), "lists 0 offsets and 10 sizes"),
        ("tiles", lambda d: changed(d, 257, 2**32 - 1, kind=4), "10 sizes of tiles; there are"),
        ("tiles", lambda d: changed(d, 256, 0), ""),
        ("tiles", lambda d: changed(d, 322, 0), ""),
        ("tiles", lambda d: changed(d, 322, 2**31, kind=4), "10 sizes of tiles; there are 2"),
        ("tiles", lambda d: d[:4] + struct.pack("<L", 2**31) + d[8:], "a broken or empty TIFF"),
        ("tiles", lambda d: d[:-50], "some tiles lie outside"),
        ("tiles", lambda d: d[:6], ""),
        ("strips", lambda d: changed(d, 273, 2**31), "some strips lie outside"),
        ("strips", lambda d: changed(d, 278, 1), "there are 90"),
        ("raw", lambda d: changed(d, 256, 65535), "some strips are shorter than their rows"),
        ("raw", lambda d: changed(d, 257, 65535), "sizes of strips; there are"),
    ],
)
@pytest.mark.filterwarnings("ignore")  # of Pillow
def test_a_tiff_that_lies_is_refused_by_name(kind, change, message, sound, tmp_path):
    path = tmp_path / "lies.tif"
    path.write_bytes(change(sound[kind]))
    with pytest.raises(OSError, match=f"lies.tif: .*{message}"):
        kf.open_tiles(path, tile_pixels=1000)


def test_blocks_that_lie_over_each_other_are_refused(sound, tmp_path):
    """A file of little bytes could name the same block a million times."""
    path = tmp_path / "bomb.tif"
    data = sound["tiles"]
    tags = {258: [8] * 3, 259: 8, 262: 2, 277: 3}
    data = tiff_file((48, 32 * 99), [bytes(99)] * 99, tags, side=(48, 32))
    path.write_bytes(data[: 8 + 99 * 99] + changed(data, 325, 9000)[8 + 99 * 99 :])
    with pytest.raises(OSError, match="bomb.tif: has tiles that lie over each other"):
        kf.open_tiles(path, tile_pixels=1000)


def test_a_jpeg_that_is_larger_than_its_block_is_not_decoded(tmp_path):
    """A few bytes can say 65,000 x 65,000."""
    path = tmp_path / "bomb.tif"
    file = io.BytesIO()
    Image.new("RGB", (64, 4000)).save(file, "JPEG")
    tags = {258: [8] * 3, 259: 7, 262: 6, 277: 3}
    path.write_bytes(tiff_file((64, 128), [file.getvalue()] * 2, tags, side=(64, 64)))
    with pytest.raises(OSError, match=r"bomb.tif: a JPEG of \(64, 4000\) in a block of \(64, 64\)"):
        kf.open_tiles(path, tile_pixels=1000).read(0)


def write(path, data):
    path.write_bytes(data)
    return path


def test_a_broken_block_is_an_error_of_its_tile(sound, tmp_path):
    path = tmp_path / "broken.tif"
    data = bytearray(sound["tiles"])
    tiles = kf.open_tiles(write(path, data), tile_pixels=1)
    with tifffile.TiffFile(path) as file:
        second = file.pages.first.dataoffsets[1]
    data[second : second + 10] = bytes(10)
    write(path, data)
    assert np.array_equal(tiles.read(0), PICTURE[:48, :32])
    with pytest.raises(OSError, match="broken.tif: "):
        tiles.read(1)
    path.write_bytes(data[:2000])
    with pytest.raises(OSError, match="broken.tif: is truncated"):
        list(tiles)


# --------------------------------------------------------------------------------- others


@pytest.mark.parametrize("fortran", [False, True])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_npy_files_are_read_some_rows_at_a_time(dtype, fortran, tmp_path):
    picture = few_colors((33, 20, 3), dtype=dtype)
    np.save(tmp_path / "a.npy", np.asfortranarray(picture) if fortran else picture)
    tiles = kf.open_tiles(tmp_path / "a.npy", tile_pixels=100)
    assert len(tiles) == 7 and np.array_equal(joined(tiles), picture)
    assert tiles.shape == (33, 20, 3) and tiles.dtype == dtype
    assert repr(tiles).endswith("a.npy', n_tiles=7, n_pixels=660)")
    assert kf.ColorHistogram.from_tiles(tiles) == kf.ColorHistogram(picture)


def test_a_large_npy_file_is_painted_a_tile_at_a_time(tmp_path, monkeypatch):
    np.save(tmp_path / "a.npy", PICTURE)
    monkeypatch.setattr("kmeans_fast.pictures.tiles.TILE_PIXELS", TILE)
    monkeypatch.setattr("kmeans_fast.cli.commands.TILED", TILE)
    out = tmp_path / "out.tif"
    assert cli.main(["quantize", str(tmp_path / "a.npy"), "-k", "5", "-o", str(out)]) == 0
    assert np.array_equal(kf.open_image(out), np.asarray(kf.quantize(PICTURE, 5).convert("RGB")))


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((3, 4)), r"holds shape \(3, 4\) of float64; save pixels \(h, w, c\)"),
        (np.zeros((3, 4), np.uint8), "a grey picture as image"),
        (np.zeros((3, 4, 5), np.uint8), r"holds shape \(3, 4, 5\) of uint8"),
        (np.zeros((0, 4, 3), np.uint8), r"holds shape \(0, 4, 3\)"),
        (np.array([{}]), "a.npy: a broken .npy file"),
    ],
)
def test_npy_files_of_other_things_and_cut_ones_are_refused(array, message, tmp_path):
    np.save(tmp_path / "a.npy", array)
    with pytest.raises((OSError, ValueError), match=message):
        kf.open_tiles(tmp_path / "a.npy")
    np.save(tmp_path / "a.npy", PICTURE)
    os.truncate(tmp_path / "a.npy", os.path.getsize(tmp_path / "a.npy") - 1)
    with pytest.raises(OSError, match="a.npy: a broken .npy file"):
        kf.open_tiles(tmp_path / "a.npy")


@pytest.mark.parametrize("name", ["a.npy", "a.png"])
def test_a_file_that_has_changed_since_is_refused(name, tmp_path):
    def write(picture):
        if name.endswith("npy"):
            np.save(tmp_path / name, picture)
        else:
            Image.fromarray(picture).save(tmp_path / name)

    write(PICTURE)
    tiles = kf.open_tiles(tmp_path / name)
    assert tiles.shape == PICTURE.shape
    write(PICTURE[:-1])
    with pytest.raises(OSError, match=f"{name}: has changed since it was opened; open it again"):
        tiles.read(0)


def test_any_other_picture_is_one_tile(tmp_path):
    path = tmp_path / "a.png"
    Image.fromarray(PICTURE).save(path)
    tiles = kf.open_tiles(path, tile_pixels=100)
    assert (len(tiles), tiles.n_pixels) == (1, 11_700)
    assert np.array_equal(joined(tiles), PICTURE)
    with pytest.raises(ValueError, match="a.png: 130 x 90 pixels are more than max_pixels=99"):
        kf.open_tiles(path, max_pixels=99)
    turned = tmp_path / "b.jpg"
    exif = Image.Exif()
    exif[274] = 6
    Image.fromarray(PICTURE).save(turned, exif=exif)
    assert kf.open_tiles(turned).shape == (130, 90, 3)


def test_folders_and_lists_are_read_by_name(tmp_path):
    Image.fromarray(PICTURE[:30]).save(tmp_path / "b.png")
    saved(tmp_path / "a.tif", PICTURE[30:])
    np.save(tmp_path / "c.npy", PICTURE[:5])
    (tmp_path / "notes.txt").write_text("no picture")
    (tmp_path / ".hidden.png").write_bytes(b"no picture")
    (tmp_path / "folder.png").mkdir()
    tiles = kf.open_tiles(tmp_path, tile_pixels=TILE)
    assert [os.path.basename(one.path) for one in tiles.pictures] == ["a.tif", "b.png", "c.npy"]
    assert tiles.n_pixels == 95 * 130
    assert len(tiles) == sum(map(len, tiles.pictures)) == 4 + 1 + 1
    expected = np.concatenate([PICTURE[30:], PICTURE[:30], PICTURE[:5]])
    for _ in range(2):
        assert np.array_equal(np.concatenate(list(tiles)), expected)
    assert kf.ColorHistogram.from_tiles(tiles) == kf.ColorHistogram(expected)
    assert "3 pictures" in repr(tiles)
    listed = kf.open_tiles([tmp_path / "c.npy", str(tmp_path / "b.png")])
    assert np.array_equal(np.concatenate(list(listed)), np.concatenate([PICTURE[:5], PICTURE[:30]]))
    assert pictures_in(tmp_path)[0] == str(tmp_path / "a.tif")


def test_bad_paths_are_named(tmp_path):
    with pytest.raises(ValueError, match="is a folder without pictures; give another, or files"):
        kf.open_tiles(tmp_path)
    with pytest.raises(FileNotFoundError, match="none.tif"):
        kf.open_tiles(tmp_path / "none.tif")
    (tmp_path / "a.png").write_bytes(b"no picture")
    with pytest.raises(OSError, match="a.png: not a picture in a format that Pillow reads"):
        kf.open_tiles(tmp_path)
    with pytest.raises(ValueError, match="tile_pixels=0 is less than 1"):
        kf.open_tiles(tmp_path, tile_pixels=0)


# -------------------------------------------------------------------------------- written


def painted(image):
    """Yield the parts of a picture of 90 x 130 pixels, in no order."""
    for top, bottom in ((50, 90), (0, 50)):
        for left, right in ((100, 130), (0, 100)):
            yield (slice(top, bottom), slice(left, right)), image.crop((left, top, right, bottom))


@pytest.mark.parametrize("mode", ["P", "RGB", "RGBA", "I;16"])
@pytest.mark.parametrize("big_file", [False, True])
def test_a_tiff_is_written_in_place(mode, big_file, tmp_path, monkeypatch):
    if big_file:
        monkeypatch.setattr(format_, "CLASSIC_BYTES", 1000)
    image = {
        "P": Image.fromarray(PICTURE[..., 0] % 3),
        "RGB": Image.fromarray(PICTURE),
        "RGBA": Image.fromarray(np.dstack([PICTURE, PICTURE[..., 0]])),
        "I;16": Image.fromarray(PICTURE[..., 0] * np.uint16(257)),
    }[mode]
    if mode == "P":
        image.putpalette([0, 0, 0, 10, 20, 30, 255, 254, 3])
    path = tmp_path / "written.tif"
    with open(path, "wb") as file:
        format_.write_tiff(file, (90, 130), painted(image), {"dpi": (72, 72.5)})
    with Image.open(path) as read:
        assert read.mode == mode and read.info["dpi"] == (72, 72.5)
        assert np.array_equal(np.asarray(read), np.asarray(image))
        if mode == "P":
            assert read.getpalette()[:9] == image.getpalette()
    assert (path.read_bytes()[2] == 43) == big_file
    assert np.array_equal(joined(kf.open_tiles(path, tile_pixels=TILE)), kf.open_image(path))
