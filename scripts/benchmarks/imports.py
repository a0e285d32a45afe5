"""What `import motionsig` costs, against `import numpy` and a bare interpreter, in turn. Some twenty seconds."""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from scripts.benchmarks import figures

ROUNDS = 15
PEAK = "; import resource; print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"


def main() -> None:
    """Print milliseconds and memory, the best of each."""
    began_s = figures.begin("imports")
    programs = {
        "python alone": "pass",
        "import numpy": "import numpy",
        "import motionsig": "import motionsig",
        "first extract of a window": (
            "import motionsig, numpy; motionsig.extract(numpy.full((128, 6), 5, 'f4'), rate_hz=50)"
        ),
    }
    best = dict.fromkeys(programs, float("inf"))
    memory = dict.fromkeys(programs, 0.0)
    for _ in range(ROUNDS):
        for name, program in programs.items():
            began = time.perf_counter()
            out = subprocess.run([sys.executable, "-c", program + PEAK], capture_output=True, text=True, check=True)
            best[name] = min(best[name], time.perf_counter() - began)
            memory[name] = int(out.stdout) / 1024
    bare = best["python alone"]
    rows = dict[str, figures.Row]()
    for name in programs:
        ratio = (best[name] - bare) / (best["import numpy"] - bare)
        more = 1000 * (best[name] - bare)
        rows[name] = {"took": 1000 * best[name], "more": more, "ratio": ratio, "peak": memory[name], "on": figures.REAL}
        print(f"  {name:28s}{1000 * best[name]:7.0f} ms {memory[name]:6.0f} MiB   {ratio:4.2f} x numpy's")
    table = figures.Table(
        what=f"the time of a whole process and its peak memory, the best of {ROUNDS}",
        against="a bare interpreter, and what `import numpy` adds to it, in turn",
        units={"took": "ms", "more": "ms", "ratio": "x", "peak": "MiB"},
        rows=rows,
    )
    figures.write("imports", {"imports": table}, began_s=began_s)


if __name__ == "__main__":
    argparse.ArgumentParser(usage=argparse.SUPPRESS, description=__doc__).parse_args()
    main()
