"""The picture of signatures in a notebook's cell."""

import base64
import io
import re

import numpy as np
import pytest

from motionsig.heatmap import html


def pixels(text):
    image = pytest.importorskip("matplotlib.image")
    data = re.search(r"base64,([^\"]+)", text)[1]
    return np.rint(image.imread(io.BytesIO(base64.b64decode(data)), format="png") * 255).astype(int)


def test_each_code_is_a_cell_motion_above_a_line_posture_below():
    codes = np.zeros((2, 4), np.int8)
    codes[0, 0], codes[1, 3] = -128, 127
    shown = pixels(html(codes, 3, "x"))
    assert shown.shape == (4 * 3 + 1, 2 * 12, 3)
    blue, white, orange = shown[0, 0], shown[3, 0], shown[-1, -1]
    assert blue[2] > 150 > blue[0] and white.tolist() == [250] * 3 and orange[0] > 220 > 100 > orange[2]
    assert (shown[9] == 96).all() and (shown[8] == 250).all()


def test_many_signatures_are_thinned_out_and_it_says_so():
    text = html(np.zeros((1300, 64), np.int8), 48, "x")
    assert pixels(text).shape == (64 * 3 + 1, 434, 3)
    assert "48 motion codes above the line, 16 posture codes below; one of 3 signatures is shown" in text


def test_none_are_a_line_of_text_and_text_is_escaped():
    assert html(np.zeros((0, 64), np.int8), 48, "<b>") == "<div><code>&lt;b&gt;</code></div>"
