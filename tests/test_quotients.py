"""Quotients of long integers are those of Python's fractions, to the last bit."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kmeans_fast.colors.points import exact_means
from kmeans_fast.exact import means as quotients
from kmeans_fast.exact.means import divide_limbs, fit_kernel
from kmeans_fast.kernels import quotients as kernels
from kmeans_fast.threads import Threads

INT64 = st.integers(-(2**63), 2**63 - 1)


def exact(sums, units, weights, weight_units):
    """Return the quotients (k, d) of fractions in float64; NaN where a weight is zero."""
    units, weight_units = [Fraction(u) for u in units], [Fraction(u) for u in weight_units]
    expected = np.full((sums.shape[0], sums.shape[2]), np.nan)
    for i, row in enumerate(sums):
        weight = sum(w * u for w, u in zip(weights[i].tolist(), weight_units, strict=True))
        if weight:
            for j, limbs in enumerate(row.T.tolist()):
                top = sum(x * u for x, u in zip(limbs, units, strict=True))
                expected[i, j] = float(top / weight)
    return expected


def run_kernel(sums, units, weights, weight_units):
    out = np.full((sums.shape[0], sums.shape[2]), np.nan)
    doubtful = np.zeros(out.shape, bool)
    arrays = sums, np.array(units), weights, np.array(weight_units)
    kernels.divide(*arrays, 0, len(out), out, doubtful)
    return out, doubtful


def check(sums, units, weights, weight_units):
    """Compare the quotients with fractions, and the kernel's where it has no doubt."""
    expected = exact(sums, units, weights, weight_units)
    nowhere = np.full(expected.shape, np.nan)
    means = divide_limbs(sums, units, weights, weight_units, nowhere)
    assert means.tobytes() == expected.tobytes()  # not even a zero of another sign
    if not fit_kernel(units, weight_units):
        return None
    out, doubtful = run_kernel(sums, units, weights, weight_units)
    assert np.array_equal(out[~doubtful], expected[~doubtful], equal_nan=True)
    return doubtful


def to_limbs(numbers, shifts, rng=None):
    """Write integers in limbs that count 2**shift; with `rng`, so that the limbs overlap."""
    limbs = np.empty((len(numbers), len(shifts)), np.int64)
    for i, rest in enumerate(numbers):
        for level, shift in enumerate(shifts):
            limbs[i, level] = whole = (rest + (1 << shift >> 1)) >> shift
            if rng is not None and level + 1 < len(shifts):
                limbs[i, level] = whole = whole + int(rng.integers(-7, 8))
            rest -= whole << shift
        assert rest == 0
    return limbs


def as_sums(numbers, shifts, d, rng=None):
    limbs = to_limbs(numbers, shifts, rng)
    return np.ascontiguousarray(limbs.reshape(-1, d, len(shifts)).swapaxes(1, 2))


def with_detour(limbs, units, rng):
    """Add much to the first limb, and take it away again in a second one."""
    first = limbs[:, 0]
    detour = rng.integers(-(2**60), 2**60, first.shape)
    return np.stack([first + detour, -detour, *limbs.swapaxes(0, 1)[1:]], 1), (units[0], *units)


def units_of(shifts):
    return tuple(2.0**shift for shift in shifts)


# ------------------------------------------------------------------ any limbs


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.data())
def test_any_limbs(data):
    def units(label):
        first = data.draw(st.integers(-300, 300), label)
        gaps = data.draw(st.lists(st.integers(0, 40), max_size=3), label)  # up to 120 bits in all
        return tuple(2.0 ** (first - sum(gaps[:n])) for n in range(len(gaps) + 1))

    near = st.integers(-9, 9)
    few = st.sampled_from([2**53, 2**54 - 1, 2**62, -(2**62), 2**63 - 1, -(2**63), 3 * 2**52 + 1])
    limb = st.one_of(INT64, near, few)
    value_units, weight_units = units("units"), units("weight units")
    size = data.draw(st.integers(1, 5), "d")
    limbs = [data.draw(st.lists(limb, min_size=size, max_size=size)) for _ in value_units]
    first_weight = data.draw(st.integers(1, 2**62))
    other_weights = [
        data.draw(st.integers(0, min(2**62, int(first_weight * weight_units[0] / u))))
        for u in weight_units[1:]
    ]
    check(np.array([limbs]), value_units, np.array([[first_weight, *other_weights]]), weight_units)


def test_tidy_sums():
    """Three float64 of any sizes: the same sum, each far below the one before."""
    rng = np.random.default_rng(11)
    for _ in range(3000):
        a, b, c = np.ldexp(rng.uniform(-1, 1, 3), rng.integers(-110, 110, 3)).tolist()
        nearly = 1.0 + 2.0 ** -int(rng.integers(1, 60))
        a, b = [(a, b), (-b * nearly, b), (-b * (2.0 - nearly), b), (a, 0.0)][rng.integers(4)]
        c = [c, b * 2.0 ** -int(rng.integers(50, 58)), 0.0][rng.integers(3)]
        x, y, z = kernels.tidy(a, b, c)
        assert sum(map(Fraction, (x, y, z))) == sum(map(Fraction, (a, b, c)))
        assert x + y == x
        assert abs(z) <= 4 * 2.0**-106 * abs(x)


