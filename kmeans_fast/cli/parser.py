"""What the command line takes, and its help."""

from __future__ import annotations

import argparse
import sys

from .._version import __version__
from .messages import FAILED, PROG, say

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Container, Sequence
    from typing import Any, NoReturn

    Add = Callable[..., argparse.Action]

SHELLS = "bash", "zsh", "fish"
MOST_COLORS_TO_DITHER = 256
DITHERS = "floyd-steinberg", "sierra", "atkinson", "blue-noise", "bayer"  # as `dithering` has them
COLORS, PALETTE = 256, 16  # that `quantize` paints with and `palette` lists
WIDTH = 78  # of the help
# Of each command, the first is the one that the help of all shows.
EXAMPLES = """\
quantize photo.jpg -k 16 -o out.png
quantize photo.jpg
quantize photo.jpg -k 16 --dither -o out.gif
quantize photo.jpg --palette gold,black,#fff -o out.png
quantize *.jpg -k 64 --shared -o folder
quantize holidays -k 64 -o folder
quantize scan.tif -k 64 -o small.tif
palette photo.jpg -k 8
palette holidays -k 8 --sort share
palette photo.jpg -k 8 --json -o swatch.png
palette photo.jpg -k 8 --format css
explore photo.jpg -o page.html
explore photo.jpg -k 2-8,16,32 -o page.html
classify scene.tif -k 12 -o classes.tif
classify scene.tif -k 6 -o out.tif --bands 4,3 --scale
classify scene.tif -k 6 -o out.tif --tiled --report out.json
info
""".splitlines()
FITTING = "how the colours are found"
CLASSING = "how the classes are found"
OPTIONS = f"""\
Options:
  -h, --help  show this
  --version   show the version
  --print-completion {{{",".join(SHELLS)}}}
              print what completes commands, options and files in a shell:
              $ eval "$({PROG} --print-completion bash)"
              $ {PROG} --print-completion fish | source

{PROG} COMMAND --help shows all options of a command, and more examples."""


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the options, among them the command's name; end with one line where they are wrong."""
    given = sys.argv[1:] if argv is None else list(argv)
    if not given:
        say(_help())
        raise SystemExit(FAILED)
    for at, (option, text) in enumerate(zip(given, given[1:], strict=False)):
        if option == "--suffix":  # whose text may begin as an option does
            given[at : at + 2] = [f"--suffix={text}"]
            break
    parser = make_parser(given)
    options = parser.parse_args(_with_names(given))
    if getattr(options, "palette", None) is not None:
        asked = (options.colors, options.max_error, options.fixed)
        if options.medoids or options.posterize or any(each is not None for each in asked):
            parser.error(
                "--palette has its colours already; give it without -k, --max-error, --fixed, "
                "--medoids and --posterize"
            )
    if options.command in ("quantize", "palette") and options.colors is None:
        few = options.command == "palette" and options.max_error is None
        options.colors = PALETTE if few else COLORS
    if getattr(options, "dither", False) and options.colors > MOST_COLORS_TO_DITHER:
        most = f"at most {MOST_COLORS_TO_DITHER} colours"
        parser.error(f"--dither works with {most}, not -k {options.colors}")
    return options


def _with_names(given: Sequence[str]) -> list[str]:
    """Let --dither by itself name the first way: argparse would take the next word for its name."""
    end = given.index("--") if "--" in given else len(given)
    named = [f"{word}={DITHERS[0]}" if word == "--dither" else word for word in given[:end]]
    return [*named, *given[end:]]


def make_parser(named: Container[str]) -> argparse.ArgumentParser:
    """Return the parser, with the options of those commands alone that are named."""
    parser = _Main(prog=PROG)
    add = parser.add_argument
    add("--version", action="version", version=f"{PROG} {__version__}", help="show the version")
    shells = "print what completes the command line"
    add("--print-completion", action=_PrintCompletion, choices=SHELLS, help=shells)
    commands = parser.add_subparsers(
        parser_class=_Parser, prog=PROG, required=True, metavar="COMMAND", dest="command"
    )
    for name, (about, description, adders) in COMMANDS.items():
        examples = _examples(name)
        command = commands.add_parser(name, help=about, description=description, epilog=examples)
        if name in named:  # those of all take 3 ms, a third of what Python needs to start
            for title, add_some in adders.items():
                group = command.add_argument_group(title) if title else command
                add_some(group.add_argument)
    return parser


class _PrintCompletion(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, _: Any, shell: Any, *__: Any) -> None:
        from .completion import complete

        print(complete(shell, make_parser(COMMANDS)))
        parser.exit()


