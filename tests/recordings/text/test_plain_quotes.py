"""What stands in quotes is as it was written, also where it has delimiters and spaces."""

from motionsig.recordings.text.dialects import Dialect
from motionsig.recordings.text.plain import plain


def test_spaces_go_before_quotes_and_stay_within_them():
    dialect = Dialect("utf-8", ",", decimal_comma=False, line_end="", newline=b"\n", skip=0, width=3)
    lines = b'1,  "a, ""b""","c, "\n2, "d" ,e\n'
    assert plain(lines, dialect) == b'1,"a, ""b""","c, "\n2,"d" ,e\n'