# ------------------------------------------------------------------ near midpoints


@pytest.mark.parametrize("offset", [-1, 0, 1])
@pytest.mark.parametrize(
    "shifts, bits, weight_bits",
    [
        ((0,), 54, 8),  # in one limb: 62 bits
        ((0,), 54, 1),
        ((40, 0), 54, 44),  # two limbs: the truth is 2**-98 of the quotient off the midpoint
        ((40, 0), 60, 40),
        ((60, 0), 80, 40),  # 2**-120: no kernel of two float64 can tell
        ((60, 0), 62, 60),
        ((60, 0), 54, 62),  # a weight that needs more than a float64
        ((80, 40, 0), 80, 60),  # 2**-140
    ],
)
def test_near_midpoints(shifts, bits, weight_bits, offset):
    rng = np.random.default_rng(bits + weight_bits)
    rows, d = 12, 20
    weights = rng.integers(1 << (weight_bits - 1), 1 << weight_bits, rows)
    numbers = []
    for weight in weights.tolist():
        for _ in range(d):
            midpoint = (2 * int(rng.integers(2**52, 2**53)) + 1) << (bits - 54)
            numbers.append(int(rng.choice([-1, 1])) * (midpoint * weight + offset))
    units, weights = units_of(shifts), weights[:, None]
    sums = as_sums(numbers, shifts, d)
    for summed, summed_units, divisors, divisor_units in [
        (sums, units, weights, (1.0,)),
        (as_sums(numbers, shifts, d, rng), units, weights, (1.0,)),
        (*with_detour(sums, units, rng), weights, (1.0,)),
        (*with_detour(sums, units, rng), *with_detour(weights, (1.0,), rng)),
    ]:
        doubtful = check(summed, summed_units, divisors, divisor_units)
        if bits + weight_bits > 115 and offset:
            assert doubtful.all()
        if weight_bits <= 53 and not offset:
            assert not doubtful.any()


def test_just_below_and_above_powers_of_two():
    """Below a power of two the float64 lie twice as close as above."""
    weights = np.arange(1, 200, 2)
    numbers = []
    for weight in weights.tolist():
        for quarters in -3, -2, -1, 0, 1, 2, 3, 4, 5, 6:
            numbers += [
                sign * ((weight << 100) + weight * quarters * (1 << 45) + offset)
                for sign in (-1, 1)
                for offset in (-1, 0, 1)
            ]
    doubtful = check(as_sums(numbers, (60, 0), 60), (2.0**60, 1.0), weights[:, None], (1.0,))
    exactly = np.tile(np.arange(60) % 3 == 1, (len(weights), 1))
    assert not doubtful[exactly].any()


# ------------------------------------------------------------------ no doubts without need


@pytest.mark.parametrize("n_limbs", [1, 2, 3])
def test_ordinary_data_leave_no_doubt(n_limbs):
    rng = np.random.default_rng(n_limbs)
    sums = rng.integers(-(2**61), 2**61, (64, n_limbs, 512))
    units = tuple(2.0 ** (-5 - 40 * level) for level in range(n_limbs))
    for weights, weight_units in [
        (rng.integers(1, 1000, (64, 1)), (1.0,)),
        (rng.integers(2**50, 2**61, (64, 2)), (2.0**-45, 2.0**-90)),
    ]:
        _, doubtful = run_kernel(sums, units, weights, weight_units)
        assert doubtful.mean() < 1e-3
    check(sums[:2], units, weights[:2], weight_units)


