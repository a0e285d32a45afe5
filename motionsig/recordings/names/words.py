"""One name of a column cut into words, and what each of them says: a quantity, an axis, a unit, or nothing known.

Words are compared as `units.plain` makes them; English, German, French, Spanish, and the Chinese of WitMotion's
headers. A word of one letter is weak: it is believed only where no whole word says otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import NamedTuple

from motionsig.recordings.names.chips import CHIPS
from motionsig.recordings.names.units import COUNTS, Unit, plain, spell, unit_of

_MEANINGS: Mapping[str, str] = {
    "acc": "acc ac accs acce accel accels accl acclr accelero accelerometer accelerometers accelerometre accelermeter "
    "accelarometer acceleromter acceleration accelerations accelaration aceleracion acelerometro acel aceleracao "
    "acelerometre beschleunigung beschleunigungen beschleunigungssensor beschl xl gforce gf specificforce adxl "
    "加速度 加速度计 加速度計 加速 가속도",
    "whole": "totalacc totalaccel totalaccelerometer totalacceleration totallinearacceleration",
    "total": "total includinggravity withgravity inclgravity withg gesamt",
    "user": "useracc useraccel useraccelerometer useracceleration linacc linaccel linaccelerometer linacceleration "
    "linearacc linearaccel linearaccelerometer linearacceleration linearacceler freeacc freeaccel freeacceleration "
    "dynamicacc dynamicacceleration netacc aareal areal lineal lineare lineaire aceleracionlineal userdynamic "
    "linear lin withoutg withoutgravity withoutgrav nogravity nograv nog exclgravity excludinggravity minusgravity "
    "gravityremoved gravityfree ohneg ohnegravitation sanspesanteur singravedad 线性加速度 线加速度",
    "world": "aaworld aworld worldacc worldaccel worldacceleration earthacc earthacceleration globalacc",
    "body": "bodyacc bodyaccel bodyacceleration",
    "gyr": "gyr gy gyrs gyro gyros gyroscope gyroscopes gyrometer gyroscop gyroskop gyroskope rategyro rotationrate "
    "rotrate rotationalrate rotationvelocity rotationalvelocity rotationspeed rotvel angularvelocity angularvel "
    "angularrate angularspeed angvel angrate angv angularv velang velangular velocidadangular velocidadeangular "
    "vitesseangulaire giroscopio giro gyroscopie drehrate drehraten drehratensensor winkelgeschwindigkeit winkelgeschw "
    "drehgeschwindigkeit omega turnrate bodyrate bodyrates angleratevector anglespeed anglevelocity anglerate "
    "angulargyro ars itg itg3200 l3g l3gd 角速度 陀螺仪 陀螺儀 자이로 각속도",
    "rot": "rot rotation rotations rota",
    "rollrate": "rollrate rollspeed rollvel rollvelocity",
    "pitchrate": "pitchrate pitchspeed pitchvel pitchvelocity",
    "yawrate": "yawrate yawspeed yawvel yawvelocity headingrate",
    "mag": "mag magn magnet magneto magnetic magnetometer magnetometers magnetometre magnetometro magneticfield "
    "magneticflux magfield compass kompass magnetfeld campomagnetico champmagnetique bfield mfield 磁场 磁場 磁力",
    "gravity": "gravity grav gravitation gravityvector gravityvec gravvector gravedad gravite gravitational grv "
    "schwerkraft erdbeschleunigung pesanteur 重力 重力加速度",
    "orientation": "quat quats quaternion quaternions quaternio attitude att euler eul orientation ori orient "
    "rotationvector rotvec rotvector rotationvec rv gamerotationvector grotvec gamerv rotationmatrix rotmat mat "
    "angle angles angulo angulos winkel inclination incl tilt azimuth azimut heading lage pose ahrs orientierung "
    "axisangle 角度 四元数 姿态 姿態",
    "roll": "roll rol",
    "pitch": "pitch nick pit",
    "yaw": "yaw gier",
    # A derived quantity, or one of another sensor: whatever else the name says, it is none of ours.
    "other": "temp temperature temperatura temperatur pressure pres baro barometer altitude alt latitude longitude lat "
    "lon lng speed velocity vel position pos displacement battery batt voltage volt current humidity light lux heart "
    "heartrate hr bpm ppg ecg ekg emg eda gsr spo2 force torque jerk bias biases offset offsets std stdev mean var "
    "variance min max median covariance cov rms norm magnitude energy entropy fft psd error err residual noise status "
    "accuracy valid flag flags quality confidence setpoint target estimate prediction pred predicted delta deltas steps stepcount "
    "pedometer rssi gps proximity sound microphone mic decibel weight height age checksum crc clipping gain scale "
    "samplerate rate fs 温度 气压 电量 高度 経度",
    "x": "xaxis axisx ejex xachse axex",
    "y": "yaxis axisy ejey yachse axey",
    "z": "zaxis axisz ejez zachse axez",
    # Says nothing of which sensor it is, unless nothing else tells two columns apart.
    "noise": "imu imus sensor sensors sensordata data value values val axis achse eje axe axes component direction "
    "reading readings output measurement measured field msg message payload state vector device mpu icm lsm bmi bno "
    "inertial inertialmeasurementunit channel ch of the in on and 3d triaxial tri calibration gx3 "
    "smoothed smooth filtered filt filter lpf lp adc raw rawdata cal calib calibrated uncal uncalibrated corrected corr "
    "compensated comp scaled unscaled fused est si phys physical unit units sample samples",
}
WORDS = {word: meaning for meaning, words in _MEANINGS.items() for word in words.split()}
_CHIP = re.compile("|".join(sorted((plain(chip.name) for chip in CHIPS), key=len, reverse=True)))
QUANTITIES = frozenset(
    {"acc", "whole", "total", "user", "world", "body", "gyr", "rot", "mag", "gravity", "orientation"}
)
LETTERS = {
    "a": "acc",
    "g": "gyr",
    "w": "gyr",
    "r": "gyr",
    "ω": "gyr",
    "m": "mag",
    "h": "mag",
    "b": "mag",
    "q": "orientation",
}
_LETTERS = {**LETTERS, "as": "gyr", "gf": "acc", "v": "other", "p": "other", "e": "orientation", "fs": "other"}
AXES = frozenset("xyzw")
_TOKEN = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-zω]+|[A-Z]+|\d+|[^\W\d_a-zA-Z]+")
_BRACKETS = re.compile(r"\(((?:[^()]|\([^()]*\))*)\)?|\[((?:[^\[\]]|\[[^\[\]]*\])*)\]?|\{([^{}]*)\}|<([^<>]*)>")
_TAIL = re.compile(r"(?P<name>.*?[^\s,/:;|])(?:\s*[,/:;|]\s*|\s+-\s+|\s+in\s+|_in_|\s+)(?P<unit>[^,:;|]+)", re.DOTALL)
_GLUED = re.compile(
    r"(?:m|milli)?(?:deg|rad)s?\s*(?:/|per)\s*s(?:ec)?|(?:deg|rad)\s*s\^?-1|m\s*/\s*s(?:ec)?\s*(?:\^?2|/s(?:ec)?)",
    re.IGNORECASE,
)
_G_FORCE = re.compile(r"\bg_?F(?=_?[xyzXYZ]\b)")
_TYPES = frozenset(
    {"", "txt", "n", "r", "text", "string", "int", "float", "bool", "au", "a.u.", "-", "unitless", "none"}
)
_LONGEST = 200  # characters of a name that are looked at
_JOINED = 5  # tokens that may be one word
_RUN = 5  # tokens that may be one unit


class Said(NamedTuple):
    """What one name says.

    * `words`: meanings of its whole words, as in `_MEANINGS`. `letter`: the meaning of its one-letter word.
    * `axis`: x, y, z, w or "". `index`: the number in brackets or at the end where no axis is.
    * `unit`: of its brackets or end, of whatever quantity.
    * `rest`: words without a meaning. `noise`: words that say nothing by themselves. `tokens`: all of them.
    """

    words: frozenset[str]
    letter: str
    axis: str
    index: int | None
    unit: Unit | None
    rest: tuple[str, ...]
    noise: tuple[str, ...]
    tokens: tuple[str, ...]


def listen(name: str) -> Said:
    """Return what the words of a column's `name` say."""
    text = _G_FORCE.sub("gforce ", spell(name[:_LONGEST].strip().lstrip("%#")).strip())
    unit, index, text = _without_brackets(text)
    if unit is None:
        unit, text = _without_tail(text)
    tokens = _tokens(text)
    words: list[str] = []
    noise: list[str] = []
    left: list[tuple[int, str]] = []
    axes: list[tuple[int, str]] = []
    at = 0
    while at < len(tokens):
        length, meaning = _longest(tokens, at)
        joined = "".join(tokens[at : at + length])
        if meaning == "noise":
            # A number tells one of several: imu1.
            if (
                length == 1
                and at + 1 < len(tokens)
                and tokens[at + 1].isdigit()
                and joined in ("imu", "sensor", "device")
            ):
                left.append((at, joined + tokens[at + 1]))
                length = 2
            else:
                noise.append(joined)
        elif meaning in ("x", "y", "z"):
            axes.append((at, meaning))
        elif meaning:
            words.append(meaning)
        elif joined in AXES:
            axes.append((at, joined))
        else:
            left.append((at, joined))
        at += length
    quantity = any(word in QUANTITIES for word in words)
    if unit is None:
        unit, left = _glued_unit(left, words)
    letter = ""
    if not quantity and axes:
        letter, left, axes = _letter(left, axes)
    elif not quantity and len(left) == 2 and left[0][1] == "q" and left[1][1] in "0123":
        letter, left = "orientation", left[1:]
    axis = ""
    others = [(at, it) for at, it in axes if it != "w"] or axes
    if others:
        axis = others[-1][1] if quantity or letter else others[0][1]
        left = sorted([*left, *((at, it) for at, it in axes if it != axis)])
    turns = {"roll": "x", "pitch": "y", "yaw": "z"}
    for turn, about in turns.items():
        if f"{turn}rate" in words or (turn in words and not axis):
            axis = axis or about
    if index is None and not axis and left and left[-1][1].isdigit() and len(left[-1][1]) < 3:
        index = int(left[-1][1])
    rest = tuple(it for _, it in left)
    return Said(frozenset(words), letter, axis, index, unit, rest, tuple(noise), tuple(tokens))


