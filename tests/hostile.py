"""Damaged pictures, and what the command line has to do with them.

``python -m tests.hostile SECONDS [SEED]`` makes and tries as many as it can in a process whose
memory is bounded; a picture that breaks a promise is left in the current folder.
"""

from __future__ import annotations

import contextlib
import functools
import io
import random
import struct
import sys
import tempfile
import time
import warnings
import zlib
from pathlib import Path
from unittest import mock

import numpy as np
from PIL import Image, features

from kmeans_fast import cli
from kmeans_fast.cli.messages import quiet_decoders
from kmeans_fast.pictures.tiles import open_tiles

from .pictures import grey_profile, ink_profile, photograph, power_curve, rgb_profile, tiff_file

HEIGHT, WIDTH = 20, 26
MAX_PIXELS = 4000
# What a picture at the limit may take, and what memory comes and goes by anyhow.
MOST_BYTES = 16 * MAX_PIXELS + 2**25
# Numbers that headers lie with.
EXTREMES = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
COMMANDS = [
    *(["quantize", "-k", "5", "-o", f"out{suffix}"] for suffix in (".png", ".tif", ".gif", ".jpg")),
    ["quantize", "-k", "300", "-o", "out.bmp"],
    ["quantize", "-k", "300", "-o", "out.tif"],
    ["quantize", "-k", "4", "--dither", "-o", "out.webp"],
    ["quantize", "-k", "4", "--shared", "-o", "out.png"],
    ["palette", "-k", "4", "-o", "out.png"],
    ["palette", "-k", "300", "--json"],
]


@functools.cache
def seeds() -> dict[str, bytes]:
    """Return sound pictures of many formats and modes, small ones."""
    rgb = Image.fromarray(photograph(HEIGHT, WIDTH))
    grey16 = Image.fromarray(photograph(HEIGHT, WIDTH, 1, np.uint16)[..., 0])
    rgba = rgb.copy()
    rgba.putalpha(rgb.convert("L").point(lambda value: 0 if value < 90 else 255))
    pages = [rgb, rgb.rotate(180), rgb.convert("L")]
    exif = Image.Exif()
    exif[274], exif[282], exif[305] = 6, 72.0, "made in code"
    profile, grey, ink = rgb_profile("P3"), grey_profile(power_curve(1.4)), ink_profile()
    found: dict[str, bytes] = {}

    def add(name: str, image: Image.Image, form: str, **options: object) -> None:
        file = io.BytesIO()
        image.copy().save(file, form, **options)
        found[name] = file.getvalue()

    for mode in ("1", "L", "LA", "P", "RGB"):
        add(f"png {mode}", rgb.convert(mode), "PNG")
    add("png RGBA", rgba, "PNG", icc_profile=profile, exif=exif, dpi=(72, 72))
    add("png 16", grey16, "PNG", transparency=7)
    add("apng", rgb, "PNG", save_all=True, append_images=pages)
    add("png P transparent", rgb.quantize(9), "PNG", transparency=b"\xff\x80\0")
    add("jpeg", rgb, "JPEG", exif=exif, icc_profile=profile, comment=b"text")
    add("jpeg progressive", rgb, "JPEG", progressive=True)
    add("jpeg CMYK", rgb.convert("CMYK"), "JPEG")
    add("mpo", rgb, "MPO", save_all=True, append_images=pages[1:2])
    add("gif", rgb.convert("P"), "GIF", transparency=3)
    add("gif animation", rgb, "GIF", save_all=True, append_images=pages[1:], disposal=2)
    for name in ("raw", "tiff_lzw", "tiff_adobe_deflate", "jpeg", "packbits"):
        add(f"tiff {name}", rgb, "TIFF", compression=name, strip_size=400, icc_profile=profile)
    add(
        "tiff pages",
        pages[0],
        "TIFF",
        save_all=True,
        append_images=[page.copy() for page in pages[1:]],
        exif=exif,
    )
    add("tiff group4", rgb.convert("1"), "TIFF", compression="group4")
    add("tiff 16", grey16, "TIFF", strip_size=400, icc_profile=grey)
    add("tiff 16 lzw", grey16, "TIFF", compression="tiff_lzw", big_tiff=True)
    for mode, of_mode in (("LAB", b""), ("CMYK", ink), ("L", grey), ("LA", grey), ("PA", profile)):
        options = {"compression": "tiff_lzw", "strip_size": 400, "icc_profile": of_mode}
        add(f"tiff {mode}", rgb.convert(mode), "TIFF", **options)
    for mode in ("1", "P", "RGB"):
        add(f"bmp {mode}", rgb.convert(mode), "BMP")
    for mode in ("1", "L", "RGB"):
        add(f"ppm {mode}", rgb.convert(mode), "PPM")
    add("ppm 16", Image.fromarray(np.asarray(grey16).astype(np.int32)), "PPM")
    for form in ("png", "bmp"):
        add(f"ico {form}", rgba, "ICO", sizes=[(16, 12), (26, 20)], bitmap_format=form)
    add("icns", rgba.resize((16, 16)), "PNG")
    found["icns"] = icns(b"icp4", found["icns"])
    for mode in ("L", "RGB", "RGBA"):
        add(f"tga {mode}", rgba.convert(mode), "TGA", compression="tga_rle")
    add("pcx", rgb, "PCX")
    add("sgi", rgb, "SGI")
    add("dds", rgba, "DDS")
    if features.check("webp"):
        add("webp", rgb, "WEBP", icc_profile=profile, exif=exif)
        add("webp animation", rgba, "WEBP", lossless=True, save_all=True, append_images=pages)
    if features.check("jpg_2000"):
        add("jp2", rgb, "JPEG2000")
        add("j2k", rgba, "JPEG2000", no_jp2=True, tile_size=(16, 16))
    if "AVIF" in Image.SAVE:
        add("avif", rgb, "AVIF", speed=10)
    return found


