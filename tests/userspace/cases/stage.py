"""Replays units in a place of its own: one line of JSON in per unit, one out per case. Started by `run.py`."""

import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.control.admin.apisix_cases import Case, id_of, is_only_expected, probe, replayer
from tests.userspace.cases import cases
from tests.userspace.cases.cases import Profile, Unit
from tests.userspace.cases.gateway import Ended, Gateway, NotServed, client_to, stored
from tests.userspace.cases.place import furnish, upstream_servers
from tests.userspace.cases.redis_servers import RedisServers


class Stage:
    """The gateway of the moment. Its store is emptied before each unit."""

    def __init__(self, folder: Path, redis: RedisServers) -> None:
        self._folder = folder
        self._redis = redis
        self._gateway: Gateway | None = None
        self._module: Any = replayer()
        self._module.etcd_op = stored
        self._module.time = time  # windows, delays and health checks are about time: every sleep is slept
        self._has_counted = False  # the gateway of the moment, for an earlier unit
        self._refused: dict[tuple[str, ...], str] = {}

    def run(self, unit: Unit) -> None:
        """Replay a unit, and say of each case how it went."""
        is_clean = False
        self._redis.start(unit.policies)
        self._redis.flush()
        if unit.counts and self._has_counted:
            self.close()
        self._has_counted = unit.counts or (self._has_counted and self._gateway is not None)
        for case in unit.cases:
            began = time.monotonic()
            profile = cases.profile_of(case)
            has_file = profile.file is not None
            if id_of(case) in cases.ANEW:
                self.close()
            if unit.file in cases.EMPTIED:
                self._redis.flush()
            why = self._try(case, profile, not has_file and not is_clean)
            is_clean = is_clean or not has_file
            if why is not None and has_file and self._gateway is not None:
                # APISIX starts anew for each file, and forgets what the last one said of objects that are bad now.
                self.close()
                why = self._try(case, profile, False)
            _say({"case": id_of(case), "why": why, "seconds": time.monotonic() - began})

    def _try(self, case: Case, profile: Profile, resets: bool) -> str | None:
        try:
            client = client_to(self._serve(profile), self._module)
            if resets:
                self._module.reset(client)
            return self._replay(case, client)
        except Exception as problem:  # the replayer runs Lua: whatever it raises is a failure of the case
            return f"{type(problem).__name__}: {problem}"

    def close(self) -> None:
        if self._gateway is not None:
            self._gateway.stop()
            self._gateway = None

    def _replay(self, case: Case, client: Any) -> str | None:
        """Why it failed; None when it passed."""
        if is_only_expected(case):
            is_good, detail = probe(self._module, case, client)
        else:
            is_good, detail = self._module.replay_case(case, client, None)
        return None if is_good else str(detail)

    def _serve(self, profile: Profile) -> Gateway:
        if self._gateway is not None and self._gateway.serves(profile):
            if profile.file is not None:
                self._gateway.take(profile.file)
            return self._gateway
        self.close()
        if profile.options in self._refused:
            raise NotServed(self._refused[profile.options])
        try:
            self._gateway = Gateway(self._folder, profile)
        except Ended as problem:
            self._refused[profile.options] = str(problem)
            raise
        return self._gateway


def _say(what: object) -> None:
    print(json.dumps(what), flush=True)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        furnish(Path(folder))
        with upstream_servers(Path(folder)):
            redis = RedisServers(Path(folder))
            stage = Stage(Path(folder), redis)
            try:
                for line in sys.stdin:
                    wanted = json.loads(line)
                    stage.run(next(unit for unit in cases.units(wanted["group"]) if unit.file == wanted["file"]))
                    _say({"end": wanted["file"]})
            finally:
                stage.close()
                redis.close()


if __name__ == "__main__":
    main()
