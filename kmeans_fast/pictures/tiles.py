"""Pictures larger than memory, read a tile at a time."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from ..checks import are_colors, check_integer
from .identify import PictureFile, Source, identify_within, naming, one_line, open_file
from .rasters import Raster, is_scene, load_rasterio
from .reading import (
    MAX_PIXELS,
    carried_info,
    kind_of,
    named_array,
    pictures_in,
    read_picture,
    tell_of_frames,
)
from .tiff import MAGIC, Box, Tiff, load_tifffile, read_tiff

Array = NDArray[Any]
Path = str | os.PathLike[str]
Place = tuple[slice, slice]  # rows and columns

# 12 MB of RGB: a tile larger than that is neither counted nor labelled faster.
TILE_PIXELS = 1 << 22
# So many tiles of a TIFF may be one where there is no tifffile: 67 megapixels, some 700 MB.
WITHOUT_TIFFFILE = 16
# Of each orientation of a TIFF: exchange rows and columns, then turn rows about, and columns.
_TURNS = {
    1: (False, False, False), 2: (False, False, True), 3: (False, True, True),
    4: (False, True, False), 5: (True, False, False), 6: (True, False, True),
    7: (True, True, True), 8: (True, True, False),
}  # fmt: skip


class Tiles:
    """The tiles of one picture, read when they are asked for, as often as it is iterated.

    Attributes
    ----------
    path : str
        The file.
    shape : tuple of int
        The shape of the whole, (h, w, c).
    dtype : dtype
        The type of the pixels, uint8 or uint16.
    places : list
        The rows and columns of each tile, in order.
    nodata : float, sequence of float or None
        The value, or one for each channel, that says that there is none, as `fit` takes it.
    info : dict
        What of the file's description is kept, as `carried_info` has it.
    """

    path: str
    shape: tuple[int, int, int]
    dtype: np.dtype[Any]
    places: list[Place]
    info: dict[str, Any]
    nodata: float | Sequence[float | None] | None = None

    def read(self, at: int) -> Array:
        """Return tile number `at`: an array (h, w, c) of its own."""
        raise NotImplementedError

    @property
    def n_pixels(self) -> int:
        """The pixels of the whole."""
        return self.shape[0] * self.shape[1]

    def __len__(self) -> int:
        """Return the number of tiles."""
        return len(self.places)

    def __iter__(self) -> Iterator[Array]:
        """Yield the tiles."""
        return (self.read(at) for at in range(len(self)))

    def items(self) -> Iterator[tuple[Place, Array]]:
        """Yield the place of each tile, (rows, columns), and the tile."""
        return ((place, self.read(at)) for at, place in enumerate(self.places))

    def __repr__(self) -> str:
        """Return a short description."""
        return f"Tiles({self.path!r}, n_tiles={len(self)}, n_pixels={self.n_pixels:,})"


class ManyTiles:
    """The tiles of many pictures, one picture after the other.

    Attributes
    ----------
    pictures : list of Tiles
        One for each picture.
    """

    def __init__(self, pictures: list[Tiles]) -> None:
        self.pictures = pictures

    @property
    def n_pixels(self) -> int:
        """The pixels of all pictures."""
        return sum(picture.n_pixels for picture in self.pictures)

    def __len__(self) -> int:
        """Return the number of tiles."""
        return sum(map(len, self.pictures))

    def __iter__(self) -> Iterator[Array]:
        """Yield the tiles."""
        return (tile for picture in self.pictures for tile in picture)

    def __repr__(self) -> str:
        """Return a short description."""
        return f"ManyTiles({len(self.pictures)} pictures, n_pixels={self.n_pixels:,})"


def open_tiles(
    path: Path | Sequence[Path],
    *,
    tile_pixels: int = TILE_PIXELS,
    max_pixels: int | None = MAX_PIXELS,
    nodata: float | Sequence[float | None] | None = None,
) -> Tiles | ManyTiles:
    """Open a picture that may be larger than memory, or many, to be read a tile at a time.

    A TIFF of 8 or 16 bits is read by its strips or tiles, and a ``.npy`` file of pixels (h, w, c)
    by its rows. Any other picture is one tile, as is a TIFF of bits, one whose channels lie apart,
    or one compressed as a fax, by WebP or by JPEG 2000. Pixels are those of `open_image`. Strips
    and tiles are decoded by tifffile (``pip install 'kmeans_fast[tiff]'``); without it a TIFF of up
    to 16 tiles is read as one. With rasterio (extra `geo`) a GeoTIFF has all bands, as they are, of
    any type, and its tiles have `crs`, `transform`, and `nodata`: of each band its value, or None.

    Parameters
    ----------
    path : str, path, or sequence of them
        A file, a folder (the pictures in it, by name), or a list of files.
    tile_pixels : int
        About how many pixels a tile has. Compressed strips and tiles are not cut.
    max_pixels : int or None, default 2**29
        The most pixels to decode at once. None: no limit.
    nodata : float, or sequence of float, optional
        The value, or one for each channel, that says that there is none. It is kept as `nodata`:
        ``ColorHistogram.from_tiles(tiles)`` leaves such pixels out, and so does
        ``result.predict(tile, nodata=tiles.nodata)``.

    Returns
    -------
    Tiles or ManyTiles
        To iterate over, as often as needed, for arrays (h, w, c); ``tiles.items()`` gives the
        place of each too. For a folder or a list `ManyTiles`, with `pictures`, each a `Tiles`.

    Raises
    ------
    OSError
        A file is missing, no picture, truncated or broken: here, or when a tile is read.
    ValueError
        A picture, or a strip or tile of it, has more than `max_pixels` pixels, or is of a kind
        that has no colours to count; or a folder has no pictures.
    ImportError
        A TIFF is too large to be read without tifffile.

    Warns
    -----
    LeftOutWarning
        A file has more frames or pages than the first, which alone is read.

    Examples
    --------
    >>> import numpy as np
    >>> import kmeans_fast as kf
    >>> path = getfixture("tmp_path") / "picture.npy"
    >>> np.save(path, np.zeros((300, 200, 3), np.uint8))
    >>> tiles = kf.open_tiles(path, tile_pixels=100 * 200)
    >>> result = kf.fit(kf.ColorHistogram.from_tiles(tiles), 1)
    >>> labels = np.empty(tiles.shape[:2], np.uint8)
    >>> for place, tile in tiles.items():
    ...     _ = result.predict(tile, out=labels[place])
    """
    tile_pixels = check_integer("tile_pixels", tile_pixels, 1)
    if max_pixels is not None:
        max_pixels = check_integer("max_pixels", max_pixels, 1)
    if isinstance(path, str | os.PathLike) and os.path.isdir(path):
        path = pictures_in(path)
    if hasattr(path, "read"):
        raise TypeError(f"path is {type(path).__name__}; give the path of the file")
    paths = [path] if isinstance(path, str | os.PathLike) else path
    pictures = [_open_file(name, tile_pixels, max_pixels) for name in paths]
    for picture in pictures if nodata is not None else ():
        picture.nodata = nodata
    return ManyTiles(pictures) if paths is path else pictures[0]


def _open_file(path: Path, tile_pixels: int, max_pixels: int | None) -> Tiles:
    with contextlib.suppress(ImportError):
        if is_scene(path) and load_rasterio():
            return _OfRaster(os.fsdecode(path), tile_pixels, max_pixels)
    return open_picture(path, tile_pixels, max_pixels)


def open_picture(
    path: Source, tile_pixels: int, max_pixels: int | None, keep_profile: bool = False
) -> Tiles:
    """Open one file as `open_tiles` does; or leave RGB in the space of its profile.

    One that is open already is a picture of one tile, and stays so.
    """
    if not isinstance(path, str | os.PathLike):
        file, name = open_file(path)
        return _Whole(file, name, max_pixels, keep_profile, path)
    name = os.fsdecode(path)
    with PictureFile(name) as file:
        magic = file.read(6)
        if magic == b"\x93NUMPY":
            return _OfNpy(name, tile_pixels)
        if magic[:4] in MAGIC:
            image = identify_within(file, name, None)
            n_pixels = image.size[0] * image.size[1]
            if n_pixels > tile_pixels and _with_tifffile(name, n_pixels, tile_pixels):
                with naming(name):
                    tiff = read_tiff(file, image)
                if tiff is not None:
                    tell_of_frames(file, name, image)
                    return _OfTiff(name, tiff, tile_pixels, max_pixels, keep_profile)
        return _Whole(file, name, max_pixels, keep_profile, name)


def _with_tifffile(name: str, n_pixels: int, tile_pixels: int) -> bool:
    """Tell whether there is tifffile; without it a large TIFF is refused."""
    try:
        load_tifffile()
    except ImportError:
        if n_pixels <= WITHOUT_TIFFFILE * tile_pixels:
            return False
        raise ImportError(
            f"{name}: a TIFF of {n_pixels} pixels is read by its tiles with tifffile: "
            "pip install 'kmeans_fast[tiff]'"
        ) from None
    return True


def _check_block(name: str, block: tuple[int, int], max_pixels: int | None) -> None:
    n_pixels = block[0] * block[1]
    if max_pixels is not None and n_pixels > max_pixels:
        raise ValueError(
            f"{name}: strips or tiles of {n_pixels} pixels are more than max_pixels={max_pixels}; "
            "allow more, or None for no limit"
        )


def _changed(path: str) -> OSError:
    return OSError(f"{path}: has changed since it was opened; open it again")


class _Whole(Tiles):
    """A picture that is one tile; its shape and type are certain once it is decoded."""

    def __init__(
        self,
        file: IO[bytes],
        name: str,
        max_pixels: int | None,
        keep_profile: bool,
        source: Source,
    ) -> None:
        self.path, self._source = name, source
        self._max_pixels, self._keep_profile = max_pixels, keep_profile
        self._seen: tuple[tuple[int, ...], np.dtype[Any]] | None = None
        image = identify_within(file, name, max_pixels)
        self._n_pixels = image.size[0] * image.size[1]
        tell_of_frames(file, name, image)

    def _decode(self) -> Array:
        limit, keep = self._max_pixels, self._keep_profile
        array = read_picture(self._source, max_pixels=limit, keep_profile=keep)[0]
        if self._seen not in (None, (array.shape, array.dtype)):
            raise _changed(self.path)
        return array

    def read(self, at: int) -> Array:
        return np.array(self._decode())

    def __getattr__(self, name: str) -> Any:
        if name not in ("shape", "dtype", "places"):
            raise AttributeError(name)
        array = self._decode()
        self._seen = array.shape, array.dtype
        self.shape, self.dtype = array.shape, array.dtype
        self.places = [(slice(0, array.shape[0]), slice(0, array.shape[1]))]
        return vars(self)[name]

    @property
    def n_pixels(self) -> int:
        return self._n_pixels

    def __len__(self) -> int:
        return 1


class _OfNpy(Tiles):
    """A ``.npy`` file, some rows at a time."""

    def __init__(self, name: str, tile_pixels: int) -> None:
        self.path, self.info = name, {}
        array = self._map()
        if array.ndim != 3 or array.size == 0 or not are_colors(array):
            raise ValueError(
                f"{name}: holds shape {array.shape} of {array.dtype}; save pixels (h, w, c), uint8 "
                "with 1 to 4 channels or uint16 with 1 to 3, a grey picture as image[..., None]"
            )
        height, width, n_channels = array.shape
        self.shape, self.dtype = (height, width, n_channels), array.dtype.newbyteorder("=")
        step = max(1, tile_pixels // width)
        self.places = [
            (slice(row, min(row + step, height)), slice(0, width)) for row in range(0, height, step)
        ]

    def _map(self) -> Array:
        try:
            array: Array = np.load(self.path, mmap_mode="r", allow_pickle=False)
        except OSError:
            raise
        except Exception as error:
            raise OSError(f"{self.path}: a broken .npy file: {one_line(error)}") from error
        return array

    def read(self, at: int) -> Array:
        # Mapped anew each time: the pages of a mapping count as memory until it is gone.
        array = self._map()
        if array.shape != self.shape or array.dtype.newbyteorder("=") != self.dtype:
            raise _changed(self.path)
        return np.array(array[self.places[at]], self.dtype)


class _OfTiff(Tiles):
    """A TIFF, some strips or tiles at a time."""

    def __init__(
        self,
        name: str,
        tiff: Tiff,
        tile_pixels: int,
        max_pixels: int | None,
        keep_profile: bool,
    ) -> None:
        self.path, self._tiff, self._keep_profile = name, tiff, keep_profile
        self.info = carried_info(tiff.header, keep_profile)
        _check_block(name, tiff.block, max_pixels)
        self._boxes = tiff.boxes(tile_pixels)
        self._turn = _TURNS.get(tiff.orientation, _TURNS[1])
        height, width = (tiff.width, tiff.height) if self._turn[0] else (tiff.height, tiff.width)
        n_channels, self.dtype = kind_of(tiff.header, f"{name}: ")
        self.shape = height, width, n_channels
        self.places = [self._turned(box) for box in self._boxes]

    def _turned(self, box: Box) -> Place:
        """Return where a box is once the picture is upright."""
        rows, columns = slice(box[0], box[1]), slice(box[2], box[3])
        exchange, up, left = self._turn
        if exchange:
            rows, columns = columns, rows
        if up:
            rows = slice(self.shape[0] - rows.stop, self.shape[0] - rows.start)
        if left:
            columns = slice(self.shape[1] - columns.stop, self.shape[1] - columns.start)
        return rows, columns

    def read(self, at: int) -> Array:
        with open(self.path, "rb") as file, naming(self.path):
            image = self._tiff.read(file, self._boxes[at])
        tile = named_array(image, self.path, self._keep_profile)
        exchange, up, left = self._turn
        tile = tile.swapaxes(0, 1) if exchange else tile
        return np.array(tile[:: -1 if up else 1, :: -1 if left else 1])


class _OfRaster(Tiles):
    """A scene with its place on the earth, some blocks at a time."""

    def __init__(self, name: str, tile_pixels: int, max_pixels: int | None) -> None:
        self.path, self.info = name, {}
        with Raster(self.path, "all") as raster:
            self.shape, self.dtype = raster.shape, raster.dtype
            self.crs, self.transform, self.nodata = raster.crs, raster.transform, raster.nodata
            self._boxes = raster.boxes(tile_pixels)
        _check_block(name, raster.block, max_pixels)
        self.places = [(slice(box[0], box[1]), slice(box[2], box[3])) for box in self._boxes]

    def read(self, at: int) -> Array:
        with Raster(self.path, "all") as raster:
            if (raster.shape, raster.dtype) != (self.shape, self.dtype):
                raise _changed(self.path)
            return np.ascontiguousarray(raster.read(self._boxes[at]).transpose(1, 2, 0))