def png(
    width: int, height: int, *chunks: tuple[bytes, bytes], pixels: bytes = b"\0",
    kind: tuple[int, int] = (8, 0), interlaced: bool = False,
) -> bytes:  # fmt: skip
    """Return a PNG, of greys or another kind, with these chunks between header and pixels."""
    header = struct.pack(">IIBBBBB", width, height, *kind, 0, 0, interlaced)
    data = b"\x89PNG\r\n\x1a\n"
    for name, value in ((b"IHDR", header), *chunks, (b"IDAT", pixels), (b"IEND", b"")):
        data += struct.pack(">I", len(value)) + name + value
        data += struct.pack(">I", zlib.crc32(name + value))
    return data


def icns(name: bytes, inner: bytes) -> bytes:
    """Return an icon of one picture."""
    return b"icns" + struct.pack(">L4sL", 16 + len(inner), name, 8 + len(inner)) + inner


def bombs() -> dict[str, bytes]:
    """Return small files that say, or hold, very much more."""
    sound = seeds()
    squeezer = zlib.compressobj()
    zeros = b"".join(squeezer.compress(bytes(8001)) for _ in range(8000)) + squeezer.flush()
    inner = png(8000, 8000, pixels=zeros)
    icon = struct.pack("<LllHH24x", 40, 12_000, 24_000, 1, 32) + bytes(999)
    wide, high = struct.pack(">II", 65_000, 65_000), struct.pack("<HH", 65_000, 65_000)

    def ico(inner: bytes) -> bytes:
        entry = struct.pack("<BBxxHHLL", 16, 16, 1, 32, len(inner), 22)
        return struct.pack("<HHH", 0, 1, 1) + entry + inner

    def put(name: str, after: bytes | int, value: bytes) -> bytes:
        data = bytearray(sound[name])
        at = after if isinstance(after, int) else data.index(after) + len(after)
        data[at : at + len(value)] = value
        return bytes(data)

    def block(
        side: int, shape: tuple[int, int], data: bytes, form: int, channels: int = 3
    ) -> bytes:
        tags = {258: [8] * 3, 277: channels, 259: form, 262: 6 if form == 7 else 2}
        return tiff_file(shape, [data], tags, side=(side, side))

    jpeg = io.BytesIO()
    Image.new("RGB", (2000, 2000)).save(jpeg, "JPEG")
    npy = io.BytesIO()
    np.save(npy, photograph(HEIGHT, WIDTH))
    found = {
        "png": png(60_000, 60_000),
        "png of two headers": png(26, 20, (b"IHDR", wide + b"\x08\0\0\0\0")),
        "png text": png(26, 20, (b"zTXt", b"key\0\0" + zeros)),
        "png profile": png(26, 20, (b"iCCP", b"name\0\0" + zeros)),
        "png chunk": png(26, 20)[:33] + b"\x7f\xff\xff\xffIDAT" + bytes(99),
        "ico of a png": ico(inner),
        "ico of a bitmap": ico(icon),
        "icns": icns(b"ic07", inner),
        "jpeg": put("jpeg", b"\xff\xc0\0\x11\x08", wide[2:4] + wide[6:]),
        "jpeg progressive": put("jpeg progressive", b"\xff\xc2\0\x11\x08", wide[2:4] + wide[6:]),
        "gif screen": put("gif", 6, high),
        "gif frame": put("gif", b"\x2c\0\0\0\0", struct.pack("<HH", 8000, 8000)),
        "bmp": put("bmp RGB", 18, struct.pack("<ll", 2**31 - 1, 20)),
        "bmp of negative height": put("bmp RGB", 18, struct.pack("<ll", 26, -(2**31))),
        "bmp of negative width": put("bmp RGB", 18, struct.pack("<ll", -26, -20)),
        "ppm": b"P6 60000 60000 255\n" + bytes(99),
        "ppm of text": b"P3 60000 60000 255\n 1 2 3",
        "ppm of large numbers": b"P6 26 20 4294967295\n" + bytes(3 * 26 * 20),
        "tga": put("tga RGB", 12, high),
        "pcx": put("pcx", 4, bytes(4) + high),
        "sgi": put("sgi", 6, wide[2:4] + wide[6:]),
        "dds": put("dds", 12, struct.pack("<II", 60_000, 60_000)),
        "tiff of one tile": block(16_000, (20, 26), zlib.compress(bytes(10**6)), 8),
        "tiff of one small tile": block(16_000, (5, 10), zlib.compress(bytes(10**6)), 8),
        "tiff of a larger jpeg": block(32, (20, 26), jpeg.getvalue(), 7),
        "tiff of many channels": block(32, (20, 26), bytes(999), 1, channels=256),
        "tiff of one directory": tiff_of_overlaps(),
        "npy": npy.getvalue().replace(b"(20, 26, 3)", b"(99999999, 26, 3)"),
    }
    if "webp" in sound:
        found["webp"] = put("webp", 24, b"\xff\x3f\0\xff\x3f\0")
    if "jp2" in sound:
        found["jp2"] = put("jp2", b"ihdr", wide)
        found["jp2 within"] = put("jp2", b"\xff\x4f\xff\x51\0\x2f\0\0", wide)
        found["j2k tile"] = put("j2k", 24, wide)
    if "avif" in sound:
        found["avif"] = put("avif", b"ispe\0\0\0\0", struct.pack(">II", 16_000, 16_000))
    return found


