"""How long `jenga --help` and `jenga plugins list` take beside `python -c "import typer"`, which they need anyway.

    python benchmarks/startup.py [runs]

The commands take turns, so that a busy moment hits all of them; the table shows medians and the ratio to the first.
"""

from __future__ import annotations

import subprocess
import sys
import time
from statistics import median

COMMANDS = {
    'python -c "import typer"': [sys.executable, "-c", "import typer"],
    "jenga --help": [sys.executable, "-m", "jenga_core.cli", "--help"],
    "jenga plugins list": [sys.executable, "-m", "jenga_core.cli", "plugins", "list"],
}


def measure(runs: int) -> dict[str, float]:
    """Median wall seconds of each command over `runs` rounds; one round before them fills the caches."""
    seconds: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for at in range(runs + 1):
        for name, command in COMMANDS.items():
            start = time.perf_counter()
            subprocess.run(command, check=True, capture_output=True)
            if at:
                seconds[name].append(time.perf_counter() - start)
    return {name: median(values) for name, values in seconds.items()}


def main() -> None:
    medians = measure(int(sys.argv[1]) if len(sys.argv) > 1 else 15)
    base = next(iter(medians.values()))
    print(f"{'command':<28}{'seconds':>9}{'ratio':>8}")
    for name, value in medians.items():
        print(f"{name:<28}{value:>9.3f}{value / base:>8.2f}")


if __name__ == "__main__":
    main()
