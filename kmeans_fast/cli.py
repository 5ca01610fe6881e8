"""The command line: ``kmeans-fast quantize``, ``palette``, ``explore`` and ``info``."""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import os
import signal
import stat
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import IO, TYPE_CHECKING, Any, NoReturn

# Only what is quick to import: NumPy, Pillow and Numba wait until there is work, so that --help
# and wrong usage answer at once.
if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image

    from . import KMeansResult
    from .painting import VisibleColors
    from .pictures.tiles import Tiles

PROG = "kmeans-fast"
# From so many pixels on a TIFF is written a tile at a time: 700 MB as Pillow would hold it.
TILED = 2**26
FAILED = 2
INTERRUPTED = 130

_EXAMPLES = """\
examples:
  kmeans-fast quantize photo.jpg -k 16 -o out.png
  kmeans-fast quantize *.jpg -k 64 --shared -o folder
  kmeans-fast quantize scan.tif -k 64 -o small.tif
  kmeans-fast palette photo.jpg -k 8 --sort share
  kmeans-fast palette photo.jpg -k 8 --json -o swatch.png
  kmeans-fast explore photo.jpg -o page.html
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return 0, or 2 for bad input or usage, or 128 + n after a signal."""
    with _standard_streams(), _stopped_by_signals():
        try:
            try:
                status = _run(argv)
            except SystemExit as stop:  # --help, --version or wrong usage; or a signal
                status = stop.code if isinstance(stop.code, int) else FAILED
            sys.stdout.flush()
            return status
        except KeyboardInterrupt:
            _say(f"{PROG}: interrupted")
            return INTERRUPTED
        except BrokenPipeError:  # the reader (`| head`) has seen enough
            return 0
        except (OSError, ValueError, TypeError, ImportError, MemoryError) as error:
            _complain(error)
            return FAILED


def _run(argv: Sequence[str] | None) -> int:
    options = _parser().parse_args(argv)
    with warnings.catch_warnings(), _quiet_decoders():
        from .pictures.profiles import ProfileWarning
        from .pictures.reading import LeftOutWarning

        told: set[str] = set()

        def show(message: Warning | str, *_: Any, **__: Any) -> None:
            if str(message) not in told:  # a file may be read twice
                told.add(str(message))
                _say(f"{PROG}: warning: {message}")

        warnings.simplefilter("ignore")  # but what is lost or may shift, in one line
        for category in (LeftOutWarning, ProfileWarning):
            warnings.filterwarnings("always", category=category)
        warnings.showwarning = show
        status: int = options.run(options)
        return status


