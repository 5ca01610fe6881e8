"""The reference by itself, against numbers worked out by hand."""

import math
from fractions import Fraction

import numpy as np
import pytest

from kmeans_fast import reference as ref


def test_the_tutorial_puts_the_first_two_points_in_cluster_0():
    dataset = [[1.0, 1.0], [2.0, 1.0], [8.0, 9.0]]
    centroids, indexes = ref.k_means(dataset[::2], dataset)
    assert indexes.tolist() == [0, 0, 1]
    assert indexes.dtype == np.uint8
    assert centroids.tolist() == [[1.5, 1.0], [8.0, 9.0]]
    assert centroids.dtype == np.float64


def test_sq_dist_adds_left_to_right():
    small = 1.2 * 2.0**-27  # its square is lost beside 1; twice its square is not
    assert ref.sq_dist([1.0, small, small], [0.0, 0.0, 0.0]) == 1.0
    assert ref.sq_dist([small, small, 1.0], [0.0, 0.0, 0.0]) == 1.0 + 2.0**-52


def test_sq_dist_refuses_points_of_different_length():
    with pytest.raises(ValueError):
        ref.sq_dist([1.0], [1.0, 2.0])


def test_ties_go_to_the_lowest_index():
    assert ref.assign([[1.0]], [[2.0], [0.0], [2.0]]).tolist() == [0]
    assert ref.assign([[1.0]], [[5.0], [0.0], [2.0]]).tolist() == [1]


@pytest.mark.parametrize(
    ("k", "dtype"),
    [(1, np.uint8), (256, np.uint8), (257, np.uint16), (65536, np.uint16), (65537, np.int32)],
)
def test_labels_take_the_smallest_dtype(k, dtype):
    assert ref.label_dtype(k) == dtype


def test_an_image_has_labels_of_its_own_shape():
    image = np.array([[[0, 0, 0], [9, 9, 9]], [[1, 0, 0], [9, 8, 9]]], np.uint8)
    centroids, labels = ref.k_means(image[0], image)
    assert labels.tolist() == [[0, 1], [0, 1]]
    assert centroids.tolist() == [[0.5, 0.0, 0.0], [9.0, 8.5, 9.0]]
    assert ref.means(image, labels, 2).tolist() == centroids.tolist()
    assert ref.inertia(image, labels, centroids) == 1.0


def test_lists_of_tuples_and_arrays_give_the_same():
    rows = [(1, 2), (3, 4), (9, 9), (8, 9)]
    start = [(1, 2), (9, 9)]
    for dtype in (np.uint8, np.int64, np.float32, np.float64, ">f8", np.longdouble):
        centroids, labels = ref.k_means(start, np.array(rows, dtype))
        assert centroids.tolist() == [[2.0, 3.0], [8.5, 9.0]]
        assert labels.tolist() == [0, 0, 1, 1]


def test_means_of_integers_are_exact():
    points = [[2**53 - 1], [2**53 - 1], [2**53 - 3]]
    assert ref.means(points, [0, 0, 0], 1)[0, 0] == float(Fraction(3 * 2**53 - 5, 3))


def test_means_of_floats_lose_nothing_to_the_order():
    values = [1e16, 1.0, -1e16, 3.0]  # left to right in float64: 3.0
    assert ref.means([[v] for v in values], [0] * 4, 1).tolist() == [[1.0]]
    rng = np.random.default_rng(0)
    points = rng.normal(size=(200, 2)) * 10.0 ** rng.integers(-8, 8, (200, 1))
    exact = [math.fsum(column) / 200 for column in points.T]
    np.testing.assert_allclose(ref.means(points, [0] * 200, 1)[0], exact, rtol=3e-16)
    order = rng.permutation(200)
    labels = rng.integers(0, 3, 200)
    assert np.array_equal(ref.means(points[order], labels[order], 3), ref.means(points, labels, 3))


def test_a_value_far_out_takes_no_digit_of_the_others():
    points = [[0.25], [1e300], [0.5], [-1e300], [1e20], [5e-324]]
    labels = [0, 0, 0, 0, 1, 2]
    assert ref.means(points, labels, 3).tolist() == [[0.1875], [1e20], [5e-324]]
    weights = [3, 1e-300, 1, 1e-300, 5e-324, 1e300]  # nor does a weight
    mean = Fraction(1.25) / (4 + 2 * Fraction(1e-300))
    assert ref.means(points, labels, 3, weights).tolist() == [[float(mean)], [1e20], [5e-324]]


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.float32, np.float64])
def test_a_whole_weight_counts_copies(dtype):
    rng = np.random.default_rng(1)
    points = (rng.normal(size=(40, 3)) * 50 + 100).astype(dtype)
    labels = rng.integers(0, 3, 40)
    weights = rng.integers(0, 5, 40)
    points[0], weights[0] = 255 if dtype == np.uint8 else 1e6, 0  # the largest does not count
    repeated = ref.means(points.repeat(weights, 0), labels.repeat(weights), 3)
    assert np.array_equal(ref.means(points, labels, 3, weights), repeated)
    assert np.array_equal(ref.means(points, labels, 3, weights.astype(float)), repeated)
    center = np.nan_to_num(repeated)
    assert ref.inertia(points, labels, center, weights) == ref.inertia(
        points.repeat(weights, 0), labels.repeat(weights), center
    )


