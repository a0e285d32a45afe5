"""Texts in many dialects, damaged in ways that files are and in ways that somebody would try."""

from __future__ import annotations

import json
import random

from damaged_logs import JUNK

HEADER = "time_ms,acc_x,acc_y,acc_z,gyr_x,gyr_y,gyr_z"
HOSTILE = (*JUNK, b"1e999", b"nan", b"-", b"=:|")


def rows(count: int, form: str) -> str:
    return "".join(
        form.format(at * 10, *(round((at * 7 + axis * 3) % 19 / 10 - 1, 3) for axis in range(6))) for at in range(count)
    )


def texts() -> tuple[bytes, ...]:
    comma = ",".join(["{}"] * 7) + "\n"
    fields = HEADER.split(",")
    lines = rows(60, comma).splitlines()
    objects = [dict(zip(fields, map(float, line.split(",")), strict=True)) for line in lines]
    forms = [
        HEADER + "\n" + rows(60, comma),
        rows(60, comma),
        "name: x\n" + HEADER.replace(",", ";") + "\n" + rows(60, comma.replace(",", ";")).replace(".", ","),
        "# " + HEADER.replace(",", " ") + "\n" + rows(60, comma.replace(",", "  ")),
        HEADER + "\n" + rows(60, comma.replace("\n", ";\r\n")),
        rows(60, "t = {} | aX = {} | aY = {} | aZ = {} | gX = {} | gY = {} | gZ = {}\n"),
        rows(60, "T: {}\nA: {} {} {}\nG: {} {} {}\n\n"),
        "\n".join(map(json.dumps, objects)),
        json.dumps(objects),
        json.dumps({"data": {name: [it[name] for it in objects] for name in fields}}),
        "t,sensor,x,y,z\n" + "".join(f"{at},{'acc' if at % 2 else 'gyro'},0.1,0.2,9.8\n" for at in range(120)),
        "\n".join([HEADER, *lines[:20], "", *lines[20:40], "boot v1", HEADER, *lines[40:]]),
    ]
    return (*(form.encode() for form in forms), forms[0].encode("utf-16"))


TEXTS = texts()


def damaged(chance: random.Random) -> bytes:
    """Return one of the texts with one to four damages."""
    content = bytearray(chance.choice(TEXTS))
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(content) + 1)
        end = min(len(content), at + chance.choice((1, 2, 9, 80, 500)))
        kind = chance.randrange(6)
        if kind == 0:
            content[at:at] = chance.choice(HOSTILE)
        elif kind == 1:
            del content[at:end]
        elif kind == 2:
            content[at:at] = content[at:end] * chance.choice((1, 3))
        elif kind == 3:
            del content[at:]
        elif kind == 4:
            content[at:end] = chance.randbytes(end - at)
        else:
            content[at:end] = bytes(content[at:end])[::-1]
    return bytes(content)