def _tokens(text: str) -> list[str]:
    found = [token.lower() for token in _TOKEN.findall(text)]
    # GyX is the x of "gy", and not a y.
    whole = [token in WORDS and after in AXES for token, after in zip(found, [*found[1:], ""], strict=False)]
    return [part for token, it in zip(found, whole, strict=True) for part in ((token,) if it else _apart(token))]


def _longest(tokens: list[str], at: int) -> tuple[int, str]:
    for length in range(min(_JOINED, len(tokens) - at), 0, -1):
        joined = "".join(tokens[at : at + length])
        # One letter and a short rest are no word: a_RS.
        if (meaning := WORDS.get(joined, "")) and (length == 1 or len(tokens[at]) > 1 or len(joined) > 4):
            return length, meaning
        if _CHIP.fullmatch(joined):
            return length, "noise"
    return 1, ""


def _without_brackets(text: str) -> tuple[Unit | None, int | None, str]:
    """Return the unit and the index in brackets, and the name without them; other words in brackets stay."""
    unit: Unit | None = None
    index: int | None = None
    kept, end = "", 0
    for match in _BRACKETS.finditer(text):
        inside = next((each for each in match.groups() if each is not None), "").strip()
        kept += text[end : match.start()] + " "
        end = match.end()
        if inside.isdigit() and len(inside) == 1 and not unit_of(inside, "time"):
            index = int(inside)
        elif found := unit_of(inside):
            unit = unit or found
        elif inside.lower() in _TYPES:
            pass
        else:
            kept += inside + " "
    return unit, index, kept + text[end:]


