"""What `bench.perceived` measures of a difference that is known."""

import numpy as np
import pytest

from bench.perceived import blurred_error, grain
from kmeans_fast.spaces import to_oklab

from .pictures import photograph


def flat(color, shape=(40, 50)):
    return np.broadcast_to(np.array(color, np.uint8), (*shape, 3))


def test_nothing_is_seen_of_no_difference():
    image = photograph(30, 40)
    assert grain(image, image) == blurred_error(image, image) == 0


def test_flat_pictures_differ_as_their_colors():
    one, other = (20, 90, 200), (60, 90, 120)
    expected = 100 * np.linalg.norm(to_oklab([one]) - to_oklab([other]))
    assert grain(flat(one), flat(other)) == pytest.approx(expected)
    assert blurred_error(flat(one), flat(other)) == pytest.approx(expected, rel=1e-6)


def test_dots_mix_in_linear_light():
    dots = flat((0, 0, 0)).copy()
    dots[::2, ::2] = dots[1::2, 1::2] = 255
    # Half of the light is 188, not 128.
    assert grain(flat((188, 188, 188)), dots) > 40
    assert blurred_error(flat((188, 188, 188)), dots) < 2
    assert blurred_error(flat((128, 128, 128)), dots) > 15


def test_more_blur_leaves_less():
    image = photograph(40, 40)
    shown = image // 64 * 64 + 32
    errors = [blurred_error(image, shown, sigma) for sigma in (0.5, 1.5, 4.0)]
    assert grain(image, shown) > errors[0] > errors[1] > errors[2] > 0
