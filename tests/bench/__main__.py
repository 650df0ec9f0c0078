"""`make bench`, `make bench ONLY=NAME`: measurements, never tests. Prints a table, writes .bench/NAME.json and .png."""

import importlib
import sys

NAMES = (
    "packets",
    "datapath",
    "matrix",
    "sessions",
    "propagation",
    "keepalive",
    "connrate",
    "tls",
    "idle",
    "routes",
    "spliced",
    "handback",
    "soak",
)


def main() -> int:
    wanted = sys.argv[1:] or NAMES
    unknown = [name for name in wanted if name not in NAMES]
    if unknown:
        print(f"no benchmark {', '.join(unknown)}; there are: {', '.join(NAMES)}", file=sys.stderr)
        return 2
    for name in wanted:
        importlib.import_module(f"tests.bench.{name}").run()
        print()
    return 0


if __name__ == "__main__":
    sys.exit(main())
