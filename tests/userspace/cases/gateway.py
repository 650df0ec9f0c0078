"""`unilb run` for one profile, and the replayer's client to it, which sees its own writes."""

import argparse
import json
import os
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from control.model.keys import CONFIGURATION
from tests.control.admin.apisix_cases import KEY
from tests.userspace.cases.cases import Profile
from tests.userspace.cases.redis_servers import ENVIRONMENT as REDIS_NODES

GATEWAY_TLS = "127.0.0.1:1994"
GATEWAY, ADMIN, CONTROL, METRICS = "127.0.0.1:1984", "127.0.0.1:9180", "127.0.0.1:9090", "127.0.0.1:9091"
# What APISIX's own test server has in its environment.
ENVIRONMENT = {"test_auth": "authone", **REDIS_NODES}
# Seconds for a start, and for a change to be in force in all workers, on a busy machine too.
PATIENCE = 60.0
# In which a file that changed has been looked at.
LOOKS = 1.0


class NotServed(Exception):
    """The gateway does not start, or a change does not arrive."""


class Ended(NotServed):
    """It ended by itself, and would again."""


class Gateway:
    """One process. Within one `folder`, what the store holds outlives it."""

    def __init__(self, folder: Path, profile: Profile) -> None:
        self.profile = profile
        self.written = 0  # the revision of the last write; 0 when it is known to be in force
        self._log = folder / "unilb.log"
        self._file = folder / "apisix.yaml"
        self.database = folder / "unilb.db"
        command = [
            *(str(Path(sys.executable).with_name("unilb")), "run", "--data-dir", str(folder), "--access-log", "off"),
            *("--listen", GATEWAY, "--listen-tls", GATEWAY_TLS, "--metrics", METRICS, *profile.options),
        ]
        command += ["--control-listen", CONTROL]
        if profile.file is None:
            command += ["--admin-listen", ADMIN, "--admin-key", KEY]
        else:
            self._file.write_text(profile.file)
            command += ["--config", str(self._file)]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, env=os.environ | ENVIRONMENT)
        try:
            self._wait(lambda state: bool(state["ready"]))
        except NotServed:
            self.stop()
            raise

    def serves(self, profile: Profile) -> bool:
        """True when this process can serve a case of `profile`: `take` its file then."""
        same_source = (self.profile.file is None) == (profile.file is None)
        return self._process.poll() is None and self.profile.options == profile.options and same_source

    def take(self, file: str) -> None:
        """Serve another file from now on."""
        if file == self.profile.file:
            return
        before = self._state()
        self._file.write_text(file)
        self.profile = Profile(self.profile.options, file)
        # A file that is wrong as the one before it was changes neither.
        deadline = time.monotonic() + LOOKS
        while all(self._state()[what] == before[what] for what in ("revision", "store_error")):
            if time.monotonic() > deadline:
                break
            time.sleep(0.005)
        self._await_revision(self._state()["revision"])

    def await_writes(self) -> None:
        """Return when all workers route by what was written."""
        self._await_revision(self.written)
        self.written = 0

    def _await_revision(self, revision: int) -> None:
        if revision:
            self._wait(lambda state: bool(state["workers"]) and all(at >= revision for at in state["workers"].values()))

    def stop(self) -> None:
        """At once: what it would drain is ours."""
        self._process.terminate()
        self._process.wait(PATIENCE)

    def _wait(self, is_there: Any) -> None:
        deadline = time.monotonic() + PATIENCE
        while True:
            state = self._state()
            if state and is_there(state):
                return
            if self._process.poll() is not None:
                raise Ended(self._log.read_text()[-600:])
            if time.monotonic() > deadline:
                raise NotServed(f"not within {PATIENCE:g} s: {self._log.read_text()[-600:]}")
            time.sleep(0.002)

    def _state(self) -> dict[str, Any]:
        """What /healthz says; nothing while it does not listen."""
        try:
            with urllib.request.urlopen(f"http://{METRICS}/healthz", timeout=5) as answer:
                return dict(json.load(answer))
        except urllib.error.HTTPError as error:
            with error:
                return dict(json.load(error))
        except OSError:
            return {}


def client_to(gateway: Gateway, module: Any) -> Any:
    """A replayer's client. A request to the gateway waits until the writes before it are in force."""

    class Client(module.Client):  # type: ignore[misc]
        def request(self, method: str, url: str, headers: Any, body: Any, connect: Any = None) -> Any:
            target, _ = self.url_base(url)
            if target != "admin":
                gateway.await_writes()
            answer = super().request(method, url, headers, body, connect)
            if target == "admin" and _changes_gateways(method, answer):
                gateway.written = int(answer.header("X-Unilb-Revision"))
            return answer

    return Client(
        argparse.Namespace(
            gateway=f"http://{GATEWAY}",
            gateway_tls=f"https://{GATEWAY_TLS}",
            admin=f"http://{ADMIN}",
            control=f"http://{CONTROL}",
            admin_key=KEY,
            database=gateway.database,
            timeout=10,
        )
    )


def _changes_gateways(method: str, answer: Any) -> bool:
    """True for a write to what gateways follow: their revision becomes its own."""
    if method in ("GET", "HEAD") or answer.header("X-Unilb-Revision") is None:
        return False
    return str(json.loads(answer.body).get("key", "")).startswith(CONFIGURATION)


def stored(settings: argparse.Namespace, op: str, key: str, value: object = None) -> dict[str, object]:
    """The replayer's question to etcd, asked of the embedded store: it holds the same keys and values."""
    if op != "get":
        raise NotServed("a case writes to the store itself")
    with sqlite3.connect(settings.database) as database:
        row = database.execute(
            "SELECT value, create_revision, mod_revision FROM entries WHERE key = ?", (f"/apisix{key}",)
        ).fetchone()
    if row is None:
        return {"status": 404, "body": {"message": "Key not found"}}
    node = {"key": f"/apisix{key}", "value": json.loads(row[0]), "createdIndex": row[1], "modifiedIndex": row[2]}
    return {"status": 200, "body": {"node": node}}