def tiff_of_overlaps() -> bytes:
    """Return a TIFF of two megabytes of which many tags claim the whole."""
    tags = (*range(256, 300), *range(317, 348), 529, 530, 532, 34675)
    size = 2**21
    data = struct.pack("<2sHLH", b"II", 42, 8, len(tags))
    for tag in tags:
        data += struct.pack("<HHLL", tag, 1, size - 8, 8)
    return data + bytes(size - len(data))


def mutate(rng: random.Random, data: bytes) -> bytes:
    """Damage a file once to six times."""
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 3, 6))):
        if changed:
            rng.choice(_DAMAGES)(rng, changed)
    return bytes(changed)


def _place(rng: random.Random, data: bytearray) -> int:
    """Return a place, half the time in the header."""
    return rng.randrange(min(len(data), rng.choice((32, 128, 2**30))))


def _flip(rng: random.Random, data: bytearray) -> None:
    for _ in range(rng.choice((1, 3, 20))):
        data[_place(rng, data)] ^= 1 << rng.randrange(8)


def _overwrite(rng: random.Random, data: bytearray) -> None:
    at, form = _place(rng, data), rng.choice(("B", "<H", ">H", "<L", ">L"))
    size = struct.calcsize(form)
    value = rng.choice((*EXTREMES, rng.randrange(2**32))) & (2 ** (8 * size) - 1)
    data[at : at + size] = struct.pack(form, value)


def _truncate(rng: random.Random, data: bytearray) -> None:
    del data[_place(rng, data) :]


def _insert(rng: random.Random, data: bytearray) -> None:
    at = _place(rng, data)
    data[at:at] = rng.choice((rng.randbytes(rng.choice((1, 4, 50))), bytes(9), b"\xff" * 9))


def _remove(rng: random.Random, data: bytearray) -> None:
    at = _place(rng, data)
    del data[at : at + rng.choice((1, 2, 4, 40))]