def test_whole_quotients_leave_no_doubt():
    rng = np.random.default_rng(1)
    weights = np.concatenate([rng.integers(1, 2**53, 30), 2 ** np.arange(53)])
    most = 2**62 // weights
    numbers = [int(m) // n * int(w) for w, m in zip(weights, most, strict=True) for n in (1, 3, 7)]
    assert not check(as_sums(numbers, (0,), 3), (1.0,), weights[:, None], (1.0,)).any()


# ------------------------------------------------------------------ cancelling, zeros, extremes


def test_limbs_that_cancel():
    rng = np.random.default_rng(2)
    numbers = [0, 1, -1, 3, 2**31 + 1, 2**53 + 1, -(2**54) - 3, 2**61 - 1]
    shifts = (60, 33, 0)
    upper = rng.integers(-100, 100, (5, 8))
    sums = np.zeros((5, 3, 8), np.int64)
    for i, j in np.ndindex(5, 8):
        # upper * 2**60 - upper * 2**27 * 2**33, and what is left
        sums[i, :, j] = upper[i, j], -upper[i, j] << 27, numbers[j]
    weights = np.array([[1], [3], [2**40 + 1], [2**61 + 1], [10]])
    doubtful = check(sums, units_of(shifts), weights, (1.0,))
    assert not doubtful[:, 0].any()
    # The same for a weight: (5 - 4) * 2**30 + 3, and (1 - 1) * 2**30 + 1
    weights = np.array([[5, -(4 << 30) + 3], [1, -(1 << 30) + 1]] * 2 + [[7, 0]])
    check(sums, units_of(shifts), weights, (2.0**30, 1.0))


@pytest.mark.parametrize(
    "first, weight_first",
    [(-1000, 0), (0, 990), (-960, -30), (-1022, 20), (1000, 900), (1000, -40), (-1022, -1022)],
)
def test_units_of_any_size(first, weight_first):
    """The first four give results that are no normal numbers."""
    rng, bits = np.random.default_rng(3), 5 if first == 1000 else 62
    sums = rng.integers(-(2**bits), 2**bits, (40, 1, 30)) >> rng.integers(0, bits + 1, (40, 1, 30))
    weights = rng.integers(2**50, 2**62, (40, 1)) >> rng.integers(0, bits - 4, (40, 1))
    check(sums, (2.0**first,), np.maximum(weights, 1), (2.0**weight_first,))


def test_the_ends_of_float64():
    least = np.array([[[2**60 - 1, 2**60, 2**60 + 1, 2**60 - 2**7, 2**60 - 2**8, -(2**60) + 1]]])
    check(least, (2.0**-1022,), np.array([[2**60]]), (1.0,))
    check(least, (2.0**-962,), np.array([[1]]), (2.0**120,))
    sums = np.random.default_rng(12).integers(-20, 20, (5, 2, 9)) * np.array([[0], [1]])
    check(sums, (2.0**500, 2.0**-500), np.full((5, 1), 2**55 + 1), (1.0,))
    with pytest.raises(OverflowError):
        divide_limbs(
            np.array([[[2**40]]]), (2.0**990,), np.array([[1]]), (1.0,), np.full((1, 1), np.nan)
        )


def test_rows_without_weight_keep_their_place():
    sums = np.arange(24).reshape(4, 2, 3) * 7
    weights = np.array([[3, 0], [0, 0], [1, -(2**10)], [0, 5]])  # the third cancels
    previous = np.arange(12.0).reshape(4, 3)
    kept = previous.copy()
    units, weight_units = (1.0, 2.0**-8), (1.0, 2.0**-10)
    expected = exact(sums, units, weights, weight_units)
    means = divide_limbs(sums, units, weights, weight_units, previous)
    assert np.array_equal(means, np.where(np.isnan(expected), previous, expected))
    assert np.array_equal(means[[1, 2]], previous[[1, 2]])
    assert np.array_equal(previous, kept)  # and are not written to
    far_apart = (1.0, 2.0**-200)  # divided by Python alone
    expected = exact(sums, far_apart, weights, weight_units)
    means = divide_limbs(sums, far_apart, weights, weight_units, previous)
    assert np.array_equal(means, np.where(np.isnan(expected), previous, expected))


# ------------------------------------------------------------------ threads, layouts, callers


def test_threads_change_nothing(monkeypatch):
    monkeypatch.setattr(quotients, "WORTH_THREADS", 1)
    rng = np.random.default_rng(5)
    sums = rng.integers(-(2**61), 2**61, (31, 2, 20))
    weights = rng.integers(0, 5, (31, 1))
    units, previous = (1.0, 2.0**-40), rng.random((31, 20))
    one = divide_limbs(sums, units, weights, (1.0,), previous)
    expected = exact(sums, units, weights, (1.0,))
    assert np.array_equal(one, np.where(np.isnan(expected), previous, expected))
    for n in 1, 2, 7, 40:
        with Threads(n) as threads:
            means = divide_limbs(sums, units, weights, (1.0,), previous, threads)
        assert np.array_equal(one, means)


@pytest.mark.parametrize("largest", [1, 2**53 - 1, 2**53, 2**54 - 1, 2**55 - 1, 2**62 - 1])
def test_exact_means(largest):
    rng = np.random.default_rng(8)
    moments = rng.integers(0, largest, (30, 4), endpoint=True)
    moments[3, 0] = 0
    moments[4] = largest
    moments[5] = 1, largest, largest, largest
    sums = moments[:, None, :]
    expected = exact(sums[:, :, 1:], (1.0,), sums[:, :, 0], (1.0,))
    means = exact_means(sums, np.full((30, 3), np.nan))
    assert np.array_equal(means, expected, equal_nan=True)
    assert np.isnan(means[3]).all()