def _without_tail(text: str) -> tuple[Unit | None, str]:
    """Return the unit at the end behind a comma, a slash, "in" or a space, or glued with its slash."""
    if (match := _TAIL.fullmatch(text)) and (unit := unit_of(match["unit"], "acc", "gyr", "time")):
        return unit, match["name"]
    for match in _GLUED.finditer(text):
        if unit := unit_of(match[0], "acc", "gyr"):
            return unit, text[: match.start()] + " " + text[match.end() :]
    return None, text


def _glued_unit(left: list[tuple[int, str]], words: list[str]) -> tuple[Unit | None, list[tuple[int, str]]]:
    """Return the unit that is written as words among the rest, as in gyr_x_rad_s, and the rest without it."""
    quantities = ("acc", "gyr", "counts")
    for length in range(min(_RUN, len(left)), 0, -1):
        for first in range(len(left) - length, -1, -1):
            run = left[first : first + length]
            if run[-1][0] - run[0][0] != length - 1:
                continue
            joined = "".join(it for _, it in run)
            unit = unit_of(joined, *quantities) if len(joined) > 1 else None
            if not unit and joined in ("deg", "rad") and "gyr" in words:
                unit = unit_of(joined + "s", "gyr")
            if (
                not unit
                and joined == "g"
                and first == len(left) - 1
                and {"acc", "user", "gravity", "total"} & set(words)
            ):
                unit = Unit("acc", "g")
            if unit and not (unit.text == COUNTS and joined.isdigit()):
                return unit, left[:first] + left[first + length :]
    return None, left


