"""What was done, as a log says it: texts beside the samples."""

from __future__ import annotations

from motionsig.conventions import MAX_LABEL_CHARS
from motionsig.errors import RecordingError


def check_label(label: str, where: str) -> None:
    """Raise RecordingError for a label that is too long, or that UTF-8 cannot hold."""
    if len(label) > MAX_LABEL_CHARS:
        raise RecordingError(
            f"{where}: expected a label of at most {MAX_LABEL_CHARS} characters, got {len(label)}: {label[:40]!r}..."
        )
    try:
        label.encode()
    except UnicodeEncodeError:
        raise RecordingError(f"{where}: expected a label in Unicode, got {label[:40]!r}") from None