def test_an_empty_cluster_has_no_mean():
    means = ref.means([[1.0], [3.0]], [0, 2], 4)
    assert np.isnan(means[[1, 3]]).all()
    assert means[[0, 2]].tolist() == [[1.0], [3.0]]
    assert np.isnan(ref.means([[1.0], [3.0]], [0, 1], 2, [0, 1])[0])


def test_inertia_is_summed_from_differences():
    far = 2.0**26
    assert ref.inertia([[far], [far + 1]], [0, 0], [[far + 0.5]]) == 0.5
    assert ref.inertia([[0.0], [3.0]], [0, 0], [[1.0]], [2.0, 0.25]) == 3.0


@pytest.mark.parametrize(
    ("points", "labels", "centroids", "weights", "expected"),
    [
        pytest.param([0, 1, 2, 10], [0] * 4, [1, 99], None, [0, 0, 0, 1], id="the farthest"),
        pytest.param([10, 0, 10, 1], [0] * 4, [1, 99], None, [1, 0, 1, 0], id="with its copies"),
        pytest.param([0, 3, -5, 1], [1] * 4, [99, 0, 98], None, [1, 2, 0, 1], id="in order"),
        # Cluster 0 holds one distinct point, far from its centroid, and keeps it; 6 is farther off
        # than 5; and nothing is left for cluster 3.
        pytest.param(
            [0, 0, 5, 6], [0, 0, 1, 1], [-100, 5, 99, 98], None, [0, 0, 1, 2], id="the last stays"
        ),
        pytest.param([-0.0, 0.0, 1], [0] * 3, [2, 99], None, [1, 1, 0], id="-0.0 is a copy of 0"),
        pytest.param([0, 1, 50], [0] * 3, [0, 99], [1, 1, 0], [0, 1, 0], id="no weight: stays"),
        pytest.param([0, 1, 50], [0, 0, 1], [0, 50], [1, 1, 0], [0, 1, 1], id="nor holds one"),
    ],
)
def test_empty_clusters_are_filled(points, labels, centroids, weights, expected):
    points, centroids = np.array(points, float)[:, None], np.array(centroids, float)[:, None]
    assert ref.fill_empty(points, labels, centroids, weights).tolist() == expected


def test_of_points_equally_far_the_smallest_moves():
    points = [[4.0, 0.0], [0.0, 4.0], [0.0, -4.0], [0.0, 0.0]]
    assert ref.fill_empty(points, [0] * 4, [[0.0, 0.0], [99.0, 0.0]]).tolist() == [0, 0, 1, 0]


def test_k_means_fills_empty_clusters_before_the_means():
    # One iteration: both points are nearest to the first centroid; the second takes point 9.
    centroids, indexes = ref.k_means([[1.0], [99.0]], [[0.0], [9.0]])
    assert centroids.tolist() == [[0.0], [9.0]]
    assert indexes.tolist() == [0, 1]


def test_with_too_few_distinct_points_a_centroid_stays():
    centroids, indexes = ref.k_means([[1.0], [7.0], [8.0]], [[1.0], [1.0], [2.0]])
    assert centroids.tolist() == [[1.0], [2.0], [8.0]]
    assert indexes.tolist() == [0, 0, 1]


def test_indexes_belong_to_the_centroids_returned():
    dataset = [[0.0], [4.0], [5.0], [6.0], [20.0]]
    # {0, 4} {5, 6, 20}: means 2 and 31/3, to which 6 is nearer to 2: it changes sides.
    centroids, indexes = ref.k_means([[0.0], [9.0]], dataset, max_iterations=1)
    assert centroids.tolist() == [[2.0], [31 / 3]]
    assert indexes.tolist() == [0, 0, 0, 0, 1]


def test_it_stops_at_a_fixed_point_or_after_so_many_iterations():
    dataset = [[0.0], [4.0], [5.0], [6.0], [20.0]]
    end, labels = ref.k_means([[0.0], [9.0]], dataset)
    assert end.tolist() == [[3.75], [20.0]]
    assert labels.tolist() == [0, 0, 0, 0, 1]
    for some in (2, 3, 50):
        assert np.array_equal(ref.k_means([[0.0], [9.0]], dataset, some)[0], end)
    start, labels = ref.k_means([[0.0], [9.0]], dataset, 0)
    assert start.tolist() == [[0.0], [9.0]]
    assert labels.tolist() == [0, 0, 1, 1, 1]


def test_arguments_are_not_changed():
    labels = np.zeros(2, np.uint8)
    ref.fill_empty([[0.0], [1.0]], labels, [[0.0], [9.0]])
    assert labels.tolist() == [0, 0]
    centroids, dataset = np.array([[0.0], [9.0]]), np.array([[0.0], [4.0], [20.0]])
    before = centroids.copy(), dataset.copy()
    ref.k_means(centroids, dataset)
    assert np.array_equal(centroids, before[0])
    assert np.array_equal(dataset, before[1])
