"""Options under the names of an earlier version."""

import pytest

from motionsig import open_sink
from motionsig.errors import InputError
from motionsig.options import renamed_keywords, renamed_options


@renamed_keywords(old="new")
def function(*, new: int) -> int:
    return new


def test_a_keyword_keeps_its_old_name_for_one_version_with_a_warning():
    assert function(new=1) == 1
    with pytest.warns(DeprecationWarning, match="old= is called new="):
        assert function(old=2) == 2  # type: ignore[call-arg]


def test_a_keyword_under_both_its_names_is_refused():
    with pytest.warns(DeprecationWarning), pytest.raises(InputError, match="expected new= or old=, got both"):
        function(old=1, new=2)  # type: ignore[call-arg]


def test_a_sink_still_takes_epoch(tmp_path):
    with pytest.warns(DeprecationWarning, match="epoch= is called stream_id="):
        open_sink(f"store:{tmp_path}/s.db", device="d", epoch=1).close()


def test_an_option_keeps_its_old_name_for_one_version_with_a_warning(caplog):
    assert renamed_options({"old": 1, "other": 2}, {"old": "new"}, where="x:") == {"new": 1, "other": 2}
    assert "x: option 'old' is called 'new'" in caplog.text
    with pytest.raises(InputError, match="new and old"):
        renamed_options({"old": 1, "new": 1}, {"old": "new"}, where="x:")
