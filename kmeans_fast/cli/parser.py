"""What the command line takes, and its help."""

from __future__ import annotations

import argparse

from .._version import __version__
from .messages import FAILED, PROG, say

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import NoReturn

MOST_COLORS_TO_DITHER = 256
EXAMPLES = """\
quantize photo.jpg -k 16 -o out.png
quantize photo.jpg -k 16 --dither -o out.gif
quantize *.jpg -k 64 --shared -o folder
quantize holidays -k 64 -o folder
quantize scan.tif -k 64 -o small.tif
palette photo.jpg -k 8 --sort share
palette photo.jpg -k 8 --json -o swatch.png
explore photo.jpg -o page.html
explore photo.jpg -k 2-8,16,32 -o page.html
""".splitlines()


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the options, among them the command's name; end with one line where they are wrong."""
    parser = _parser()
    options = parser.parse_args(argv)
    if getattr(options, "dither", False) and options.colors > MOST_COLORS_TO_DITHER:
        most = f"at most {MOST_COLORS_TO_DITHER} colours"
        parser.error(f"--dither works with {most}, not -k {options.colors}")
    return options


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        say(f"{PROG}: error: {message} (see {self.prog} --help)")
        raise SystemExit(FAILED)


def _examples(command: str = "") -> str:
    some = [f"  {PROG} {example}" for example in EXAMPLES if example.startswith(command)]
    return "\n".join(["examples:", *some])


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


def _parser() -> _Parser:
    def command(name: str, *parents: _Parser, about: str, more: str) -> _Parser:
        return commands.add_parser(
            name,
            parents=parents,
            help=about,
            description=more,
            epilog=_examples(name),
            formatter_class=as_written,
        )

    as_written = argparse.RawDescriptionHelpFormatter
    parser = _Parser(
        prog=PROG,
        description="Exact k-means of every pixel: reduce pictures to their best K colours.",
        epilog=_examples(),
        formatter_class=as_written,
    )
    version = f"{PROG} {__version__}"
    parser.add_argument(
        "--version", action="version", version=version, help="show the version and exit"
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND", dest="command")

    fitting = _Parser(add_help=False)
    add = fitting.add_argument
    add("--seed", type=_whole(0), default=0, metavar="N", help="seed of the random start (0)")
    add("--max-iter", type=_whole(1), default=300, metavar="N", help="most iterations (300)")
    add("--threads", type=_whole(1), metavar="N", help="threads to use (all cores)")
    spaces = "where distances are measured; oklab is nearer to what the eye sees (rgb)"
    add("--space", choices=("rgb", "oklab"), default="rgb", help=spaces)
    most = "refuse pictures of more pixels (536870912, but for those that are read in tiles); "
    add("--max-pixels", type=_whole(0), metavar="N", help=most + "0: no limit")
    add("--force", action="store_true", help="replace a file that is there")

    colors = _Parser(add_help=False)
    add = colors.add_argument
    add("-k", "--colors", type=_whole(1), required=True, metavar="K", help="how many colours")

    add = command(
        "quantize",
        colors,
        fitting,
        about="write pictures with K colours",
        more="Write pictures with their best K colours (an indexed picture to K = 256).\n"
        "Fully transparent pixels stay so. The colour profile of an RGB picture is kept; .gif and\n"
        ".bmp, which know none, are sRGB, and so are grey, CMYK and --shared pictures. A TIFF of\n"
        "67 megapixels or more is read and written to a .tif a part at a time, and need not fit\n"
        "in memory.",
    ).add_argument
    add("pictures", nargs="+", metavar="PICTURE", help="or a folder")
    kinds = "a file (.png, .gif, .tif, .bmp, .webp, .jpg), or a folder that exists: "
    each = "then each picture is written to it as NAME.png"
    add("-o", "--output", required=True, metavar="OUT", help=kinds + each)
    add("--shared", action="store_true", help="one palette for all pictures")
    add("--dither", action="store_true", help="Floyd-Steinberg dithering")

    add = command(
        "palette",
        colors,
        fitting,
        about="list the best K colours of a picture",
        more="List the best K colours of a picture, or of all in a folder, and how much\n"
        "each one paints. The numbers are sRGB, whatever the picture's colour profile.",
    ).add_argument
    add("picture", metavar="PICTURE", help="or a folder")
    orders = "darkest first (the default), or largest share first"
    add("--sort", choices=("luminance", "share"), default="luminance", help=orders)
    add("--json", action="store_true", help="print JSON, not a table")
    add("-o", "--output", metavar="SWATCH", help="also draw the colours to a file")

    add = command(
        "explore",
        fitting,
        about="write a page that shows a picture and its colours in space, with a slider over K",
        more="Write one HTML file, which needs no network: the picture in K colours beside\n"
        "its colours in space, the palette, and the inertia, with a slider over K.",
    ).add_argument
    add("picture", metavar="PICTURE")
    add("-k", type=_numbers, default="1-20", metavar="KS", help="numbers and ranges (1-20)")
    add("-o", "--output", required=True, metavar="PAGE", help="a .html file")

    commands.add_parser("info", help="show versions, threads and the kernels' cache")
    return parser
