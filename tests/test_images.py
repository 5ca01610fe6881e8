"""Pictures in and out: every mode and orientation, limits, broken files, palettes, safe writes."""

import io
import os
import struct
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image, ImageCms
from PIL.TiffImagePlugin import AppendingTiffWriter

import kmeans_fast as kf
from kmeans_fast.painting import quantize
from kmeans_fast.pictures.reading import LeftOutWarning, open_image, to_array
from kmeans_fast.pictures.saving import save_image

from .hostile import png
from .pictures import SRGB_CURVE, colors_of, grey_profile, premultiplied, shown_as


def noise(*shape, dtype=np.uint8, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)


def rgba_of(image):
    return np.asarray(image.convert("RGBA"))


@pytest.fixture
def picture():
    """Smooth, with more than 256 colours and no two rows or columns alike."""
    y, x = np.mgrid[:40, :30]
    return np.stack([6 * y, 8 * x, 3 * (x + y)], axis=2).astype(np.uint8)


# ---------------------------------------------------------------------------- modes


@pytest.mark.parametrize(
    ("mode", "suffix", "channels"),
    [
        ("1", ".png", 1),
        ("L", ".png", 1),
        ("L", ".jpg", 1),
        ("LA", ".png", 4),
        ("P", ".png", 3),
        ("P", ".gif", 3),
        ("RGB", ".png", 3),
        ("RGB", ".bmp", 3),
        ("RGBA", ".png", 4),
        ("RGBA", ".webp", 4),
        ("CMYK", ".jpg", 3),
        ("CMYK", ".tif", 3),
        ("LAB", ".tif", 3),
    ],
)
def test_every_mode_opens_as_uint8_with_1_3_or_4_channels(tmp_path, mode, suffix, channels):
    path = tmp_path / f"picture{suffix}"
    source = noise(6, 8, 4) if mode in ("LA", "RGBA") else noise(6, 8, 3)
    Image.fromarray(source).convert(mode).save(path)
    array = open_image(path)
    assert array.shape == (6, 8, channels)
    assert array.dtype == np.uint8
    assert array.flags.writeable and array.flags.c_contiguous


