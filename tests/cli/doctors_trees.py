"""Machines as trees of files, for the doctor to look at, and what every line of his has to be."""

from pathlib import Path

from motionsig.cli.doctor.findings import Mark


def grow(root, *trees):
    """Write files; a Path stands for a symbolic link."""
    for name, content in {name: content for tree in trees for name, content in tree.items()}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, Path):
            path.symlink_to(content)
        else:
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return root


def without(tree, *names):
    return {name: content for name, content in tree.items() if not name.startswith(names)}


def check_lines(findings):
    for finding in findings:
        line = finding.found + finding.advice
        assert finding.found and line.isprintable(), finding
        assert bool(finding.advice) == (finding.mark is not Mark.OK), finding
