"""The soak runs, and stops where an answer is wrong; ``python -m tests.soak`` is the long one."""

import numpy as np
import pytest

import kmeans_fast as kf

from . import soak


@pytest.fixture(autouse=True)
def short(monkeypatch):
    monkeypatch.setattr(soak, "WARM", 22)  # each turn with each kind
    monkeypatch.setattr(soak, "KINDS", [(np.uint8, 3), (np.float32, 9)])
    monkeypatch.setattr(soak.Soak, "large", lambda self: self.points(3000))
    # An empty cache is compiled into: tests/test_cache.py has what is damaged there.
    monkeypatch.setattr(soak, "SMALL_FIT", "print(2)")


def test_a_short_soak_takes_every_turn(capsys):
    assert soak.main(["--minutes", "0", "--seed", "3"]) == 0
    said = capsys.readouterr().out
    assert "all right; faults injected: " in said
    assert "memory " in said
    assert len(said.splitlines()) == 12  # and a line for each kind of turn


def test_a_wrong_answer_ends_it(monkeypatch, capsys):
    def wrong(*arguments, **options):
        return 1 - right(*arguments, **options)

    right = kf.assign
    monkeypatch.setattr(kf, "assign", wrong)
    assert soak.main(["--minutes", "0.05"]) == 1
    assert "labels are not nearest" in capsys.readouterr().err


@pytest.mark.skipif(not soak.held(), reason="the memory held is read from Linux")
def test_a_thousand_fits_leak_nothing():
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 60, (20, 30, 3), np.uint8)
    points = rng.normal(size=(300, 9)).astype(np.float32)

    def fit_some(times):
        for i in range(times):
            kf.fit(picture if i % 2 else points, 5, max_iter=3, n_threads=2, random_state=i)

    fit_some(100)
    before = soak.held()
    fit_some(1000)
    assert soak.held() - before < 500_000  # bytes; each fit's points are 2,000 to 11,000