@pytest.mark.parametrize(
    "mode", ["1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "HSV"]
)
def test_every_mode_in_memory_has_the_colors_that_pillow_shows(mode):
    source = Image.fromarray(noise(5, 7, 4))
    if mode == "La":
        image = source.convert("LA").convert("La")
    elif mode in ("LA", "PA", "RGBa"):
        image = source.convert(mode)
    else:
        image = source.convert("RGB").convert(mode)
    array = to_array(image)
    shown = image.convert("LA") if mode == "La" else image
    modes = {1: "L", 3: "RGB", 4: "RGBA"}
    expected = np.asarray(shown.convert(modes[array.shape[2]])).reshape(array.shape)
    assert np.array_equal(array, expected)


@pytest.mark.parametrize("mode", ["I;16", "I;16B", "I"])
def test_16_bit_grey_opens_as_uint16_in_both_byte_orders(tmp_path, mode):
    values = noise(5, 7, dtype=np.uint16)
    if mode == "I":
        image = Image.fromarray(values.astype(np.int32))
    elif mode == "I;16B":
        image = Image.frombytes("I;16B", (7, 5), values.astype(">u2").tobytes())
    else:
        image = Image.fromarray(values)
        image.save(tmp_path / "grey.png")
        assert np.array_equal(open_image(tmp_path / "grey.png")[..., 0], values)
    assert image.mode == mode
    array = to_array(image)
    assert array.dtype == np.uint16 and array.dtype.isnative
    assert np.array_equal(array[..., 0], values)


def test_16_bit_grey_with_a_transparent_value_opens_as_rgba(tmp_path):
    values = np.array([[0, 257, 1000], [65535, 1000, 300]], np.uint16)
    Image.fromarray(values).save(tmp_path / "grey.png", transparency=1000)
    array = open_image(tmp_path / "grey.png")
    assert array[..., 3].tolist() == [[255, 255, 0], [255, 0, 255]]
    assert array[..., 0].tolist() == [[0, 1, 4], [255, 4, 1]]


@pytest.mark.parametrize(
    ("mode", "transparency"),
    [("L", 3), ("RGB", (3, 3, 3)), ("P", 3), ("P", b"\xff\xff\xff\0")],
)
def test_a_transparent_color_opens_as_alpha(tmp_path, mode, transparency):
    values = np.arange(6, dtype=np.uint8).reshape(2, 3)
    image = Image.fromarray(values)
    if mode == "P":
        image.putpalette(bytes(range(18)))
    elif mode == "RGB":
        image = image.convert("RGB")
    image.save(tmp_path / "picture.png", transparency=transparency)
    alpha = open_image(tmp_path / "picture.png")[..., 3]
    assert alpha.tolist() == [[255, 255, 255], [0, 255, 255]]


def test_floats_are_refused_with_the_mode_and_the_remedy(tmp_path):
    Image.new("F", (3, 2)).save(tmp_path / "floats.tif")
    with pytest.raises(ValueError, match=r"floats\.tif: image of mode 'F' .* cluster numpy"):
        open_image(tmp_path / "floats.tif")
    with pytest.raises(ValueError, match="of mode 'I' holds values from -1 to 0"):
        to_array(Image.fromarray(np.array([[-1, 0]], np.int32)))
    with pytest.raises(ValueError, match="image has 0 x 5 pixels"):
        to_array(Image.new("RGB", (0, 5)))


@pytest.mark.parametrize("interlaced", [False, True])
def test_a_transparent_color_of_16_bits_is_compared_in_full(tmp_path, interlaced):
    pixels = noise(8, 8, 3, dtype=np.uint16)
    pixels[0, 1] = color = np.array([0x1234, 0xFF00, 0x0001])
    pixels[0, 2:5] = color + np.eye(3, dtype=int)  # differ in a low byte
    pixels[1, 1:4] = color ^ (256 * np.eye(3, dtype=int))  # in a high byte
    steps = [(0, 8, 0, 8), (0, 8, 4, 8), (4, 8, 0, 4), (0, 4, 2, 4), (2, 4, 0, 2), (0, 2, 1, 2),
             (1, 2, 0, 1)] if interlaced else [(0, 1, 0, 1)]  # fmt: skip
    rows = [
        b"\0" + row.astype(">u2").tobytes()
        for top, down, left, right in steps
        for row in pixels[top::down, left::right]
    ]
    path = tmp_path / "picture.png"
    chunk, data = (b"tRNS", struct.pack(">3H", *color)), zlib.compress(b"".join(rows))
    path.write_bytes(png(8, 8, chunk, pixels=data, kind=(16, 2), interlaced=interlaced))
    array = open_image(path)
    hidden = (pixels == color).all(axis=2)
    assert hidden.sum() == 1
    assert np.array_equal(array[..., 3], np.where(hidden, 0, 255))
    assert np.array_equal(array[..., :3], pixels >> 8)
    with Image.open(path) as image:
        assert np.array_equal(to_array(image), array)
        # Decoded before: of the low bytes nothing is known any more.
        assert to_array(image)[0, :5, 3].tolist() == [255, 0, 0, 0, 0]
        assert image.mode == "RGB" and image.info["transparency"] == tuple(color)


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_a_transparent_grey_of_few_bits_is_that_grey(tmp_path, bits):
    most = 2**bits - 1
    values = np.arange(8) % (most + 1)
    row = int("".join(f"{value:0{bits}b}" for value in values), 2).to_bytes(bits, "big")
    for hidden in range(most + 1):
        path = tmp_path / "grey.png"
        chunk = b"tRNS", struct.pack(">H", hidden)
        path.write_bytes(png(8, 1, chunk, pixels=zlib.compress(b"\0" + row), kind=(bits, 0)))
        array = open_image(path)
        assert np.array_equal(array[0, :, 0], values * (255 // most))
        assert np.array_equal(array[0, :, 3] == 0, values == hidden)


@pytest.mark.parametrize("suffix", [".gif", ".png", ".webp", ".tif"])
def test_an_animation_gives_its_first_frame(tmp_path, suffix):
    frames = [Image.new("RGB", (6, 4), color) for color in ("red", "blue", "lime")]
    path = tmp_path / f"animation{suffix}"
    options = {"lossless": True} if suffix == ".webp" else {}
    frames[0].save(path, save_all=True, append_images=frames[1:], **options)
    told = f"{path}: only the first of its 3 frames is read, and 2 left out"
    with pytest.warns(LeftOutWarning) as caught:
        assert colors_of(open_image(path)[..., :3]) == {(255, 0, 0)}
    assert [str(warning.message) for warning in caught] == [told]
    for tile_pixels in (6, 100):
        with pytest.warns(LeftOutWarning) as caught:
            kf.open_tiles(path, tile_pixels=tile_pixels)
        assert [str(warning.message) for warning in caught] == [told]


def test_previews_smaller_copies_and_masks_are_no_frames_that_are_lost(tmp_path):
    first, second = Image.new("RGB", (6, 4), "red"), Image.new("RGB", (3, 2), "red")
    first.save(tmp_path / "of_a_camera.jpg", "MPO", save_all=True, append_images=[second])
    first.save(tmp_path / "icon.ico", sizes=[(6, 4), (3, 2)])
    with AppendingTiffWriter(str(tmp_path / "copies.tif"), True) as file:
        for kind, image in ((0, first), (1, second), (4, first), (5, second)):
            image.save(file, "TIFF", tiffinfo={254: kind})
            file.newFrame()
    for path in tmp_path.iterdir():
        assert colors_of(open_image(path)[..., :3]) == {(255, 0, 0)} or path.suffix == ".jpg"
        kf.open_tiles(path, tile_pixels=6)
    # Of a reduced copy and then the whole, which some cameras write, the first is what is read.
    with AppendingTiffWriter(str(tmp_path / "raw.tif"), True) as file:
        for kind, image in ((1, second), (0, first)):
            image.save(file, "TIFF", tiffinfo={254: kind})
            file.newFrame()
    with pytest.warns(LeftOutWarning, match="raw.tif: only the first of its 2 frames"):
        open_image(tmp_path / "raw.tif")


@pytest.mark.parametrize("suffix", [".gif", ".tif"])
def test_what_is_broken_behind_the_first_frame_does_not_cost_the_first(tmp_path, suffix):
    path = tmp_path / f"broken{suffix}"
    frames = [Image.new("RGB", (6, 4), color) for color in ("red", "blue", "lime")]
    frames[0].save(path, save_all=True, append_images=frames[1:])
    whole = path.read_bytes()
    frames[0].save(path)
    n_first = path.stat().st_size
    for size in range(n_first, len(whole)):
        path.write_bytes(whole[:size])
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            assert colors_of(open_image(path)[..., :3]) == {(255, 0, 0)}
        assert {warning.category for warning in caught} <= {LeftOutWarning}


def test_pages_in_a_circle_are_counted_once(tmp_path):
    path = tmp_path / "circle.tif"
    frames = [Image.new("RGB", (6, 4), color) for color in ("red", "blue")]
    frames[0].save(path, save_all=True, append_images=frames[1:])
    data = bytearray(path.read_bytes())
    at = [struct.unpack_from("<L", data, 4)[0]]
    for _ in range(2):
        (n,) = struct.unpack_from("<H", data, at[-1])
        at.append(struct.unpack_from("<L", data, at[-1] + 2 + 12 * n)[0])
    assert at[2] == 0
    struct.pack_into("<L", data, at[1] + 2 + 12 * n, at[0])
    path.write_bytes(data)
    with pytest.warns(LeftOutWarning, match="the first of its 2 frames"):
        open_image(path)


# ---------------------------------------------------------------------------- orientation


@pytest.mark.parametrize("suffix", [".png", ".tif", ".jpg", ".webp"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(tmp_path, orientation, suffix):
    upright = np.zeros((16, 32, 3), np.uint8)
    upright[:8, :16] = 250, 0, 0
    upright[:8, 16:] = 0, 250, 0
    upright[8:, :16] = 0, 0, 250
    undo = {  # how a picture must be stored so that the orientation brings it upright
        1: lambda a: a,
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.transpose(1, 0, 2),
        6: lambda a: np.rot90(a, 1),
        7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
        8: lambda a: np.rot90(a, -1),
    }
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"picture{suffix}"
    stored = np.ascontiguousarray(undo[orientation](upright))
    options = {".jpg": {"quality": 100}, ".webp": {"lossless": True}}.get(suffix, {})
    Image.fromarray(stored).save(path, exif=exif, **options)
    opened = open_image(path)
    assert opened.shape == upright.shape
    assert np.abs(opened.astype(int)[2::4, 2::4] - upright[2::4, 2::4]).max() <= 4
    with Image.open(path) as image:  # in memory, shapes must agree with what the caller holds
        array = to_array(image)
        assert np.array_equal(array, np.asarray(image))


def test_broken_exif_does_not_refuse_a_sound_picture(tmp_path):
    path = tmp_path / "picture.png"
    Image.new("RGB", (3, 2)).save(path, exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert open_image(path).shape == (2, 3, 3)


# ---------------------------------------------------------------------------- limits


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".gif", ".tif", ".bmp", ".ppm"])
def test_max_pixels_alone_is_the_limit_and_pillow_is_not_asked(tmp_path, monkeypatch, suffix):
    path = tmp_path / f"picture{suffix}"
    Image.fromarray(noise(10, 20, 3)).save(path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 50)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert open_image(path, max_pixels=200).shape[:2] == (10, 20)
        assert open_image(path, max_pixels=None).shape[:2] == (10, 20)
        assert open_image(str(path)).shape[:2] == (10, 20)
    with pytest.raises(ValueError, match="20 x 10 pixels are more than max_pixels=199; allow more"):
        open_image(path, max_pixels=199)
    assert Image.MAX_IMAGE_PIXELS == 50


@pytest.mark.parametrize(
    ("max_pixels", "error"), [(0, ValueError), (-1, ValueError), (1.5, TypeError), ("9", TypeError)]
)
def test_max_pixels_must_be_a_positive_integer(tmp_path, max_pixels, error):
    with pytest.raises(error, match="max_pixels="):
        open_image(tmp_path / "picture.png", max_pixels=max_pixels)


def test_pictures_open_in_many_threads_with_limits_of_their_own(tmp_path):
    Image.new("RGB", (20, 10)).save(tmp_path / "picture.png")
    answers = []

    def work(max_pixels):
        for _ in range(20):
            try:
                open_image(tmp_path / "picture.png", max_pixels=max_pixels)
                answers.append(max_pixels >= 200)
            except ValueError:
                answers.append(max_pixels < 200)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, (199, 200, 10, 1000)))
    assert answers == [True] * 80


# ---------------------------------------------------------------------------- broken files


def encoded(name):
    file = io.BytesIO()
    Image.fromarray(noise(32, 32, 3)).save(file, name)
    return file.getvalue()


@pytest.mark.parametrize("name", ["PNG", "JPEG", "GIF", "TIFF", "BMP", "WEBP", "PPM", "ICO"])
def test_a_truncated_file_is_one_line_of_oserror_that_names_it(tmp_path, name):
    data = encoded(name)
    path = tmp_path / "cut.bin"
    for length in (1, 9, 17, 30, len(data) // 2, len(data) * 9 // 10):
        path.write_bytes(data[:length])
        with pytest.raises(OSError, match=r"cut\.bin: ") as caught, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            open_image(path)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "data", [b"", b"\0", b"no picture at all, but some text", b"\x89PNG\r\n\x1a\n"]
)
def test_what_is_no_picture_is_an_oserror(tmp_path, data):
    (tmp_path / "text.png").write_bytes(data)
    with pytest.raises(OSError, match=r"text\.png: (not a picture|a broken or empty PNG)"):
        open_image(tmp_path / "text.png")


def test_a_missing_file_and_a_folder_are_the_usual_errors(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.png"):
        open_image(tmp_path / "none.png")
    with pytest.raises(OSError):
        open_image(tmp_path)


# ---------------------------------------------------------------------------- quantize


@pytest.mark.parametrize("k", [1, 2, 7, 16, 255, 256])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_up_to_256_colors_the_palette_is_exactly_the_fitted_colors(k, channels):
    pixels = noise(40, 30, channels)
    if channels == 4:
        pixels[..., 3] |= 1  # nothing fully transparent
    painted = quantize(pixels, k)
    fitted = premultiplied(pixels).astype(np.uint8) if channels == 4 else pixels
    n_colors = len(np.unique(fitted.reshape(-1, channels), axis=0))
    result = kf.fit(fitted, min(k, n_colors), refine=1)
    assert painted.mode == "P" and painted.size == (30, 40)
    assert np.array_equal(np.asarray(painted), result.labels)
    expected = np.rint(result.centroids).astype(np.uint8)
    if channels == 4:
        expected = shown_as(result.centroids)
    if channels == 1:
        expected = expected.repeat(3, axis=1)
    assert painted.getpalette() == expected[:, :3].reshape(-1).tolist()
    if channels == 4:
        assert np.array_equal(rgba_of(painted), expected[result.labels])


@pytest.mark.parametrize("channels", [3, 4])
def test_more_than_256_colors_paint_every_pixel(channels):
    pixels = noise(40, 30, channels)
    pixels[..., 3:] |= 1
    painted = quantize(pixels, 300)
    assert painted.mode == ("RGB" if channels == 3 else "RGBA")
    if channels == 4:
        result = kf.fit(premultiplied(pixels).astype(np.uint8), 300, refine=1)
        expected = shown_as(result.centroids)[result.labels]
    else:
        expected = kf.fit(pixels, 300, refine=1).recolor()
    assert np.array_equal(to_array(painted), expected)


def test_16_bit_grey_is_scaled_to_8_bits_in_a_palette_and_kept_beyond_it():
    pixels = noise(40, 30, 1, dtype=np.uint16)
    painted = quantize(pixels, 16)
    expected = np.rint(kf.fit(pixels, 16, refine=1).centroids / 257)
    assert painted.getpalette()[::3] == expected[:, 0].astype(int).tolist()
    deep = quantize(pixels, 400)
    assert deep.mode == "I;16"
    assert np.array_equal(to_array(deep), kf.fit(pixels, 400, refine=1).recolor())


def test_a_picture_with_fewer_colors_keeps_them_without_a_warning(recwarn):
    pixels = np.zeros((6, 6, 3), np.uint8)
    pixels[:2] = 10, 20, 30
    pixels[2:4] = 255, 0, 255
    for k in (3, 4, 256, 1000):
        painted = quantize(pixels, k)
        assert painted.mode == "P" and len(painted.getpalette()) == 9
        assert np.array_equal(to_array(painted.convert("RGB")), pixels)
    assert len(recwarn) == 0


def test_a_pillow_image_gives_what_its_array_gives(picture):
    from_array = quantize(picture, 8)
    from_image = quantize(Image.fromarray(picture), 8)
    assert from_array.getpalette() == from_image.getpalette()
    assert np.array_equal(np.asarray(from_array), np.asarray(from_image))


def test_the_options_reach_the_fit(picture):
    start = np.array([[0.0, 0, 0], [255, 255, 255]])
    for k, options in (
        (2, {"init": start, "max_iter": 1}),
        (2, {"init": start, "max_iter": 1, "refine": 0}),
        (5, {"random_state": 3, "n_threads": 1}),
        (5, {"random_state": 3, "refine": 0}),
        (5, {"random_state": 3, "refine": 3}),
    ):
        expected = kf.fit(picture, k, **{"refine": 1, **options}).palette
        assert quantize(picture, k, **options).getpalette() == expected.reshape(-1).tolist()


def test_a_path_or_a_file_is_read_where_a_picture_is_expected(tmp_path, picture):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exif = Image.Exif()
    exif[0x0112] = 6
    path = tmp_path / "picture.png"
    Image.fromarray(picture).save(path, icc_profile=profile, dpi=(150, 150), exif=exif)
    upright = np.rot90(picture, -1)
    expected = quantize(np.ascontiguousarray(upright), 4)
    with open(path, "rb") as file:
        file.read(5)
        for source in (path, str(path), file, io.BytesIO(path.read_bytes())):
            assert np.array_equal(open_image(source), upright)
            painted = quantize(source, 4)
            assert painted.tobytes() == expected.tobytes()
            assert painted.info["icc_profile"] == profile
            assert tuple(map(round, painted.info["dpi"])) == (150, 150)
        assert not file.closed


class Stream(io.RawIOBase):
    """What comes over a line, once."""

    def __init__(self, data):
        self._file = io.BytesIO(data)

    def read(self, size=-1):
        return self._file.read(size)


def test_files_that_are_no_files_on_a_disk(tmp_path):
    data = encoded("PNG")
    assert open_image(Stream(data)).shape == (32, 32, 3)
    with pytest.raises(ValueError, match="BytesIO: 32 x 32 pixels are more than max_pixels=9"):
        open_image(io.BytesIO(data), max_pixels=9)
    with pytest.raises(OSError, match="BytesIO: image file is truncated"):
        open_image(io.BytesIO(data[:200]))
    (tmp_path / "a.txt").write_text("text")
    with open(tmp_path / "a.txt", "rb") as file:
        with pytest.raises(OSError, match=r"a\.txt: not a picture"):
            open_image(file)
    with open(tmp_path / "a.txt") as text, pytest.raises(TypeError, match="open it with mode 'rb'"):
        open_image(text)
    with pytest.raises(TypeError, match="path is BytesIO; give the path of the file"):
        kf.open_tiles(io.BytesIO(data))


def test_a_grey_picture_needs_no_third_axis():
    for dtype in (np.uint8, np.uint16):
        grey = noise(20, 30, dtype=dtype)
        assert quantize(grey, 5).tobytes() == quantize(grey[..., None], 5).tobytes()
    # As a list of colours would be, which is no picture.
    with pytest.raises(ValueError, match=r"image has shape \(600, 3\)"):
        quantize(noise(600, 3), 5)


# ---------------------------------------------------------------------------- transparency


def with_alpha(picture):
    alpha = np.full(picture.shape[:2], 255, np.uint8)
    alpha[:, :10] = 0
    return np.dstack([picture, alpha])


@pytest.mark.parametrize(("k", "visible"), [(1, 1), (5, 5), (255, 255), (256, 255)])
def test_transparent_pixels_have_no_say_and_stay_transparent(picture, k, visible):
    pixels = with_alpha(picture)
    painted = quantize(pixels, k)
    result = kf.fit(np.ascontiguousarray(picture[:, 10:]), visible, refine=1)
    assert painted.mode == "P" and len(painted.getpalette()) == 3 * (visible + 1)
    assert painted.info["transparency"] == visible
    shown = rgba_of(painted)
    assert np.array_equal(shown[..., 3], pixels[..., 3])
    assert np.array_equal(shown[:, 10:, :3], result.recolor())


def test_what_transparent_pixels_hold_changes_nothing(picture):
    pixels = with_alpha(picture)
    other = pixels.copy()
    other[:, :10, :3] = noise(40, 10, 3)
    for k in (4, 300):
        assert quantize(pixels, k).tobytes() == quantize(other, k).tobytes()


def test_translucent_pixels_are_fitted_in_four_channels(picture):
    pixels = with_alpha(picture)
    pixels[:, 10:20, 3] = 100
    painted = quantize(pixels, 6)
    assert isinstance(painted.info["transparency"], bytes)
    result = kf.fit(premultiplied(pixels[:, 10:]).astype(np.uint8), 6, refine=1)
    shown = rgba_of(painted)
    assert (shown[:, :10, 3] == 0).all()
    assert np.array_equal(shown[:, 10:], shown_as(result.centroids)[result.labels])


def test_an_all_transparent_picture_stays_so():
    pixels = noise(5, 7, 4)
    pixels[..., 3] = 0
    for k in (1, 256, 300):
        painted = quantize(pixels, k, dither=k <= 256)
        assert painted.size == (7, 5)
        assert (rgba_of(painted)[..., 3] == 0).all()


# ---------------------------------------------------------------------------- dithering


@pytest.mark.parametrize("k", [1, 2, 3, 16, 200, 256])
@pytest.mark.parametrize("channels", [1, 3])
def test_dithering_uses_the_fitted_colors_and_no_others(picture, k, channels):
    pixels = np.ascontiguousarray(picture[..., :channels])
    plain, dithered = quantize(pixels, k), quantize(pixels, k, dither=True)
    assert dithered.mode == "P" and dithered.getpalette() == plain.getpalette()
    assert colors_of(rgba_of(dithered)) <= colors_of(rgba_of(plain))


def test_dithering_brings_the_mean_of_a_ramp_nearer():
    ramp = np.repeat(np.arange(256, dtype=np.uint8), 64).reshape(128, 128, 1)

    def error_of_means(image):
        shown = np.asarray(image.convert("L"), float)
        blocks = (shown - ramp[..., 0]).reshape(16, 8, 16, 8).mean(axis=(1, 3))
        return float(np.abs(blocks[5:11]).mean())  # between the two greys: 64 and 192

    assert error_of_means(quantize(ramp, 2, dither=True)) < error_of_means(quantize(ramp, 2)) / 2


def test_dithering_leaves_transparent_and_translucent_pixels_alone(picture):
    pixels = with_alpha(picture)
    plain, dithered = quantize(pixels, 4), quantize(pixels, 4, dither=True)
    assert np.array_equal(rgba_of(dithered)[..., 3], pixels[..., 3])
    assert (rgba_of(dithered) != rgba_of(plain)).any()
    pixels[:, 10:20, 3] = 100
    plain, dithered = quantize(pixels, 4), quantize(pixels, 4, dither=True)
    assert np.array_equal(rgba_of(dithered)[:, :20], rgba_of(plain)[:, :20])


@pytest.mark.parametrize("kind", ["grey", "rgb", "rgba", "deep grey", "deep rgb"])
@pytest.mark.parametrize("k", [16, 256])
def test_dithering_leaves_a_picture_of_no_more_colors_as_it_is(kind, k):
    shades = np.random.default_rng(0).integers(0, k - (kind == "rgba"), (40, 30, 1), np.uint8)
    pixels = shades if "grey" in kind else np.insert(shades % 16, [1, 1], shades // 16, axis=2)
    pixels = with_alpha(pixels) if kind == "rgba" else pixels
    given = pixels.astype(np.uint16) * 257 if "deep" in kind else pixels
    shown = rgba_of(quantize(given, k, dither=True))
    expected = np.dstack([pixels] * 3) if "grey" in kind else pixels[..., :3]
    seen = shown[..., 3] > 0
    assert np.array_equal(seen, pixels[..., 3] > 0 if kind == "rgba" else np.ones((40, 30), bool))
    assert np.array_equal(shown[seen][:, :3], expected[seen])


def test_dithering_leaves_the_colors_of_a_palette_that_is_given_as_they_are():
    palette = [(shade, shade, shade) for shade in range(40, 56)]
    pixels = noise(40, 30, 1) % 16 + 40
    dithered = quantize(pixels, palette=palette, dither=True)
    assert np.array_equal(np.asarray(dithered), pixels[..., 0] - 40)
    pixels[10:20] = 200  # is none of them
    pixels[20:30] = 39
    dithered = quantize(pixels, palette=palette, dither=True)
    there = (pixels >= 40) & (pixels < 56)
    assert np.array_equal(np.asarray(dithered)[there[..., 0]], pixels[there] - 40)


# ---------------------------------------------------------------------------- writing


SAVED = [".png", ".gif", ".tif", ".tiff", ".bmp", ".webp", ".jpg", ".jpeg"]


@pytest.mark.parametrize("suffix", [*SAVED, ".PNG"])
def test_every_format_shows_the_same_colors(tmp_path, picture, suffix):
    path = tmp_path / f"out{suffix}"
    painted = quantize(picture, 8)
    save_image(painted, path)
    expected = np.asarray(painted.convert("RGB"))
    shown = open_image(path)
    if suffix in (".jpg", ".jpeg"):
        assert np.abs(shown.astype(int) - expected).mean() < 3
    else:
        assert np.array_equal(shown, expected)
    assert os.listdir(tmp_path) == [path.name]


@pytest.mark.parametrize("suffix", [".png", ".gif"])
def test_an_indexed_format_keeps_the_palette(tmp_path, picture, suffix):
    painted = quantize(with_alpha(picture), 7)
    save_image(painted, tmp_path / f"out{suffix}")
    with Image.open(tmp_path / f"out{suffix}") as image:
        assert image.mode == "P" and image.info["transparency"] == 7
        assert np.array_equal(np.asarray(image), np.asarray(painted))
        assert image.getpalette()[: 8 * 3] == painted.getpalette()


@pytest.mark.parametrize("suffix", [".png", ".tif", ".webp"])
@pytest.mark.parametrize("translucent", [False, True])
@pytest.mark.parametrize("k", [7, 300])
def test_transparency_survives_where_the_format_can_hold_it(
    tmp_path, picture, suffix, translucent, k
):
    pixels = with_alpha(picture)
    if translucent:
        pixels[:, 10:20, 3] = 100
    painted = quantize(pixels, k)
    save_image(painted, tmp_path / f"out{suffix}")
    shown, expected = open_image(tmp_path / f"out{suffix}"), rgba_of(painted)
    assert np.array_equal(shown[..., 3], expected[..., 3])
    seen = expected[..., 3] > 0
    assert np.array_equal(shown[seen], expected[seen])


@pytest.mark.parametrize(
    ("suffix", "k", "alpha", "message"),
    [
        (".jpg", 4, 0, "JPEG cannot hold transparent pixels; write .png instead"),
        (".bmp", 4, 0, "BMP cannot hold transparent pixels"),
        (".gif", 4, 100, "GIF cannot hold translucent pixels"),
        (".jpg", 300, 100, "JPEG cannot hold such transparency"),
        (".gif", 300, 255, "GIF cannot hold pixels of mode RGB"),
    ],
)
def test_a_format_that_cannot_hold_the_picture_is_refused_with_the_remedy(
    tmp_path, picture, suffix, k, alpha, message
):
    pixels = with_alpha(picture)
    pixels[:, :10, 3] = alpha
    target = tmp_path / f"out{suffix}"
    target.write_bytes(b"before")
    with pytest.raises(ValueError, match=message):
        save_image(quantize(pixels, k), target)
    assert target.read_bytes() == b"before"


def test_16_bit_grey_is_written_in_full(tmp_path):
    painted = quantize(noise(40, 30, 1, dtype=np.uint16), 400)
    for suffix in (".png", ".tif"):
        save_image(painted, tmp_path / f"out{suffix}")
        assert np.array_equal(open_image(tmp_path / f"out{suffix}"), to_array(painted))


@pytest.mark.parametrize("name", ["out.xyz", "out", "out.pdf"])
def test_an_unknown_suffix_names_those_that_work(tmp_path, name):
    with pytest.raises(ValueError, match=r"unknown suffix '.*'; use one of \.png, \.gif"):
        save_image(Image.new("P", (1, 1)), tmp_path / name)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
@pytest.mark.parametrize("where", ["save", "replace"])
def test_a_failure_leaves_nothing_behind_and_the_target_untouched(
    tmp_path, monkeypatch, error, where
):
    target = tmp_path / "out.png"
    target.write_bytes(b"before")

    def fail(*args, **options):
        raise error

    if where == "save":
        monkeypatch.setattr(Image.Image, "save", fail)
    else:
        monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(type(error), match=r"out\.png: cannot be written.*No space|^$"):
        save_image(Image.new("P", (1, 1)), target)
    assert os.listdir(tmp_path) == ["out.png"]
    assert target.read_bytes() == b"before"


@pytest.mark.skipif(os.name == "nt", reason="permissions of POSIX")
@pytest.mark.parametrize("mask", [0o022, 0o077])
def test_the_permissions_follow_the_umask(tmp_path, mask):
    before = os.umask(mask)
    try:
        save_image(Image.new("P", (1, 1)), tmp_path / "out.png")
    finally:
        os.umask(before)
    assert (tmp_path / "out.png").stat().st_mode & 0o777 == 0o666 & ~mask


# ---------------------------------------------------------------------------- what is carried over


@pytest.mark.parametrize("suffix", [".png", ".tif", ".jpg"])
def test_profile_and_resolution_of_the_source_are_kept(tmp_path, picture, suffix):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    source = Image.fromarray(picture)
    source.save(tmp_path / "source.png", icc_profile=profile, dpi=(150, 150))
    with Image.open(tmp_path / "source.png") as image:
        save_image(quantize(image, 4), tmp_path / f"out{suffix}")
    with Image.open(tmp_path / f"out{suffix}") as image:
        assert image.info["icc_profile"] == profile
        assert tuple(map(round, image.info["dpi"])) == (150, 150)


def test_what_is_not_true_of_the_result_is_not_carried(picture):
    image = Image.fromarray(picture).convert("L")
    image.info |= {"icc_profile": grey_profile(SRGB_CURVE), "dpi": (float("nan"), 72)}
    assert quantize(image, 4).info == {}
