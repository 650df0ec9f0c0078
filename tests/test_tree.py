"""The tree keeps its own rules: imports follow the arrows, tests mirror the code, files stay small, READMEs exist."""

import ast
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
TRACKED = [
    ROOT / line
    for line in subprocess.check_output(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=ROOT, text=True
    ).splitlines()
    if (ROOT / line).exists()
]
MODULES = sorted(p.relative_to(ROOT) for p in TRACKED if p.suffix == ".py" and "tests" not in p.relative_to(ROOT).parts)

# Who may import whom, by the first matching prefix. The composition roots may import everything.
LAW = {
    "control.model": ("control.model",),
    "control.store": ("control.store",),
    "control.allocate": ("control.allocate", "control.store", "control.model"),
    "control": ("control",),
    "userspace.cli": ("userspace", "control"),
    "userspace.run": ("userspace", "control"),
    "userspace.errors": (),
    "userspace.net": (),
    "userspace.wire": (),
    "userspace.tally": (),
    "userspace.http": ("userspace.http", "userspace.errors", "userspace.net"),
    "userspace.routing": ("userspace.routing", "userspace.http", "userspace.net", "userspace.errors", "control.model"),
    "userspace.balancer": ("userspace.balancer", "userspace.net", "control.model"),
    "userspace.plugins": (
        "userspace.plugins", "userspace.routing", "userspace.balancer", "userspace.http", "userspace.net",
        "userspace.tally",
        "userspace.errors", "control.model",
    ),
    "userspace.health": (
        "userspace.health", "userspace.config", "userspace.wire", "userspace.proxy.privileges",
        "userspace.proxy.wire_intake", "userspace.proxy.tls_connect", "userspace.proxy.tls_contexts", "control.model",
    ),
    "userspace.spliced": (
        "userspace.spliced",
        "userspace.node.answer_end", "userspace.node.bpf", "userspace.node.ring", "userspace.node.splice_abi",
        "userspace.config", "userspace.obs", "userspace.wire", "userspace.http", "userspace.net",
        "userspace.plugins.summary", "userspace.proxy.log_format", "userspace.proxy.privileges", "control.model",
    ),
    "userspace.config": (
        "userspace.config", "userspace.plugins", "userspace.routing", "userspace.balancer", "userspace.http",
        "userspace.net", "control.model", "control.store",
    ),
    "userspace.obs": ("userspace.obs",),
    "userspace.proxy": (
        "userspace.proxy", "userspace.config", "userspace.plugins", "userspace.routing", "userspace.balancer",
        "userspace.http",
        "userspace.obs", "userspace.wire", "userspace.tally", "userspace.errors", "userspace.net", "control.model",
    ),
    "userspace.node": (
        "userspace.node", "userspace.config", "userspace.balancer", "userspace.obs", "userspace.wire", "userspace.net",
        "userspace.tally", "userspace.http.footprint",
        "userspace.health.follow",
        "control.model", "control.store",
    ),
    "userspace.lab": ("userspace.lab",),
    "userspace.bench": ("userspace",),
}  # fmt: skip
ONLY_IN = {
    "bcc": {"userspace.node.compile"},
    "pyroute2": {"userspace.node.links"},
    "re2": {"userspace.routing.pattern"},
}
# Pure code: no clock, no socket, no log.
PURE = (
    "userspace.http", "userspace.routing", "userspace.balancer", "userspace.plugins", "userspace.config",
    "control.model",
)  # fmt: skip
IMPURE = {"asyncio", "socket", "logging", "time"}
IMPURE_EXEMPT = {"userspace.config.source", "userspace.plugins.env"}
# Code whose tests stand elsewhere, each with the reason.
TESTED_ELSEWHERE = {
    "userspace.node.abi": "tests/bpf/test_abi.py compares it with abi.h",
    "userspace.node.splice_abi": "tests/bpf/test_abi.py compares it with abi_splice.h",
    "userspace.node.maps": "test_bpf.py and test_datapath.py read and write through it",
    "userspace.node.compile": "runs as a process: test_image_cache.py",
    "userspace.node.bpf_call": "test_bpf.py and test_image.py call through it",
    "userspace.node.bpf_load": "test_image.py makes maps and programs through it",
    "userspace.node.daemon_settings": "a dataclass: test_options.py fills it",
    "userspace.lab.demo": "tests/netns/test_demo.py runs it",
    "userspace.lab.capture": "tests/netns/test_paths.py reads what it captured",
    "userspace.lab.propagation": "tests/netns/test_change.py measures with it",
    "userspace.lab.client": "every test of the lab asks through it",
    "userspace.lab.down": "test_up.py",
    "userspace.lab.enter": "test_exec.py",
    "userspace.lab.fields": "test_topology.py",
    "userspace.lab.lab": "test_up.py",
    "userspace.lab.mounts": "test_up.py",
    "userspace.lab.roles": "test_plan.py",
    "userspace.lab.cli": "tests/netns/test_demo.py and test_up.py call it",
    "userspace.node.daemon": "tests/netns/test_life.py: a node is processes, devices and maps",
    "userspace.node.splice_held": "test_handing_over.py and test_splicing.py hold and release",
    "userspace.node.splice_setup": "tests/netns: it joins a loaded datapath with all that test_splicing.py tests",
    "userspace.node.ring": "test_drops_cli.py reads one round and round",
    "userspace.node.forwarding": "tests/netns/test_life.py, test_paths.py",
    "userspace.node.scrape": "tests/netns reads /metrics and /healthz of every node",
    "userspace.errors": "a dataclass",
    "userspace.plugins.summary": "a dataclass",
    "userspace.plugins.env": "a dataclass",
    "userspace.proxy.spliceable": "test_splice_exchange.py, test_handed_back.py",
    "userspace.proxy.stream_connect": "test_stream_accept.py connects by it",
    "userspace.proxy.forward": "test_exchange.py, test_upstream.py, test_tries.py",
    "userspace.proxy.deciding": "test_exchange_plugins.py waits through it",
    "userspace.proxy.own_answer": "test_exchange_plugins.py",
    **{
        f"control.model.parts.{name}": "schemas: tests/control/model/plugins checks the plugins made of them"
        for name in ("ai", "external", "fields", "logs", "openid")
    },
}
PLUGINS = "control.model.plugins."
MAX_LINES = {".py": 330, ".c": 230, ".h": 250}


