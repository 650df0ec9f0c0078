"""Replays APISIX's public cases, where they are, against `unilb control` processes of our own."""

import argparse
import importlib.util
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import yaml

from control.server import MIN_KEY_LENGTH
from tests.ports import unused_port

ROOT = Path(__file__).resolve().parents[3]
# Beside this repository; a worktree may stand deeper.
CASES = next(
    (found for above in ROOT.parents if (found := above / "shared" / "cases" / "apisix").exists()),
    ROOT.parent / "shared" / "cases" / "apisix",
)
KEY = "edd1c9f034335f136f87ad84b625c8f1"
VIEWER = "4054f7cf07e344346cd3f287985e76a2"

Case = dict[str, Any]


def replayer() -> ModuleType:
    """replay.py as a module. What it sleeps for only to let a change arrive is not slept: ours have arrived."""
    spec = importlib.util.spec_from_file_location("apisix_replay", CASES / "replay.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    sleep = module.time.sleep

    class Clock:
        time = staticmethod(module.time.time)

        @staticmethod
        def sleep(seconds: float) -> None:
            if seconds >= 1:
                sleep(seconds)

    module.time = Clock  # type: ignore[attr-defined]
    sys.setrecursionlimit(max(sys.getrecursionlimit(), 6000))
    return module


def read_cases(name: str) -> Iterator[Case]:
    with (CASES / name).open() as lines:
        yield from map(json.loads, lines)


def id_of(case: Case) -> str:
    part = case.get("part")
    return f"{case['file']} {case['num']}" + (f".{part[0]}" if part else "")


def talks_to(case: Case, targets: set[str]) -> bool:
    """True when every step is one of `targets`, or no request at all."""
    return all(step["kind"] != "http" or step["target"] in targets for step in case.get("steps", ()))


def options_of(case: Case) -> tuple[str, ...]:
    """The options of `unilb control` for what the case says about its server."""
    server = case.get("server") or {}
    config = yaml.safe_load(server.get("yaml_config") or server.get("extra_yaml_config") or "") or {}
    encryption = (config.get("apisix") or {}).get("data_encryption") or {}
    admin = (config.get("deployment") or {}).get("admin") or {}
    options: list[str] = []
    if "keyring" in encryption:
        keyring = encryption["keyring"] or []
        options += ["--keyring", ",".join([keyring] if isinstance(keyring, str) else keyring)]
    if encryption.get("enable_encrypt_fields") is False:
        options += ["--keyring", ""]
    keys = admin.get("admin_key") or []
    if keys or admin.get("admin_key_required"):
        # Ours takes no key as short as some of these.
        sent = [key["key"] for key in keys if len(key["key"]) >= MIN_KEY_LENGTH]
        options += ["--admin-key", sent[0] if sent else KEY, "--viewer-key", VIEWER]
    return tuple(options)


def is_only_expected(case: Case) -> bool:
    """True for one question about a configuration whose recorded answer the replayer never looks at."""
    steps, output = case.get("steps", ()), case.get("output", ())
    return (
        len(steps) == 1
        and steps[0]["kind"] == "plugin_schema"
        and not case.get("verified")
        and "body_regex" in case["expect_output"]
        and all(isinstance(part, str) for part in output)
    )


def probe(module: Any, case: Case, client: Any) -> tuple[bool, str]:
    """Ask that question; the answer must match what the case expects to be printed."""
    step = case["steps"][0]
    is_good, why = module.probe_schema(client, step["plugin"], step["conf"], step["schema_type"])
    printed = "done\n" if is_good else f"failed: {why}\ndone\n"
    expected = case["expect_output"]["body_regex"]
    found = re.search(module.pcre(expected), printed, module.re_flags(case["expect_output"].get("body_flags")))
    return found is not None, f"{printed!r} !~ {expected!r}"


class Servers:
    """One `unilb control` per store and set of options, started when a case asks for it."""

    def __init__(self, stack: ExitStack, folder: Path, etcd: str | None) -> None:
        self._stack = stack
        self._folder = folder
        self._etcd = etcd
        self._clients: dict[tuple[str, tuple[str, ...]], Any] = {}
        self._module = replayer()

    @property
    def module(self) -> Any:
        return self._module

    def client(self, on_etcd: bool, options: tuple[str, ...]) -> Any:
        store = f"etcd://{self._etcd}" if on_etcd and self._etcd else f"sqlite://{self._folder}/cases.db"
        if (store, options) not in self._clients:
            self._clients[store, options] = self._start(store, options)
        return self._clients[store, options]

    def _start(self, store: str, options: tuple[str, ...]) -> Any:
        admin, control = unused_port(), unused_port()
        has_keys = "--admin-key" in options
        command = [
            *(str(Path(sys.executable).with_name("unilb")), "control", "--store", store),
            *("--listen", f"127.0.0.1:{admin}", "--control-listen", f"127.0.0.1:{control}"),
            *("--audit-log", str(self._folder / "audit.log")),
            *(() if has_keys else ("--admin-key", KEY)),
            *options,
        ]
        self._stack.enter_context(_running(command))
        return self._module.Client(  # type: ignore[no-any-return]
            argparse.Namespace(
                gateway="http://127.0.0.1:1",
                gateway_tls="https://127.0.0.1:1",
                admin=f"http://127.0.0.1:{admin}",
                control=f"http://127.0.0.1:{control}",
                admin_key=None if has_keys else KEY,
                etcd=f"http://{self._etcd}" if self._etcd else None,
                etcd_prefix="/apisix",
                checkout=None,
                timeout=10,
            )
        )


def replay(servers: Servers, cases: list[Case]) -> dict[str, str]:
    """Run `cases` in order; what failed, by case id, and why."""
    on_etcd = {case["file"] for case in cases if any(s["kind"] == "etcd" for s in case.get("steps", ()))}
    failed: dict[str, str] = {}
    file = None
    for case in cases:
        client = servers.client(case["file"] in on_etcd, options_of(case))
        if case["file"] != file:
            file = case["file"]
            servers.module.reset(servers.client(file in on_etcd, ()))
        try:
            if is_only_expected(case):
                is_good, detail = probe(servers.module, case, client)
            else:
                is_good, detail = servers.module.replay_case(case, client, None)
        except Exception as problem:  # the replayer runs Lua: whatever it raises is a failure of the case
            is_good, detail = False, f"{type(problem).__name__}: {problem}"
        if not is_good:
            failed[id_of(case)] = str(detail)
    return failed


def expected_failures(group: str) -> set[str]:
    """The ids under `[group]` in apisix_exceptions.txt."""
    ids: set[str] = set()
    current = ""
    for line in (Path(__file__).with_name("apisix_exceptions.txt")).read_text().splitlines():
        if line.startswith("["):
            current = line.strip("[]")
        elif line and not line.startswith("#") and current == group:
            ids.add(line.partition(":")[0].strip())
    return ids


@contextmanager
def _running(command: list[str]) -> Iterator[None]:
    process = subprocess.Popen(command, stderr=subprocess.PIPE)
    assert process.stderr is not None
    try:
        first = process.stderr.readline()
        assert b"listening" in first, first
        yield
    finally:
        process.terminate()
        process.wait(20)
        process.stderr.close()


def has_cases() -> bool:
    return (CASES / "replay.py").exists()