@contextlib.contextmanager
def _standard_streams() -> Iterator[None]:
    """Let there be streams, whatever the descriptors 0 to 2 are.

    A file that is opened later must not take the number of one that is closed: libtiff writes to 2.
    """
    while (nowhere := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    with open(nowhere, "w") as null, contextlib.ExitStack() as missing:
        if sys.stdout is None:
            missing.enter_context(contextlib.redirect_stdout(null))
        if sys.stderr is None:
            missing.enter_context(contextlib.redirect_stderr(null))
        try:
            yield
        finally:
            for stream in (sys.stdout, sys.stderr):
                with contextlib.suppress(OSError, ValueError):
                    try:
                        stream.flush()
                    except OSError:  # what is still buffered would fail again when Python exits
                        os.dup2(nowhere, stream.fileno())


@contextlib.contextmanager
def _stopped_by_signals() -> Iterator[None]:
    """End by SIGTERM or SIGHUP as by Ctrl-C: with nothing left behind. What is ignored stays so."""

    def stop(number: int, _: object) -> NoReturn:
        raise SystemExit(128 + number)

    before = {}
    with contextlib.suppress(ValueError):  # not in the main thread
        for name in ("SIGTERM", "SIGHUP"):
            number = getattr(signal, name, None)
            if number is not None and signal.getsignal(number) == signal.SIG_DFL:
                before[number] = signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _say(line: str) -> None:
    """Say so on stderr; one that cannot be written to is no reason to fail."""
    with contextlib.suppress(OSError, ValueError):
        print(line, file=sys.stderr, flush=True)


@contextlib.contextmanager
def _quiet_decoders() -> Iterator[None]:
    """Leave what is wrong with a file to one line of ours, not to Pillow's log or libtiff."""
    from .pictures.reading import quiet

    log, nowhere, token = logging.getLogger("PIL"), logging.NullHandler(), quiet.set(True)
    log.addHandler(nowhere)
    try:
        yield
    finally:
        log.removeHandler(nowhere)
        quiet.reset(token)


def _complain(error: Exception) -> None:
    if isinstance(error, MemoryError):
        message = " ".join(str(error).split()) or "not enough memory for this picture"
    elif isinstance(error, OSError) and error.strerror and error.filename is not None:
        message = f"{error.filename}: {error.strerror}"
    else:
        message = " ".join(str(error).split()) or type(error).__name__
    _say(f"{PROG}: error: {message}")


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        _say(f"{PROG}: error: {message} (see {self.prog} --help)")
        raise SystemExit(FAILED)


class _Version(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> NoReturn:
        from . import __version__

        print(f"{PROG} {__version__}")
        parser.exit()


def _whole(least: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number") from None
        if number < least:
            raise argparse.ArgumentTypeError(f"{number} is less than {least}")
        return number

    return parse


def _numbers(text: str) -> list[int]:
    """Return the whole numbers of a list such as 2-8,16."""
    numbers: set[int] = set()
    for part in text.split(","):
        first, dash, last = part.partition("-")
        try:
            low, high = int(first), int(last if dash else first)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r}: give such as 1-20 or 2,4,8") from None
        if not 1 <= low <= high <= 4096:
            raise argparse.ArgumentTypeError(f"{part!r}: give 1 to 4096, the lower first")
        numbers |= set(range(low, high + 1))
    return sorted(numbers)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog=PROG,
        description="Exact k-means of every pixel: reduce pictures to their best K colours.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="show the version and exit")
    commands = parser.add_subparsers(required=True, metavar="COMMAND", dest="command")

    fitting = _Parser(add_help=False)
    writing = _Parser(add_help=False)
    writing.add_argument("--force", action="store_true", help="replace a file that is there")
    colors = _Parser(add_help=False)
    colors.add_argument(
        "-k", "--colors", type=_whole(1), required=True, metavar="K", help="how many colours"
    )
    add = fitting.add_argument
    add("--seed", type=_whole(0), default=0, metavar="N", help="seed of the random start (0)")
    add("--max-iter", type=_whole(1), default=300, metavar="N", help="most iterations (300)")
    add("--threads", type=_whole(1), metavar="N", help="threads to use (all cores)")
    add(
        "--space",
        choices=("rgb", "oklab"),
        default="rgb",
        help="where distances are measured; oklab is nearer to what the eye sees (rgb)",
    )
    add(
        "--max-pixels",
        type=_whole(0),
        metavar="N",
        help="refuse pictures of more pixels (536870912, but for those that are read in tiles); "
        "0: no limit",
    )

    command = commands.add_parser(
        "quantize",
        parents=[colors, fitting, writing],
        help="write pictures with K colours",
        description="Write pictures with their best K colours (an indexed picture to K = 256).\n"
        "Fully transparent pixels stay so. The colour profile of an RGB picture is kept; .gif and\n"
        ".bmp, which know none, are sRGB, and so are grey, CMYK and --shared pictures. A TIFF of\n"
        "67 megapixels or more is read and written to a .tif a part at a time, and need not fit\n"
        "in memory.",
        epilog="examples:\n"
        "  kmeans-fast quantize photo.jpg -k 16 -o out.png\n"
        "  kmeans-fast quantize photo.jpg -k 16 --dither -o out.gif\n"
        "  kmeans-fast quantize *.jpg -k 64 --shared -o folder\n"
        "  kmeans-fast quantize holidays -k 64 -o folder\n",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("pictures", nargs="+", metavar="PICTURE", help="or a folder")
    command.add_argument(
        "-o",
        "--output",
        required=True,
        metavar="OUT",
        help="a file (.png, .gif, .tif, .bmp, .webp, .jpg), or a folder that exists: "
        "then each picture is written to it as NAME.png",
    )
    command.add_argument("--shared", action="store_true", help="one palette for all pictures")
    command.add_argument("--dither", action="store_true", help="Floyd-Steinberg dithering")
    command.set_defaults(run=_quantize)

    command = commands.add_parser(
        "palette",
        parents=[colors, fitting, writing],
        help="list the best K colours of a picture",
        description="List the best K colours of a picture, or of all in a folder, and how much\n"
        "each one paints. The numbers are sRGB, whatever the picture's colour profile.",
        epilog="examples:\n"
        "  kmeans-fast palette photo.jpg -k 8\n"
        "  kmeans-fast palette photo.jpg -k 8 --sort share --json\n"
        "  kmeans-fast palette photo.jpg -k 8 -o swatch.png\n",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("picture", metavar="PICTURE", help="or a folder")
    command.add_argument(
        "--sort",
        choices=("luminance", "share"),
        default="luminance",
        help="darkest first (the default), or largest share first",
    )
    command.add_argument("--json", action="store_true", help="print JSON, not a table")
    command.add_argument("-o", "--output", metavar="SWATCH", help="also draw the colours to a file")
    command.set_defaults(run=_palette)

    command = commands.add_parser(
        "explore",
        parents=[fitting, writing],
        help="write a page that shows a picture and its colours in space, with a slider over K",
        description="Write one HTML file, which needs no network: the picture in K colours beside\n"
        "its colours in space, the palette, and the inertia, with a slider over K.",
        epilog="examples:\n"
        "  kmeans-fast explore photo.jpg -o page.html\n"
        "  kmeans-fast explore photo.jpg -k 2-8,16,32 -o page.html\n",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("picture", metavar="PICTURE")
    command.add_argument(
        "-k", type=_numbers, default="1-20", metavar="KS", help="numbers and ranges (1-20)"
    )
    command.add_argument("-o", "--output", required=True, metavar="PAGE", help="a .html file")
    command.set_defaults(run=_explore)

    command = commands.add_parser("info", help="show versions, threads and the kernels' cache")
    command.set_defaults(run=_info)
    return parser


def _info(options: argparse.Namespace) -> int:
    from . import show_info

    show_info()
    return 0


@contextlib.contextmanager
def _saying_that_it_compiles() -> Iterator[None]:
    """Say so, once, if Numba really compiles; kernels found in the cache raise no such event."""
    from numba.core import event

    class Listener(event.Listener):
        said = False

        def on_start(self, event: Any) -> None:
            if not self.said:
                self.said = True
                message = "compiling the kernels for this machine, once (about 15 s)"
                _say(f"{PROG}: {message}")

        def on_end(self, event: Any) -> None:
            pass

    with event.install_listener("numba:compile", Listener()):
        yield


def _max_pixels(options: argparse.Namespace) -> int | None:
    from .pictures.reading import MAX_PIXELS

    return MAX_PIXELS if options.max_pixels is None else options.max_pixels or None


def _open_tiles(options: argparse.Namespace, picture: str, keep_profile: bool = False) -> Tiles:
    """Open one picture; the limit of `--max-pixels`, if it is given, is one for the whole."""
    from .pictures.tiles import TILE_PIXELS, open_picture

    tiles = open_picture(picture, TILE_PIXELS, _max_pixels(options), keep_profile)
    if options.max_pixels and tiles.n_pixels > options.max_pixels:
        raise ValueError(
            f"{picture}: {tiles.n_pixels} pixels are more than max_pixels={options.max_pixels}"
        )
    return tiles


def _read_whole(
    options: argparse.Namespace, tiles: Tiles, keep_profile: bool = False
) -> tuple[NDArray[Any], dict[str, Any]]:
    """Return all pixels, and what of the file's description is kept."""
    from .pictures.reading import read_picture

    if os.path.splitext(tiles.path)[1].lower() == ".npy":
        import numpy as np

        return np.concatenate(list(tiles)), {}
    return read_picture(tiles.path, max_pixels=_max_pixels(options), keep_profile=keep_profile)


def _each_tile(tiles: Tiles, doing: str) -> Iterator[tuple[tuple[slice, slice], NDArray[Any]]]:
    """Yield places and tiles, and say how far it is, a tenth at a time, where somebody watches."""
    n, progress = len(tiles), len(tiles) > 1 and sys.stderr.isatty()
    for at, item in enumerate(tiles.items()):
        yield item
        if progress and 10 * (at + 1) // n > 10 * at // n:
            _say(f"{tiles.path}: {doing} {100 * (at + 1) // n} %")


def _fit_options(options: argparse.Namespace) -> dict[str, Any]:
    return {
        "max_iter": options.max_iter,
        "space": options.space,
        "random_state": options.seed,
        "n_threads": options.threads,
    }


def _quantize(options: argparse.Namespace) -> int:
    from .pictures.saving import check_output

    if options.dither and options.colors > 256:
        raise ValueError(f"--dither works with at most 256 colours, not -k {options.colors}")
    options.pictures = _files(options.pictures)
    targets = _targets(options.pictures, options.output)
    for target in targets:
        check_output(target, options.colors)
    _check_files(options, options.pictures, targets)
    with _saying_that_it_compiles():
        if options.shared:
            return _quantize_shared(options, targets)
        return _each(options.pictures, lambda at: _quantize_one(options, at, targets[at]))


def _files(pictures: Sequence[str]) -> list[str]:
    """Put the pictures of a folder in its place."""
    files: list[str] = []
    for picture in pictures:
        if os.path.isdir(picture):
            from .pictures.tiles import pictures_in

            files += pictures_in(picture)
        else:
            files.append(picture)
    return files


def _targets(pictures: Sequence[str], output: str) -> list[str]:
    """Return the file that each picture is written to."""
    if not os.path.isdir(output):
        if len(pictures) > 1:
            raise ValueError(
                f"--output {output}: is not a folder; "
                f"make it first, since {len(pictures)} pictures are written to it"
            )
        return [output]
    targets: dict[str, str] = {}
    for picture in pictures:
        stem = os.path.splitext(os.path.basename(picture))[0]
        target = os.path.join(output, f"{stem}.png")
        if target in targets:
            raise ValueError(
                f"{targets[target]} and {picture} would both be written to {target}; "
                "rename one, or run them apart"
            )
        targets[target] = picture
    return list(targets)


def _check_files(
    options: argparse.Namespace, pictures: Sequence[str], targets: Sequence[str]
) -> None:
    """Refuse what would cost somebody a file, whatever the names that it goes by."""
    from .pictures.saving import check_target

    read, written = set(), set()
    for picture in pictures:
        with contextlib.suppress(OSError):  # told when it is read
            found = os.stat(picture)
            read.add((found.st_dev, found.st_ino))
    for target in targets:
        there = check_target(target)
        if there is None:
            continue
        file = there.st_dev, there.st_ino
        if file in read:
            raise ValueError(f"{target} is one of the pictures to read; give another name")
        if stat.S_ISREG(there.st_mode) and not options.force:
            raise FileExistsError(f"{target} is there already; give another name, or --force")
        if file in written:
            raise ValueError(f"{target} is one file with another output; remove one of the two")
        written.add(file)


def _each(pictures: Sequence[str], work: Callable[[int], None]) -> int:
    """Do `work` for each picture; one that fails does not stop the others."""
    status = 0
    progress = len(pictures) > 1 and sys.stderr.isatty()
    for at, picture in enumerate(pictures):
        if progress:
            _say(f"[{at + 1}/{len(pictures)}] {picture}")
        try:
            work(at)
        except (OSError, ValueError, MemoryError) as error:
            _complain(error)
            status = FAILED
    return status


def _in_tiles(options: argparse.Namespace, tiles: Tiles, target: str) -> bool:
    """Tell whether a picture is written a tile at a time: a large TIFF to a TIFF."""
    is_tiff = os.path.splitext(target)[1].lower() in (".tif", ".tiff")
    if len(tiles) < 2 or tiles.n_pixels < TILED:
        return False
    if is_tiff and not options.dither:
        return True
    limit = _max_pixels(options)
    if limit is not None and tiles.n_pixels > limit:
        raise ValueError(
            f"{tiles.path}: {tiles.n_pixels} pixels, more than max_pixels={limit}, are written to "
            ".tif only, without --dither; or allow more"
        )
    return False


def _quantize_one(options: argparse.Namespace, at: int, target: str) -> None:
    from .painting import VisibleColors, quantize
    from .pictures.saving import save_image

    tiles = _open_tiles(options, options.pictures[at], keep_profile=True)
    if _in_tiles(options, tiles, target):
        colors = VisibleColors()
        for _, tile in _each_tile(tiles, "counted"):
            colors.add(tile, n_threads=options.threads)
        _write_tiles(options, tiles, colors, colors.fit(options.colors, **_fit_options(options)),
                     target, lambda tile: tile)  # fmt: skip
        return
    pixels, info = _read_whole(options, tiles, keep_profile=True)
    painted = quantize(pixels, options.colors, dither=options.dither, **_fit_options(options))
    painted.info.update(info)
    save_image(painted, target)


def _write_tiles(
    options: argparse.Namespace,
    tiles: Tiles,
    colors: VisibleColors,
    result: KMeansResult | None,
    target: str,
    as_counted: Callable[[NDArray[Any]], NDArray[Any]],
) -> None:
    """Paint a picture and write it to an uncompressed TIFF, both a tile at a time."""
    import numpy as np

    from .painting import paint, palette_rgba
    from .pictures.saving import write_whole
    from .pictures.tiff import TiffWriter

    def write(file: IO[bytes]) -> None:
        writer = None
        for place, tile in _each_tile(tiles, "written"):
            pixels = as_counted(tile)
            painted = paint(pixels, result, n_threads=options.threads)
            # Where some tile has transparent pixels, all are written with them.
            if colors.transparent or (palette_rgba(result, pixels.dtype)[:, 3] < 255).any():
                painted = painted.convert("RGBA")
            if writer is None:
                palette = np.reshape(painted.getpalette() or [], (-1, 3))
                source = getattr(tiles, "tiff", None)
                writer = TiffWriter(
                    file, tiles.shape[:2], painted.mode, palette, source, tiles.profile
                )
            writer.write(place, np.asarray(painted))

    write_whole(target, write)


def _in_color(pixels: NDArray[Any]) -> NDArray[Any]:
    """Bring pixels of any kind to what all pictures of a palette share: 8 bits, RGB or RGBA."""
    from .painting import with_channels
    from .pictures.reading import to_uint8

    return with_channels(to_uint8(pixels), max(3, pixels.shape[2]))


def _quantize_shared(options: argparse.Namespace, targets: Sequence[str]) -> int:
    """Count the colours of all pictures, fit once, then read each again and paint it."""
    from .painting import VisibleColors, paint
    from .pictures.saving import save_image

    def count(at: int) -> None:
        tiles = _open_tiles(options, options.pictures[at])
        _in_tiles(options, tiles, targets[at])
        for _, tile in _each_tile(tiles, "counted"):
            colors.add(_in_color(tile), n_threads=options.threads)
        counted.append(at)

    def write(at: int) -> None:
        target = targets[counted[at]]
        tiles = _open_tiles(options, options.pictures[counted[at]])
        if _in_tiles(options, tiles, target):
            _write_tiles(options, tiles, colors, result, target, _in_color)
            return
        pixels, info = _read_whole(options, tiles)
        painted = paint(_in_color(pixels), result, dither=options.dither, n_threads=options.threads)
        painted.info.update(info)
        save_image(painted, target)

    colors = VisibleColors()
    counted: list[int] = []
    status = _each(options.pictures, count)
    result = colors.fit(options.colors, **_fit_options(options))
    return max(status, _each([options.pictures[at] for at in counted], write))


def _explore(options: argparse.Namespace) -> int:
    from .exploring import explore
    from .page import write_page
    from .pictures.reading import open_image
    from .pictures.saving import check_suffix, check_target

    there = check_target(options.output)
    if there is None or stat.S_ISREG(there.st_mode):  # a device or a pipe has any name
        check_suffix(options.output, (".html", ".htm"))
    _check_files(options, [options.picture], [options.output])
    with _saying_that_it_compiles():
        pixels = open_image(options.picture, max_pixels=_max_pixels(options))
        figure = explore(pixels, options.k, **_fit_options(options))
    write_page(figure, options.output)
    return 0


def _palette(options: argparse.Namespace) -> int:
    from .painting import VisibleColors, palette_rgba
    from .pictures.saving import check_output, save_image

    pictures, is_folder = _files([options.picture]), os.path.isdir(options.picture)
    if options.output:
        check_output(options.output)
        _check_files(options, pictures, [options.output])
    colors, n_pixels = VisibleColors(), 0
    with _saying_that_it_compiles():
        for picture in pictures:
            tiles = _open_tiles(options, picture)
            for _, tile in _each_tile(tiles, "counted"):
                pixels = _in_color(tile) if is_folder else tile
                colors.add(pixels, n_threads=options.threads)
            n_pixels += tiles.n_pixels
        result = colors.fit(options.colors, **_fit_options(options))
    rows = _rows(palette_rgba(result, pixels.dtype), result, options.sort)
    if options.output:
        if not rows:
            raise ValueError(f"{options.picture}: every pixel is transparent, so no swatch")
        save_image(_swatch([(*row["rgb"], row["alpha"]) for row in rows]), options.output)
    n_visible = sum(row["pixels"] for row in rows)
    if options.json:
        n_transparent = n_pixels - n_visible
        about = {"picture": options.picture, "pixels": n_visible, "transparent": n_transparent}
        print(json.dumps(about | {"colors": rows}, indent=2))
        return 0
    print("index  hex          R    G    B   share %")
    for index, row in enumerate(rows):
        r, g, b = row["rgb"]
        print(f"{index:5}  {row['hex']:9}  {r:3}  {g:3}  {b:3}  {row['share']:8.3f}")
    return 0


def _rows(
    colors: NDArray[np.uint8], result: KMeansResult | None, order: str
) -> list[dict[str, Any]]:
    """Describe each colour, in the order asked for."""
    rows = []
    for color, count in zip(colors.tolist(), result.counts if result else (), strict=True):
        *rgb, alpha = color
        hex_digits = bytes(color if alpha < 255 else rgb).hex()
        share = 100.0 * int(count) / int(result.counts.sum()) if result else 0.0
        row = {"hex": f"#{hex_digits}", "rgb": rgb, "alpha": alpha}
        rows.append(row | {"pixels": int(count), "share": share})

    def luminance(row: dict[str, Any]) -> float:
        r, g, b = row["rgb"]
        return float(0.2126 * r + 0.7152 * g + 0.0722 * b)  # of Rec. 709

    rows.sort(key=luminance)
    if order == "share":
        rows.sort(key=lambda row: -row["pixels"])
    return rows


def _swatch(colors: Sequence[tuple[int, ...]], side: int = 64, columns: int = 16) -> Image.Image:
    """Draw squares of the colours, in rows."""
    from PIL import Image

    columns = min(columns, len(colors))
    opaque = all(color[3] == 255 for color in colors)
    size = side * columns, side * -(-len(colors) // columns)
    swatch = Image.new("RGB" if opaque else "RGBA", size, "white" if opaque else (0, 0, 0, 0))
    for at, color in enumerate(colors):
        x, y = side * (at % columns), side * (at // columns)
        swatch.paste(color[: 3 if opaque else 4], (x, y, x + side, y + side))
    return swatch
