"""Pictures made in code."""

import struct

import numpy as np


def few_colors(shape=(30, 40, 3), levels=5, dtype=np.uint8, seed=0):
    """Return a picture of few colours with many exact ties between them."""
    steps = np.iinfo(dtype).max // levels
    return (np.random.default_rng(seed).integers(0, levels, shape) * steps).astype(dtype)


def photograph(height=120, width=160, channels=3, dtype=np.uint8, seed=0):
    """Return smooth shading with noise: many colours, close together."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    planes = [
        0.5 + 0.3 * np.sin(3 * x + c) * np.cos(2 * y - c) + 0.1 * (x > 0.6) for c in range(channels)
    ]
    picture = np.stack(planes, axis=-1) + rng.normal(0, 0.02, (height, width, channels))
    largest = np.iinfo(dtype).max
    return np.clip(picture * largest, 0, largest).astype(dtype)


def noise(height, width, channels=3, dtype=np.uint8, seed=0):
    """Return pixels that have nothing to do with each other."""
    largest = np.iinfo(dtype).max
    shape = (height, width, channels)
    return np.random.default_rng(seed).integers(0, largest + 1, shape).astype(dtype)


def some_points(picture, k, seed=0):
    """Return `k` distinct pixels, float64, to start from."""
    colors = np.unique(picture.reshape(-1, picture.shape[-1]), axis=0)
    chosen = np.random.default_rng(seed).choice(len(colors), k, replace=False)
    return colors[chosen].astype(np.float64)


def colors_of(pixels):
    """Return the set of colours of a picture, or of a list of them, as tuples."""
    return set(map(tuple, pixels.reshape(-1, pixels.shape[-1]).tolist()))


def premultiplied(pixels):
    """Return RGBA of 8 bits as it is fitted, float64: red, green and blue by how much is seen."""
    product = pixels[..., :3] * (pixels[..., 3:] / 255.0)
    return np.concatenate([np.floor(product + 0.5), pixels[..., 3:]], axis=-1)


def shown_as(centroids):
    """Return the RGBA that centroids of premultiplied colours are painted in, rounded."""
    rgb = 255.0 * centroids[:, :3] / centroids[:, 3:]
    return np.rint(np.concatenate([rgb, centroids[:, 3:]], axis=1)).clip(0, 255).astype(np.uint8)


# Of each space: what red, green and blue are in XYZ (for D50), and the power of its numbers.
SPACES = {
    "P3": ([0.51512, 0.2412, -0.00105], [0.29198, 0.69225, 0.04189], [0.1571, 0.06657, 0.78407]),
    "Adobe": (
        [0.60974, 0.31111, 0.01947],
        [0.20528, 0.62567, 0.06087],
        [0.14919, 0.06322, 0.74457],
    ),
    "sRGB": ([0.43607, 0.22249, 0.01392], [0.38515, 0.71687, 0.09708], [0.14307, 0.06061, 0.71410]),
}
WHITE = [0.9642, 1, 0.8249]


def rgb_profile(name):
    """Return the ICC profile of a space of RGB."""
    curve = power_curve(563 / 256) if name == "Adobe" else SRGB_CURVE
    colors = zip((b"rXYZ", b"gXYZ", b"bXYZ"), map(_xyz, SPACES[name]), strict=True)
    return icc_profile(b"RGB ", dict(colors) | dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve))


def grey_profile(curve):
    """Return the ICC profile of greys by such a curve."""
    return icc_profile(b"GRAY", {b"kTRC": curve})


def ink_profile():
    """Return an ICC profile of CMYK: a table of 2 x 2 x 2 x 2 colours."""
    inks = np.moveaxis(np.mgrid[:2, :2, :2, :2], 0, -1).reshape(-1, 4)
    change = np.array([[-45, -90, -110], [-45, 190, -10], [-15, -15, 230], [-150, 0, 0]])  # L, a, b
    lab = np.clip([255, 128, 128] + inks @ change, 0, 255).astype(np.uint8)
    ramp = bytes(range(256))
    table = b"mft1" + bytes(4) + bytes([4, 3, 2, 0]) + _numbers(*np.eye(3).ravel())
    table += 4 * ramp + lab.tobytes() + 3 * ramp
    return icc_profile(b"CMYK", {b"A2B0": table}, b"Lab ")


def icc_profile(space, tags, connection=b"XYZ "):
    """Return an ICC profile of these tags."""
    text = b"made in code\0"
    tags = tags | {
        b"desc": b"desc" + bytes(4) + struct.pack(">L", len(text)) + text + bytes(78),
        b"cprt": b"text" + bytes(4) + text,
        b"wtpt": _xyz(WHITE),
    }
    table, data = struct.pack(">L", len(tags)), b""
    for name, value in tags.items():
        table += struct.pack(">4sLL", name, 132 + 12 * len(tags) + len(data), len(value))
        data += value + bytes(-len(value) % 4)
    head = struct.pack(">4xL4s4s4s", 0x02400000, b"mntr", space, connection)
    head = b"%b%b" % (struct.pack(">L", 128 + len(table) + len(data)), bytes(4)) + head[4:]
    head += struct.pack(">6H4s", 2024, 1, 1, 0, 0, 0, b"acsp") + bytes(28) + _numbers(*WHITE)
    return head.ljust(128, b"\0") + table + data


def power_curve(power):
    """Return an ICC curve: a power."""
    return b"curv" + bytes(4) + struct.pack(">LH", 1, round(256 * power))


def table_curve(values):
    """Return an ICC curve: a table of numbers to 65535."""
    return b"curv" + bytes(4) + struct.pack(">L", len(values)) + np.array(values, ">u2").tobytes()


def formula_curve(kind, *numbers):
    """Return an ICC curve: one of five formulas."""
    return b"para" + bytes(4) + struct.pack(">HH", kind, 0) + _numbers(*numbers)


def _numbers(*values):
    return struct.pack(f">{len(values)}l", *(round(65536 * value) for value in values))


def _xyz(values):
    return b"XYZ " + bytes(4) + _numbers(*values)


SRGB_CURVE = formula_curve(3, 2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)


# ------------------------------------------------------------------------------- TIFF


def tiff_file(shape, blocks, tags, order="<", side=None):
    """Return a TIFF of these blocks, whatever they and the tags (numbers) say: strips, or tiles."""
    sizes = [len(block) for block in blocks]
    places = 8 + np.cumsum([0, *sizes])
    end = int(places[-1])
    geometry = {257: shape[0], 256: shape[1]}
    if side:
        geometry |= {323: side[0], 322: side[1], 324: places[:-1], 325: sizes}
    else:
        geometry |= {278: shape[0], 273: places[:-1], 279: sizes}
    entries = geometry | tags
    table, behind = struct.pack(f"{order}H", len(entries)), b""
    for tag, found in sorted(entries.items()):
        kind, values = (4 if tag in geometry else 3), np.ravel(found)
        data = values.astype(f"{order}u{4 if kind == 4 else 2}").tobytes()
        if len(data) > 4:
            where = end + 6 + 12 * len(entries) + len(behind)
            data, behind = struct.pack(f"{order}L", where), behind + data
        table += struct.pack(f"{order}HHL", tag, kind, len(values)) + data.ljust(4, b"\0")
    head = struct.pack(f"{order}2sHL", b"II" if order == "<" else b"MM", 42, end)
    return b"".join([head, *blocks, table, bytes(4), behind])


def joined(tiles):
    """Put tiles together; each place is filled once, by an array of its own."""
    whole = np.zeros(tiles.shape, tiles.dtype)
    times = np.zeros(tiles.shape[:2], int)
    for place, tile in tiles.items():
        assert tile.flags.writeable and tile.flags.owndata
        whole[place] = tile
        times[place] += 1
    assert (times == 1).all()
    return whole
