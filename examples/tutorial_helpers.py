"""What the notebook needs and is not about: a strip of pictures, and answers, each in a fold."""

from __future__ import annotations

import io
from collections.abc import Sequence

import IPython.display
import numpy as np
from IPython.display import HTML
from PIL import Image, ImageDraw, ImageFont
from tutorial_picture import is_green, is_red, make_picture

from kmeans_fast import KMeansResult

GAP, BELOW = 12, 76


def filmstrip(pictures: Sequence[np.ndarray], captions: Sequence[str]) -> IPython.display.Image:
    """Return pictures of one size side by side, each with two lines below it."""
    height, width = pictures[0].shape[:2]
    size = len(pictures) * (width + GAP) - GAP, height + BELOW
    strip = Image.new("RGB", size, "white")
    draw, font = ImageDraw.Draw(strip), ImageFont.load_default(26)
    for at, (picture, caption) in enumerate(zip(pictures, captions, strict=True)):
        left = at * (width + GAP)
        strip.paste(Image.fromarray(picture.astype(np.uint8)), (left, 0))
        middle = (left + width // 2, height + 8)
        draw.multiline_text(middle, caption, "#444", font, "ma", align="center")
    file = io.BytesIO()
    strip.save(file, "PNG", optimize=True)
    about = "The picture " + "; ".join(caption.replace("\n", ": ") for caption in captions)
    return IPython.display.Image(file.getvalue(), alt=about)


def _fold(text: str) -> HTML:
    """Return text, in paragraphs, that stays folded until the reader opens it."""
    paragraphs = "".join(f"<p>{' '.join(part.split())}</p>" for part in text.split("\n\n"))
    return HTML(f"<details><summary><b>Answer</b></summary>{paragraphs}</details>")


def when_green_comes(picture: np.ndarray, fits: Sequence[KMeansResult]) -> HTML:
    """Return when green gets a colour of its own, and why so late."""
    green, all_of_it = picture[is_green(picture)], fits[0].inertia
    k = next(len(fit.counts) for fit in fits if is_green(fit.centroids).any())
    before = fits[k - 2]
    off = green - before.centroids[before.labels[is_green(picture)]]
    gain = ((off**2).sum() - ((green - green.mean(axis=0)) ** 2).sum()) / all_of_it
    splits = [100 * (fits[k].inertia - fits[k + 1].inertia) / all_of_it for k in range(3)]
    return _fold(f"""
        At <b>K = {k}</b>. Green is {len(green)} of {picture[..., 0].size:,} pixels,
        {100 * len(green) / picture[..., 0].size:.2f} %.

        k-means does not see colours, it sees a sum. With {k - 1} colours a green pixel is
        {np.sqrt((off**2).sum(axis=1)).mean():.0f} levels away from its centroid, which is far. But
        there are so few of them that a colour of their own takes {100 * gain:.1f} % off the error.
        The first three splits took {splits[0]:.0f} %, {splits[1]:.0f} % and {splits[2]:.0f} %. A
        rare colour waits until the many have nothing larger to gain.""")


def why_red_takes_many(picture: np.ndarray, fits: Sequence[KMeansResult]) -> HTML:
    """Return why red takes so many colours."""
    red = is_red(picture)
    far = ((picture - fits[0].centroids[0]) ** 2).sum(axis=-1)
    reds = [is_red(fits[k - 1].centroids).sum() for k in (2, 4, 8, 16)]
    return _fold(f"""
        Red is {100 * red.mean():.0f} % of the pixels, and
        <b>{100 * far[red].sum() / far.sum():.0f} % of the inertia</b> of a single colour.

        The picture is dark, and so is its mean. The lantern is bright and saturated: its pixels are
        {np.sqrt(far[red].mean()):.0f} levels from the mean, the others
        {np.sqrt(far[~red].mean()):.0f}. Distances are squared, so what is far counts most. Of 2, 4,
        8 and 16 colours, {reds[0]}, {reds[1]}, {reds[2]} and {reds[3]} are red.""")


def why_little_changes(picture: np.ndarray, fits: Sequence[KMeansResult]) -> HTML:
    """Return why so little changes from K = 10 to K = 20."""
    left = {k: 100 * fits[k - 1].inertia / fits[0].inertia for k in (2, 5, 10, 20)}
    off = {k: np.sqrt(fits[k - 1].inertia / picture.size) for k in (10, 20, 40)}
    noise = np.sqrt(((picture - make_picture(noise=0).astype(float)) ** 2).mean())
    return _fold(f"""
        There is little left to gain. With 2, 5 and 10 colours the error is {left[2]:.0f} %,
        {left[5]:.0f} % and <b>{left[10]:.1f} %</b>. Ten more colours share those
        {left[10]:.1f} %, and leave {left[20]:.1f} %.

        In levels of 255: a channel is off by {off[10]:.1f} at K = 10, {off[20]:.1f} at K = 20 and
        {off[40]:.1f} at K = 40 (root mean square). The noise of the camera alone is {noise:.1f}.
        What is left is smooth shading and noise. Neither has clusters, so each new colour only cuts
        a piece of the cloud in two.""")
