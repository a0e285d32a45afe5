"""What several tests ask of a process."""

from pathlib import Path


def is_running(process_id):
    try:
        # A killed orphan may be waiting for whoever takes its exit code.
        return Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