class _Parser(argparse.ArgumentParser):
    def __init__(self, **about: Any) -> None:
        super().__init__(formatter_class=_as_written, **about)

    def error(self, message: str) -> NoReturn:
        say(f"{PROG}: error: {message} (see {self.prog} --help)")
        raise SystemExit(FAILED)


class _Main(_Parser):
    def format_help(self) -> str:
        return _help() + "\n"


def _help() -> str:
    """Return what there is, by what it is for, each with an example."""
    lines = [
        f"usage: {PROG} COMMAND ...",
        "",
        "Exact k-means of every pixel: reduce pictures to their best K colours.",
    ]
    for title, names in GROUPS.items():
        lines += ["", f"{title}:"]
        for name in names:
            example = next(example for example in EXAMPLES if example.startswith(name))
            lines += [f"  {name:9} {COMMANDS[name][0]}", f"{'':12}$ {PROG} {example}"]
    return "\n".join([*lines, "", OPTIONS])


def _as_written(prog: str) -> argparse.HelpFormatter:
    # Without a width argparse asks for the terminal's, and imports 2 ms of modules for that.
    return argparse.RawDescriptionHelpFormatter(prog, width=WIDTH)


def _examples(command: str) -> str:
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


def _share(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number") from None
    if not 0 <= number <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 1")
    return number


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


def _bands(text: str) -> list[int]:
    """Return the numbers of bands, in the order that they are given in: 4,3,2."""
    try:
        bands = [int(part) for part in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r}: give such as 4,3,2") from None
    if min(bands) < 1 or len(set(bands)) < len(bands):
        raise argparse.ArgumentTypeError(f"{text!r}: give each band once, the first is 1")
    return bands


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number, nor nan") from None


def _add_fitting(add: Add) -> None:
    spaces = "where distances are measured; oklab is nearer to what the eye sees (rgb)"
    add("--space", choices=("rgb", "oklab"), default="rgb", help=spaces)
    refine = "search on: 0 not at all, 4 as good as it gets for the time (1)"
    add("--refine", type=_whole(0), default=1, metavar="N", help=refine)
    _add_loop(add)


def _add_loop(add: Add) -> None:
    add("--seed", type=_whole(0), default=0, metavar="N", help="seed of the random start (0)")
    add("--max-iter", type=_whole(1), default=300, metavar="N", help="most iterations (300)")
    add("--threads", type=_whole(1), metavar="N", help="threads to use (all cores)")


def _add_files(add: Add) -> None:
    add("--force", action="store_true", help="replace a file that is there")
    most = "refuse pictures of more pixels (536870912, but for those that are read in tiles); "
    add("--max-pixels", type=_whole(0), metavar="N", help=most + "0: no limit")


def _add_colors(add: Add, about: str) -> None:
    add("-k", "--colors", type=_whole(1), metavar="K", help=about)
    medoids = "only colours that occur: for each the nearest"
    add("--medoids", action="store_true", help=medoids)
    smallest = "as few colours as hold a mean squared error, or a PSNR: 38dB; -k is then the most"
    add("--max-error", metavar="E", help=smallest + f" ({COLORS})")
    beside = "colours that are part of the palette: #fff,black,... or a file"
    add("--fixed", metavar="COLORS", help=beside)
    fewer = "bits that each channel of the palette does without (0)"
    add("--posterize", type=_whole(0), default=0, metavar="BITS", help=fewer)


def _add_sort(add: Add, default: str | None, about: str) -> None:
    add("--sort", choices=("luminance", "share"), default=default, help=about)


def _add_quantize(add: Add) -> None:
    pictures = "a file, a folder of pictures, or - for stdin"
    add("pictures", nargs="+", metavar="PICTURE", help=pictures)
    _add_colors(add, f"how many colours ({COLORS})")
    given = "no fit, but these colours: #1b2a49,gold,... or a file with one in each line"
    add("--palette", metavar="COLORS", help=given + " (.hex, .gpl)")
    kinds = "a file (.png, .gif, .tif, .bmp, .webp, .jpg), a folder that exists, for "
    each = "NAME.png of each picture, or - for stdout, as PNG (beside the picture, NAME-K.png)"
    add("-o", "--output", metavar="OUT", help=kinds + each)
    named = "what follows a picture's name in that of its output, such as -small or -8.gif"
    add("--suffix", metavar="TEXT", help=named)
    add("--shared", action="store_true", help="one palette for all pictures")
    ways = "mix colours by dots: --dither, or --dither=NAME, one of " + ", ".join(DITHERS)
    add("--dither", nargs="?", choices=DITHERS, default=False, metavar="=NAME", help=ways)
    shares = "how much of each error is made good, 0 to 1 (0.8)"
    add("--dither-strength", type=_share, default=0.8, metavar="S", help=shares)
    _add_sort(add, None, "order of the palette: darkest first, or largest share first")
    larger = "write nothing that is no smaller than the file read; the status is then 98"
    add("--skip-if-larger", action="store_true", help=larger)
    _add_files(add)


def _add_palette(add: Add) -> None:
    add("picture", metavar="PICTURE", help="a file, a folder of pictures, or - for stdin")
    _add_colors(add, f"how many colours ({PALETTE})")
    _add_sort(add, "luminance", "darkest first (the default), or largest share first")
    formats = "print that, not a table"
    add("--format", choices=("css", "gpl", "ase", "aco", "hex", "json"), help=formats)
    add("--json", action="store_const", dest="format", const="json", help="as --format json")
    also = "also write a file: of one of these formats, or a picture that shows the colours"
    add("-o", "--output", metavar="FILE", help=also)
    _add_files(add)


def _add_explore(add: Add) -> None:
    add("picture", metavar="PICTURE", help="a file, or - for stdin")
    add("-k", type=_numbers, default="1-20", metavar="KS", help="numbers and ranges (1-20)")
    add("-o", "--output", required=True, metavar="PAGE", help="a .html file")
    _add_files(add)


def _add_classify(add: Add) -> None:
    add("scene", metavar="SCENE", help="a raster file that GDAL reads")
    number = "how many classes"
    add("-k", "--classes", type=_whole(1), required=True, metavar="K", help=number)
    add("-o", "--output", required=True, metavar="OUT", help="a .tif file")
    also = "also write counts, shares and centroids of the classes: a .json file, or - for stdout"
    add("--report", metavar="FILE", help=also)
    which = "bands to use, the first is 1: 4,3,2 (all but alpha)"
    add("--bands", type=_bands, metavar="LIST", help=which)
    value = "the value of pixels that are none, in any of the bands (what the file says)"
    add("--nodata", type=_number, metavar="V", help=value)
    scale = "let bands count alike: each is brought to mean 0 and deviation 1"
    add("--scale", action="store_true", help=scale)
    tiled = "keep the pixels on disk, beside the output, not in memory; the result is the same"
    add("--tiled", action="store_true", help=tiled)
    add("--force", action="store_true", help="replace a file that is there")


def _add_stop(add: Add) -> None:
    _add_loop(add)
    add("--tol", type=_number, default=1e-4, metavar="T", help="when it has converged (1e-4)")


# Of each command: what it does, in a line and in full, and what adds its options, by their title.
COMMANDS: dict[str, tuple[str, str, dict[str, Callable[[Add], None]]]] = {
    "quantize": (
        "write pictures with K colours",
        "Write pictures with their best K colours (an indexed picture to K = 256).\n"
        "Fully transparent pixels stay so. The colour profile of an RGB picture is\n"
        "kept; .gif and .bmp, which know none, are sRGB, and so are grey, CMYK and\n"
        "--shared pictures. An animation (GIF, PNG, WebP) stays one, all frames in the\n"
        "same colours, sRGB. A TIFF of 67 megapixels or more is read and written to a\n"
        ".tif a part at a time, and need not fit in memory.",
        {"": _add_quantize, FITTING: _add_fitting},
    ),
    "palette": (
        "list the best K colours of a picture, or of a folder",
        "List the best K colours of a picture, or of all in a folder, and how much\n"
        "each one paints; a terminal shows them too, unless NO_COLOR is set. Numbers\n"
        "are sRGB, whatever the picture's colour profile.",
        {"": _add_palette, FITTING: _add_fitting},
    ),
    "explore": (
        "write a page that shows a picture and its colours in space",
        "Write one HTML file, which needs no network: the picture in K colours beside\n"
        "its colours in space, the palette, and the inertia, with a slider over K.",
        {"": _add_explore, FITTING: _add_fitting},
    ),
    "classify": (
        "sort the pixels of a scene, of any number of bands, into K classes",
        "Sort all pixels of a scene into K classes, and write these to a GeoTIFF that\n"
        "lies where the scene does (extra geo: rasterio). Classes are 0 to K - 1, and\n"
        "255 (beyond 255 classes 65535) stands for pixels that are none. These do not\n"
        "count: any band has the file's nodata, or NaN, or its mask or alpha says so.",
        {"": _add_classify, CLASSING: _add_stop},
    ),
    "info": (
        "show versions, threads, and which code runs",
        "Show versions, threads, which machine code runs, and where more is kept.",
        {},
    ),
}
GROUPS = {
    "Make pictures": ["quantize"],
    "Look at colours": ["palette", "explore"],
    "Classify scenes": ["classify"],
    "About": ["info"],
}
