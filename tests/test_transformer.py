"""Signatures in scikit-learn's terms."""

import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import SkipTestWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import check_estimator

import motionsig
from motionsig import Signatures
from motionsig.conventions import CHANNELS
from motionsig.errors import InputError

# What check_estimator leaves out for an estimator that takes no (n, features), and that needs no data.
CHECKS_WITHOUT_DATA = (
    "check_estimator_cloneable",
    "check_estimator_repr",
    "check_valid_tag_types",
    "check_mixin_order",
    "check_no_attributes_set_in_init",
    "check_get_params_invariance",
    "check_set_params",
    "check_parameters_default_constructible",
)


@pytest.fixture(scope="module")
def windows(motion):
    return np.stack([motion(2.56, 50, seed=seed) for seed in range(12)])


def test_a_window_gives_its_signature(windows):
    whole = motionsig.extract(windows, rate_hz=50)
    made = Signatures().fit_transform(windows)
    assert made.dtype == np.int8 and (made == whole.codes).all() and made.flags.writeable
    assert (Signatures(part="motion").fit_transform(windows) == whole.motion).all()
    assert (Signatures(part="posture").fit_transform(windows) == whole.posture).all()
    assert (Signatures(output="values").fit_transform(windows) == whole.values).all()


def test_a_recording_gives_the_mean_of_its_signatures(motion):
    long, short = motion(20, 100), motion(5, 100, seed=1)
    made = Signatures(rate_hz=100, output="values").fit_transform([long, pd.DataFrame(short, columns=CHANNELS)])
    for row, recording in zip(made, (long, short), strict=True):
        assert row == pytest.approx(motionsig.extract(recording, rate_hz=100).values.mean(axis=0), abs=1e-6)
    assert Signatures(rate_hz=100).fit_transform(np.stack([short, short])).shape == (2, 64)
    assert (Signatures(rate_hz=100, hop=16).transform([long]) != Signatures(rate_hz=100).transform([long])).any()


def test_it_is_an_estimator_as_far_as_input_of_three_dimensions_allows(windows):
    with pytest.warns(SkipTestWarning, match="requires input"):
        check_estimator(Signatures())
    for name in CHECKS_WITHOUT_DATA:
        getattr(estimator_checks, name)("Signatures", Signatures())
    given = {"rate_hz": 50.0, "part": "motion", "output": "values", "check_units": False}
    copy = pickle.loads(pickle.dumps(clone(Signatures(**given))))
    assert copy.get_params() == Signatures(**given).get_params()
    assert (copy.fit(windows).transform(windows) == Signatures(**given).transform(windows)).all()
    scores = cross_val_score(
        make_pipeline(Signatures(), StandardScaler(), LogisticRegression()), windows, np.arange(12) % 2, cv=3
    )
    assert len(scores) == 3 and np.isfinite(scores).all()


def test_names_of_the_columns_are_those_of_an_export(windows):
    names = Signatures(part="posture").get_feature_names_out()
    assert names.tolist() == [f"code_{i}" for i in range(48, 64)]
    frame = Signatures(part="posture").set_output(transform="pandas").fit_transform(windows)
    assert frame.columns.tolist() == names.tolist() and len(frame) == 12


@pytest.mark.parametrize(
    ("given", "data", "message"),
    [
        ({"part": "left"}, np.ones((1, 128, 6)), "part one of both, motion, posture"),
        ({"output": "bits"}, np.ones((1, 128, 6)), "output one of codes, values"),
        ({}, np.ones((128, 6)), r"got ndarray \(128, 6\); one recording goes in as \[recording\]"),
        ({}, pd.DataFrame(np.ones((128, 6)), columns=CHANNELS), r"got DataFrame \(128, 6\)"),
        ({}, [], "at least one window or recording"),
        (
            {"check_units": False},
            [np.ones((128, 6)), np.ones((100, 6))],
            "recording 1: expected at least 2.56 s, got 100",
        ),
        ({}, [np.ones((500, 5))], r"recording 0: data: expected \(n, 6\)"),
        ({}, np.full((1, 128, 6), 0.1), "expected .acc. near 9.81"),
    ],
)
def test_what_does_not_fit_is_one_clear_error(given, data, message):
    with pytest.raises(InputError, match=message):
        Signatures(**given).fit(data).transform(data)