def _letter(
    left: list[tuple[int, str]], axes: list[tuple[int, str]]
) -> tuple[str, list[tuple[int, str]], list[tuple[int, str]]]:
    """Return the meaning of the one letter that stands for the quantity, and the rest and the axes without it."""
    real = [at for at, it in axes if it != "w"] or [axes[-1][0]]
    candidates = sorted([(at, it) for at, it in [*left, *axes] if it in _LETTERS and at != real[-1]])
    if len(candidates) > 1 and (candidates[0][0], candidates[1][0]) == (0, 1):
        if candidates[0][1] != "r":
            return "other", left, axes  # b_w_RS_S_x: the bias of a gyroscope
        del candidates[0]  # rax: the right one
    for at, it in candidates:
        if at == 0 or at == real[-1] - 1 or (at == real[-1] + 1 and len(it) == 1 and it in "agm"):
            return (
                _LETTERS[it] + ("?" if at > real[-1] else "") + ("r" if it == "r" else ""),
                [each for each in left if each[0] != at],
                [each for each in axes if each[0] != at],
            )
    return "", left, axes


@cache
def _apart(token: str) -> tuple[str, ...]:
    """Return the words that are glued into one token: accx, xgyro, useraccelerationx, ax; the token alone if it is none."""
    if len(token) == 2 and token[1] in AXES and token[0] in _LETTERS:
        return tuple(token)
    if len(token) == 3 and token[2] in "xyz":
        if token[:2] in ("ac", "gy", "as"):
            return token[:2], token[2]
        if token[0] in "lr" and token[1] in "agw":
            return tuple(token)
    if len(token) < 2 or len(token) > 40 or token in WORDS or token.isdigit():
        return (token,)
    for words in _cuts(token):
        if any(WORDS.get(word) in QUANTITIES for word in words):
            return words
    return (token,)


def _cuts(token: str) -> Iterator[tuple[str, ...]]:
    for body, before, after in (
        (token[:-1], (), (token[-1],)),
        (token[1:], (token[0],), ()),
        (token, (), ()),
    ):
        ends = {*before, *after}
        if ends <= AXES or (before and before[0] in "lr"):
            if words := _whole(body):
                yield (*before, *words, *after)
            elif before and before[0] in "lr" and body[-1:] in AXES and (words := _whole(body[:-1])):
                yield (*before, *words, body[-1])


def _whole(text: str) -> tuple[str, ...] | None:
    """Return `text` as words of at least three letters, the longest first; None where it is not made of them."""
    if text in WORDS and len(text) > 2:
        return (text,)
    for length in range(len(text) - 3, 2, -1):
        if text[:length] in WORDS and (after := _whole(text[length:])):
            return (text[:length], *after)
    return None
