"""Replays public cases against gateways of this checkout:

    .venv/bin/python -m tests.userspace.cases.run plugin --only t/plugin/key-auth.t
    .venv/bin/python -m tests.userspace.cases.run router node --jobs 2
    .venv/bin/python -m tests.userspace.cases.run --repaired      all of them; those that pass now leave exceptions.txt

What a case does: `python3 ../shared/cases/apisix/replay.py show ../shared/cases/apisix/plugin.jsonl --file F --num N`.
"""

import argparse
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.control.admin.apisix_cases import ROOT, id_of
from tests.userspace.cases.cases import GROUPS, Unit, units
from tests.userspace.cases.place import inside

EXCEPTIONS = Path(__file__).with_name("exceptions.txt")
# What the cases wait for is mostly time, not the processor.
JOBS = (os.cpu_count() or 1) + 2
# Seconds that a unit sleeps, from which on it is not left for the end.
LONG = 3.0


@dataclass(frozen=True)
class Outcome:
    """Of one case. `why` it failed; None when it passed."""

    group: str
    case: str
    why: str | None
    seconds: float


def replay(wanted: Iterable[Unit], jobs: int = JOBS) -> list[Outcome]:
    """Replay units, several at a time; the longest first. The outcomes come in the order of `wanted`."""
    all_units = list(wanted)
    waiting = Waiting(all_units)
    outcomes: dict[str, list[Outcome]] = {}
    threads = [threading.Thread(target=_work, args=(waiting, outcomes)) for _ in range(min(jobs, len(all_units)))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [outcome for unit in all_units for outcome in outcomes[unit.file]]


class Waiting:
    """Units that are still to be replayed: those that take long first, then what the gateway at hand can serve."""

    def __init__(self, wanted: Iterable[Unit]) -> None:
        self._units = sorted(wanted, key=lambda unit: (-unit.seconds, -len(unit.cases)))
        self._lock = threading.Lock()

    def next(self, server: object) -> Unit | None:
        """Take one; `server`: the server of the unit before."""
        with self._lock:
            if not self._units:
                return None
            if self._units[0].seconds >= LONG:
                return self._units.pop(0)
            fitting = (number for number, unit in enumerate(self._units) if unit.server(0) == server)
            return self._units.pop(next(fitting, 0))


def _work(waiting: Waiting, outcomes: dict[str, list[Outcome]]) -> None:
    command = inside([sys.executable, "-m", "tests.userspace.cases.stage"])
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as stage:
        assert stage.stdin is not None and stage.stdout is not None
        server: object = None
        while (unit := waiting.next(server)) is not None:
            server = unit.server(-1)
            found = outcomes[unit.file] = []
            if stage.poll() is None:
                stage.stdin.write(json.dumps({"group": unit.group, "file": unit.file}) + "\n")
                stage.stdin.flush()
                for line in stage.stdout:
                    said = json.loads(line)
                    if "end" in said:
                        break
                    found.append(Outcome(unit.group, said["case"], said["why"], said["seconds"]))
            found += [Outcome(unit.group, id_of(case), "not replayed", 0.0) for case in unit.cases[len(found) :]]
        stage.stdin.close()


def exceptions() -> Mapping[str, Mapping[str, str]]:
    """What exceptions.txt says: by group and case, the word for why it does not pass."""
    found: dict[str, dict[str, str]] = {group: {} for group in GROUPS}
    group = ""
    for line in EXCEPTIONS.read_text().splitlines():
        if line.startswith("["):
            group = line.strip("[]")
        elif line and not line.startswith("#"):
            case, _, word = line.partition(": ")
            found[group][case] = word
    return found


def _forget(passing: set[str]) -> int:
    """Take out of exceptions.txt what passes; how many that were."""
    lines = EXCEPTIONS.read_text().splitlines()
    kept = [line for line in lines if line.startswith(("#", "[")) or line.partition(": ")[0] not in passing]
    EXCEPTIONS.write_text("\n".join(kept) + "\n")
    return len(lines) - len(kept)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("groups", nargs="*", help=f"of {', '.join(GROUPS)}; default all")
    parser.add_argument("--only", default="", metavar="TEXT", help="files whose names contain it")
    parser.add_argument("--jobs", type=int, default=JOBS)
    parser.add_argument("--repaired", action="store_true", help="take what passes out of exceptions.txt")
    parser.add_argument("--verbose", action="store_true", help="also name what passes, and what is excepted")
    args = parser.parse_args()
    groups = [group.removesuffix(".jsonl") for group in args.groups] or GROUPS
    started = time.monotonic()
    known = exceptions()
    outcomes = replay([unit for group in groups for unit in units(group, args.only)], args.jobs)
    for outcome in outcomes:
        excepted = known[outcome.group].get(outcome.case)
        if outcome.why is None and (args.verbose or excepted):
            print(f"pass {outcome.case} {outcome.seconds:.2f} s" + (f" (listed as {excepted})" if excepted else ""))
        if outcome.why is not None and (args.verbose or args.only or not excepted):
            print(f"FAIL {outcome.case} ({excepted or 'not listed'})\n     {outcome.why}")
    passed = {outcome.case for outcome in outcomes if outcome.why is None}
    print(f"{len(passed)} of {len(outcomes)} passed in {time.monotonic() - started:.0f} s")
    if args.repaired:
        print(f"{_forget(passed)} taken out of {EXCEPTIONS.name}")
    return any(outcome.why is not None and outcome.case not in known[outcome.group] for outcome in outcomes)


if __name__ == "__main__":
    sys.exit(main())
