"""The whole suite, in two parts:

    .venv/bin/python -m tests [PYTEST-OPTION ...]

First the tests that are content with a share of the machine, in two processes, each file in one of them. Then those
marked `alone`, `netns` or `bpf`, one after the other in one process: they measure times, or there is one of what they
change on a machine. Fails when either part does; the last line counts the tests of both.
"""

import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parents[1]
ALONE = "alone or netns or bpf"
# In the order of collection (see conftest.py), not by how many tests a file has.
TOGETHER = ("-n", "2", "--dist", "loadfile", "--no-loadscope-reorder")
PARTS: dict[str, tuple[str, ...]] = {
    "together": (*TOGETHER, "-m", f"not ({ALONE})", "tests"),
    "alone": ("-m", ALONE, "tests"),
}
OUTCOMES = ("failure", "error", "skipped")


def run(part: str, options: Iterable[str], folder: Path) -> tuple[int, Counter[str]]:
    """Run a part; (pytest's exit status, tests by outcome). None found is a failure, as pytest has it (5)."""
    # A folder of its own: a second pytest of the same user would close the one that both take by default.
    base, report = folder / part, folder / f"{part}.xml"
    command = [sys.executable, "-m", "pytest", f"--basetemp={base}", f"--junitxml={report}", *PARTS[part], *options]
    status = subprocess.run(command, cwd=ROOT, check=False).returncode
    return status, counted(report.read_text()) if report.exists() else Counter()


def counted(report: str) -> Counter[str]:
    """The tests of a report in JUnit's form by outcome: passed, or one of OUTCOMES. One that passed and whose teardown
    did not counts as an error."""
    found: Counter[str] = Counter()
    for case in ElementTree.fromstring(report).iter("testcase"):
        found[next((outcome for outcome in OUTCOMES if case.find(outcome) is not None), "passed")] += 1
    return found


def main(options: list[str]) -> int:
    began = time.monotonic()
    statuses, sums = [], Counter[str]()
    with tempfile.TemporaryDirectory(prefix="unilb-tests-") as folder:
        Path(folder).chmod(0o755)
        for part in PARTS:
            status, outcomes = run(part, options, Path(folder))
            statuses.append(status)
            sums += outcomes
    words = {"failure": "failed", "error": "errors"}
    counts = [f"{sums['passed']} passed", *(f"{sums[name]} {words.get(name, name)}" for name in OUTCOMES if sums[name])]
    print(f"both parts: {', '.join(counts)} in {time.monotonic() - began:.0f} s")
    return max(statuses, key=abs)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
