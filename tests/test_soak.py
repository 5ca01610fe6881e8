"""The soak runs, and stops where an answer is wrong; ``python -m tests.soak`` is the long one."""

from __future__ import annotations

import numpy as np
import pytest

import kmeans_fast as kf

from . import soak


@pytest.fixture(autouse=True)
def short(monkeypatch):
    monkeypatch.setattr(soak, "WARM", 3)
    monkeypatch.setattr(soak, "KINDS", [(np.uint8, 3), (np.float32, 9)])
    monkeypatch.setattr(soak.Soak, "large", lambda self: self.points(3000))


def test_a_short_soak_takes_every_turn(capsys):
    assert soak.main(["--minutes", "0.02", "--seed", "3"]) == 0
    said = capsys.readouterr().out
    assert "all right; faults injected: " in said
    assert "memory " in said


def test_a_wrong_answer_ends_it(monkeypatch, capsys):
    def wrong(*arguments, **options):
        return 1 - right(*arguments, **options)

    right = kf.assign
    monkeypatch.setattr(kf, "assign", wrong)
    assert soak.main(["--minutes", "0.05"]) == 1
    assert "labels are not nearest" in capsys.readouterr().err
