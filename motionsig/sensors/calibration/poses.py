"""Which way a device at rest lies: on one of six faces, or leaning."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from motionsig.sensors.calibration.model import Floats

FACES = ("x up", "y up", "z up", "x down", "y down", "z down")
_FACES = np.vstack([np.eye(3), -np.eye(3)])
_ON_FACE = np.cos(np.radians(30.0))
_LEANS = 0.3
"""A leaning pose tests a face if this part of gravity is along it: an error e in the face's pose then shows as e/5."""


def _along_faces(poses: ArrayLike) -> Floats:
    """Return (k, 6): the part of each pose, of (k, 3), along each face."""
    values = np.asarray(poses, np.float64).reshape(-1, 3)
    return np.asarray(values / np.linalg.norm(values, axis=1, keepdims=True) @ _FACES.T)


def face_of(pose: ArrayLike) -> str:
    """Return which of FACES a pose (3,) lies on, or "leaning"."""
    along = _along_faces(pose)[0]
    return FACES[along.argmax()] if along.max() >= _ON_FACE else "leaning"


def is_leaning(poses: ArrayLike) -> NDArray[np.bool_]:
    """Return (k,) for poses (k, 3): whether it is more than 30 degrees from lying on any face."""
    return np.asarray(_along_faces(poses).max(axis=1) < _ON_FACE)


def _faces_without(along: Floats, least: float) -> tuple[str, ...]:
    return tuple(face for face, parts in zip(FACES, along.T, strict=True) if not (parts >= least).any())


def missing_faces(poses: ArrayLike) -> tuple[str, ...]:
    """Return the faces that no pose of (k, 3) lies on."""
    return _faces_without(_along_faces(poses), _ON_FACE)


def untested_faces(poses: ArrayLike) -> tuple[str, ...]:
    """Return the faces towards which no leaning pose of (k, 3) leans enough to show an error of theirs."""
    return _faces_without(_along_faces(poses)[is_leaning(poses)], _LEANS)


def angle_deg(first: Floats, second: Floats) -> float:
    """Return the angle between two vectors (3,)."""
    return float(np.degrees(np.arctan2(np.linalg.norm(np.cross(first, second)), first @ second)))