def _swap(rng: random.Random, data: bytearray) -> None:
    size = rng.choice((1, 2, 4, 12, 60))
    one, other = _place(rng, data), _place(rng, data)
    if abs(one - other) >= size and max(one, other) + size <= len(data):
        a, b = data[one : one + size], data[other : other + size]
        data[one : one + size], data[other : other + size] = b, a


def _repeat(rng: random.Random, data: bytearray) -> None:
    at, size = _place(rng, data), rng.choice((4, 12, 100))
    data[at:at] = data[at : at + size] * rng.choice((1, 2, 30))


_DAMAGES = (_flip, _flip, _overwrite, _overwrite, _truncate, _insert, _remove, _swap, _repeat)


def check(data: bytes, command: list[str], folder: Path) -> int:
    """Give a file to a command in an empty folder, and see that all promises are kept.

    Returns
    -------
    int
        The exit code.
    """
    picture, out, err = folder / "picture", io.StringIO(), io.StringIO()
    picture.write_bytes(data)
    arguments, target = [command[0], str(picture), *command[1:]], None
    if "-o" in command:
        target = folder / command[-1]
        target.write_bytes(b"before")
        arguments[-1:] = [str(target), "--force"]
    # Small as they are, TIFFs are read and written in tiles.
    tiles = (
        mock.patch("kmeans_fast.pictures.tiles.TILE_PIXELS", 100),
        mock.patch("kmeans_fast.cli.commands.TILED", 200),
    )
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), tiles[0], tiles[1]:
        status = cli.main([*arguments, "--max-pixels", str(MAX_PIXELS), "--threads", "1"])
    assert status in (0, 2), f"exit code {status}"
    said = err.getvalue().splitlines()
    assert all(line.startswith("kmeans-fast: ") and len(line) < 400 for line in said), said
    errors = [line for line in said if ": error: " in line]
    assert len(errors) == (status == 2), said
    assert not any("enough memory" in line or "out of memory" in line for line in said), said
    assert not (status and out.getvalue()), out.getvalue()
    assert picture.read_bytes() == data
    if target and status:
        assert target.read_bytes() == b"before", "the output is touched"
    elif target:
        with Image.open(target) as image, warnings.catch_warnings(), quiet_decoders():
            warnings.simplefilter("ignore")
            image.load()
            if command[0] == "quantize":
                height, width = open_tiles(picture, tile_pixels=100).shape[:2]
                assert image.size == (width, height), image.size
    left = sorted(folder.iterdir())
    assert left == sorted({picture, target or picture}), left
    for path in left:
        path.unlink()
    return status


def peak() -> int:
    """Return the most memory that this process has had, in bytes."""
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (
        1 if sys.platform == "darwin" else 1024
    )


def limit_memory(more: int) -> None:
    """Let no allocation succeed that is out of proportion, touched or not (Linux)."""
    import resource

    with contextlib.suppress(OSError):
        lines = Path("/proc/self/status").read_text().splitlines()
        (size,) = (int(line.split()[1]) * 1024 for line in lines if line.startswith("VmSize"))
        resource.setrlimit(resource.RLIMIT_AS, (size + more, resource.RLIM_INFINITY))


def try_many(seconds: float, seed: int, most: int = sys.maxsize) -> str:
    """Try bombs, and damaged files for so long, or so many; return what was done."""
    sound, rng, refused, n = seeds(), random.Random(seed), 0, 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        bytes_of_bombs = bombs()
        for command in COMMANDS:  # what is loaded once
            for data in list(sound.values())[:: 1 if command is COMMANDS[0] else 9]:
                check(data, command, folder)
        limit_memory(2**28)
        before, end = peak(), time.monotonic() + seconds
        for kind, data in bytes_of_bombs.items():
            assert check(data, COMMANDS[0], folder) == 2, f"{kind} is taken"
            assert peak() - before < MOST_BYTES, f"{kind} takes {peak() - before} bytes of memory"
        while time.monotonic() < end and n < most:
            kind = rng.choice(list(sound))
            data, command = mutate(rng, sound[kind]), rng.choice(COMMANDS)
            try:
                refused += check(data, command, folder) == 2
                assert peak() - before < MOST_BYTES, f"{peak() - before} bytes of memory"
            except BaseException:
                Path("hostile-picture").write_bytes(data)
                print(f"seed {seed}, turn {n}: {kind}, {command}", file=sys.stderr)
                raise
            n += 1
    return f"{n} damaged files, {refused} refused; memory +{(peak() - before) / 2**20:.1f} MB"


if __name__ == "__main__":
    print(try_many(float(sys.argv[1]), int((sys.argv + ["0"])[2])))
