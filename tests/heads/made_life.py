"""Other life that tests make up: signatures of people, each of whom has a few motions of their own."""

import numpy as np

from motionsig.heads.background import Background


def background(codes, *, people=20, seconds=23.0, at_rest=None):
    """Return n signatures as a background of so many people, each a stretch of it, with one activity."""
    count = len(codes)
    person = np.arange(count) * people // count
    at_rest = np.zeros(count, bool) if at_rest is None else at_rest
    hours = count * seconds / 3600
    return Background(
        codes,
        at_rest,
        np.full(count, seconds),
        person,
        person,
        np.zeros(count, np.intp),
        ("life",),
        (("people", hours),),
    )


def codes_of_people(count, *, people=20, dim=8, seed=0):
    """Return (count, dim) codes: each person moves in three ways, and never twice the same."""
    rng = np.random.default_rng(seed)
    ways = rng.normal(size=(people, 3, dim))
    person = np.arange(count) * people // count
    values = ways[person, rng.integers(0, 3, count)] + 0.7 * rng.normal(size=(count, dim))
    return np.rint(values / np.linalg.norm(values, axis=1, keepdims=True) * 100).astype(np.int8)
