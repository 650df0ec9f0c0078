"""The whole suite, in four parts:

    .venv/bin/python -m tests [PYTEST-OPTION ...]

`together`: what is content with a share of the machine, in three processes, each file in one of them. Then at the same
time `packets` (marked `bpf`, and of `netns` what is `apart`; in namespaces and a bpffs of its own, for there is one of
each on a machine) and `regions` (the other `netns`), which take about as long. At last, one after the other with
nothing beside it, what is marked `alone`: it measures times. Fails when any part does; the last line counts the tests
of all.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parents[1]
# In the order of collection (see conftest.py), not by how many tests a file has.
TOGETHER = ("-n", "3", "--dist", "loadfile", "--no-loadscope-reorder")
PARTS: dict[str, tuple[str, ...]] = {
    "together": (*TOGETHER, "-m", "not (alone or netns or bpf)", "tests"),
    "packets": ("-m", "(bpf and not netns or apart) and not alone", "tests"),
    "regions": ("-m", "netns and not (apart or alone)", "tests"),
    "alone": ("-m", "alone", "tests"),
}
TURNS = (("together",), ("packets", "regions"), ("alone",))
MOUNTS = "mkdir -p /run/netns; mount -t tmpfs tmpfs /run/netns && mount -t bpf bpf /sys/fs/bpf"
LOOPBACK = "PATH=$PATH:/usr/sbin:/sbin ip link set lo up"
# Without root its tests are skipped, and nothing is to be kept apart.
APART = ("unshare", "-n", "-m", "--propagation", "private", "sh", "-c", f'{MOUNTS} && {LOOPBACK} && exec "$@"', "tests")
OUTCOMES = ("failure", "error", "skipped")


def start(part: str, options: Iterable[str], folder: Path) -> "subprocess.Popen[bytes]":
    # A folder of its own: a second pytest of the same user would close the one that both take by default.
    command = [sys.executable, "-m", "pytest", f"--basetemp={folder / part}", f"--junitxml={report(part, folder)}"]
    command += [*PARTS[part], *options]
    if part != "packets" or os.geteuid() != 0:
        return subprocess.Popen(command, cwd=ROOT)
    # Beside another part's: shown when it is over.
    with shown(part, folder).open("wb") as out:
        return subprocess.Popen([*APART, *command], cwd=ROOT, stdout=out, stderr=out)


def report(part: str, folder: Path) -> Path:
    return folder / f"{part}.xml"


def shown(part: str, folder: Path) -> Path:
    return folder / f"{part}.out"


def run(parts: Iterable[str], options: list[str], folder: Path) -> tuple[list[int], Counter[str]]:
    """Run parts at the same time; (pytest's exit statuses, tests by outcome). None found is a failure, as pytest has
    it (5)."""
    started = [(part, start(part, options, folder)) for part in parts]
    statuses, sums = [], Counter[str]()
    for part, process in started:
        statuses.append(process.wait())
        if shown(part, folder).exists():
            print(shown(part, folder).read_text(errors="replace"), flush=True)
        if report(part, folder).exists():
            sums += counted(report(part, folder).read_text())
    return statuses, sums


def counted(text: str) -> Counter[str]:
    """The tests of a report in JUnit's form by outcome: passed, or one of OUTCOMES. One that passed and whose teardown
    did not counts as an error."""
    found: Counter[str] = Counter()
    for case in ElementTree.fromstring(text).iter("testcase"):
        found[next((outcome for outcome in OUTCOMES if case.find(outcome) is not None), "passed")] += 1
    return found


def main(options: list[str]) -> int:
    began = time.monotonic()
    statuses, sums = list[int](), Counter[str]()
    with tempfile.TemporaryDirectory(prefix="unilb-tests-") as folder:
        Path(folder).chmod(0o755)
        for parts in TURNS:
            ended, outcomes = run(parts, options, Path(folder))
            statuses += ended
            sums += outcomes
    words = {"failure": "failed", "error": "errors"}
    counts = [f"{sums['passed']} passed", *(f"{sums[name]} {words.get(name, name)}" for name in OUTCOMES if sums[name])]
    print(f"all parts: {', '.join(counts)} in {time.monotonic() - began:.0f} s")
    return max(statuses, key=abs)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
