"""Asking a person for the poses: what comes next, and which poses are of use."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from motionsig.blocks import Source
from motionsig.cli.progress import printers
from motionsig.errors import SensorError
from motionsig.sensors.calibration.fit import MOUNT_ANGLE_DEG
from motionsig.sensors.calibration.model import Floats
from motionsig.sensors.calibration.poses import angle_deg, face_of, is_leaning, missing_faces, untested_faces
from motionsig.sensors.calibration.rest import CELL_S, REST_S, Rest, SilentError, find_rests

Plan = Callable[[Floats], tuple[int, str]]
"""From the poses so far, (k, 3) m/s², to how many are still needed and what comes next."""

_SKEW_POSES, _SKEW_APART_DEG = 6, 40.0


def plan(what: str, skew: bool) -> Plan:
    return {"gyro": _one_pose, "mount": _two_poses}.get(what, _all_faces_and_skew if skew else _all_faces)


def _one_pose(poses: Floats) -> tuple[int, str]:
    return 1 - len(poses), "lay it on something solid and leave it alone"


def _two_poses(poses: Floats) -> tuple[int, str]:
    if not len(poses):
        return 2, "put the device level, as it is when worn or mounted"
    if len(poses) > 1 and MOUNT_ANGLE_DEG <= angle_deg(poses[0], poses[1]) <= 180 - MOUNT_ANGLE_DEG:
        return 0, ""
    return 1, "tilt its front up, by 45 degrees or so, and prop it"


def _all_faces(poses: Floats) -> tuple[int, str]:
    missing, untested = missing_faces(poses), untested_faces(poses)
    text = f"lay it on another face, in any order; still to come: {', '.join(missing)}"
    if not missing:
        towards = {face[0]: face for face in reversed(untested)}
        text = f"lean it on a corner, with these axes well off level: {', '.join(sorted(towards.values()))}"
    return len(missing) + len(untested), text


def _all_faces_and_skew(poses: Floats) -> tuple[int, str]:
    left, text = _all_faces(poses)
    distinct: list[Floats] = []
    for pose in poses[is_leaning(poses)] if len(poses) else ():
        if all(angle_deg(pose, other) >= _SKEW_APART_DEG for other in distinct):
            distinct.append(pose)
    more = max(_SKEW_POSES - len(distinct), 0)
    return left + more, text if left else f"lean it in another way, on an edge; {more} more"


def gather(source: Source, plan: Plan, *, timeout_s: float) -> list[Rest]:
    """Ask for one pose after the other on standard error; return those that were needed.

    Raises SensorError after `timeout_s` without a new one, by the samples' time, by ours while none come.
    """
    rests: list[Rest] = []
    left, text = plan(np.empty((0, 3)))
    say, show = printers()
    say(
        f"each pose is found once it was still for {REST_S:g} s; {timeout_s:g} s without a new one end this, as ^C does"
    )
    say(text)
    waited_s, reason, heard_s = 0.0, "", time.monotonic()
    for step in find_rests(source, source.rate_hz):
        if not isinstance(step, SilentError):
            waited_s, heard_s = waited_s + CELL_S, time.monotonic()
        if isinstance(step, Rest):
            poses = np.array([rest.mean[:3] for rest in (*rests, step)])
            name = face_of(poses[-1])
            left_now, text_now = plan(poses)
            if left_now < left:
                rests.append(step)
                left, text, waited_s = left_now, text_now, 0.0
                say(f"pose {len(rests)}: {name}, |acc| {np.linalg.norm(poses[-1]):.3f} m/s²")
                if not left:
                    return rests
                say(text)
            else:
                say(f"{name} again: that one is there already; {text}")
        elif step is not None:
            reason = str(step)
        waiting_s = waited_s + time.monotonic() - heard_s
        show(f"waiting for {REST_S:g} s at rest, {waiting_s:.0f} of {timeout_s:g} s: {reason or 'it is still'}")
        if waiting_s > timeout_s:
            raise SensorError(f"calibrate: expected a new pose within {timeout_s:g} s, got none; {text}; {reason}")
    raise SensorError(f"calibrate: expected poses, got the end of the samples; {text}; {reason}")