def name_of(path: Path) -> str:
    return ".".join(path.with_suffix("").parts).removesuffix(".__init__")


def imports_of(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse((ROOT / path).read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module in ("userspace", "control"):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module


def law_for(module: str) -> tuple[str, ...]:
    matching = [prefix for prefix in LAW if module == prefix or module.startswith(prefix + ".")]
    return LAW[max(matching, key=len)] if matching else ()


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_imports_follow_the_arrows(path: Path) -> None:
    module = name_of(path)
    allowed = law_for(module)
    for imported in imports_of(path):
        if imported.split(".")[0] in ("userspace", "control"):
            assert imported.startswith(tuple(allowed)), f"{module} may not import {imported}"
        home = ONLY_IN.get(imported.split(".")[0])
        assert home is None or module in home, f"only {home} may import {imported}"


@pytest.mark.parametrize("path", [p for p in MODULES if name_of(p).startswith(PURE)], ids=str)
def test_pure_code_has_no_clock_socket_or_log(path: Path) -> None:
    if name_of(path) not in IMPURE_EXEMPT:
        assert not IMPURE & {imported.split(".")[0] for imported in imports_of(path)}


@pytest.mark.parametrize("path", [p for p in MODULES if p.name != "__init__.py"], ids=str)
def test_every_module_has_its_test(path: Path) -> None:
    if name_of(path).startswith(PLUGINS):
        # One table holds a row for each; it checks that none is missing.
        assert (ROOT / "tests/control/model/plugins/test_rows.py").exists()
    elif name_of(path) not in TESTED_ELSEWHERE:
        assert (ROOT / "tests" / path.with_name(f"test_{path.name}")).exists(), (
            f"no tests/{path.parent}/test_{path.name}"
        )


def test_exemptions_are_for_modules_that_exist() -> None:
    assert set(TESTED_ELSEWHERE) | IMPURE_EXEMPT <= {name_of(path) for path in MODULES}


@pytest.mark.parametrize("path", [p.relative_to(ROOT) for p in TRACKED if p.suffix in MAX_LINES], ids=str)
def test_files_stay_small(path: Path) -> None:
    if path.parts[0] != "tests":
        assert len((ROOT / path).read_text().splitlines()) <= MAX_LINES[path.suffix]


def test_every_folder_says_what_it_holds() -> None:
    folders = {path.parent for path in MODULES if path.parent != Path()} | {Path("bpf"), Path("tests"), Path("vagrant")}
    assert sorted(str(f) for f in folders if not (ROOT / f / "README.md").exists()) == []


def test_the_top_level_is_the_owners() -> None:
    visible = {p.relative_to(ROOT).parts[0] for p in TRACKED if not p.relative_to(ROOT).parts[0].startswith(".")}
    assert visible <= {"pyproject.toml", "README.md", "Makefile", "bpf", "userspace", "control", "tests", "vagrant"}
