"""The native worker is what was written: it is of these very sources, and passes the tests of what was compiled."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from userspace.node import native

ROOT = Path(__file__).resolve().parents[3]
# Derives a class from a compiled one, to see it go.
LEFT_OUT = "tests/userspace/http/test_chunked.py::test_a_decoder_goes_with_its_last_reference"


@pytest.fixture(scope="module")
def built() -> Path:
    """Built by `make setup`; a run of pytest alone may find sources that were edited since."""
    native.HOME.mkdir(parents=True, exist_ok=True)
    return native.build()


def run(*arguments: str, home: Path) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "PYTHONPATH": str(home)}
    return subprocess.run(
        [sys.executable, "-P", *arguments], env=environment, cwd=ROOT, capture_output=True, text=True, timeout=100
    )


def test_a_worker_runs_compiled(built: Path) -> None:
    native.home.cache_clear()
    assert native.home() == built
    assert native.environment()["PYTHONPATH"].split(os.pathsep)[0] == str(built)
    names = [module.removesuffix(".py").replace("/", ".") for module in native.MODULES]
    code = f"import importlib\nfor name in {names}: print(importlib.import_module(name).__file__)"
    files = run("-c", code, home=built).stdout.split()
    assert len(files) == len(names) and all(file.endswith(".so") and file.startswith(str(built)) for file in files)


def test_what_was_compiled_passes_its_tests(built: Path, tmp_path: Path) -> None:
    """Those of the codec in full; the exchange is driven by every test that starts a worker."""
    options = ("-m", "pytest", "-q", "--import-mode=append", "-p", "no:cacheprovider", "-x", f"--deselect={LEFT_OUT}")
    # A base of its own: a second pytest of the same user closes the first one's to everybody else.
    options += (f"--basetemp={tmp_path / 'base'}",)
    tests = [f"tests/userspace/{name}.py" for name in ("http/test_http1", "http/test_malformed", "http/test_chunked")]
    tests += [f"tests/userspace/proxy/test_{name}.py" for name in ("exchange", "exchange_plugins", "upstream")]
    done = run(*options, *tests, home=built)
    assert done.returncode == 0, done.stdout[-3000:]


def test_other_sources_have_another_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for package in native.PACKAGES:
        (tmp_path / package).mkdir()
        (tmp_path / package / "a.py").write_text("x = 1\n")
    monkeypatch.setattr(native, "ROOT", tmp_path)
    first = native.digest()
    assert native.digest() == first
    (tmp_path / "userspace" / "a.py").write_text("x = 2\n")
    second = native.digest()
    (tmp_path / "userspace" / "a.py").rename(tmp_path / "userspace" / "b.py")
    assert len({first, second, native.digest()}) == 3


def test_without_a_build_or_when_told_so_workers_run_as_written(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(native, "HOME", tmp_path)
    native.home.cache_clear()
    assert native.home() is None
    assert native.environment()["PYTHONPATH"].split(os.pathsep)[0] == str(ROOT)
    (tmp_path / native.digest()).mkdir()
    native.home.cache_clear()
    assert native.home() is None  # cut off before its mark
    (tmp_path / native.digest() / native.MARK).touch()
    native.home.cache_clear()
    assert native.home() is not None
    monkeypatch.setenv("UNILB_INTERPRETED", "1")
    native.home.cache_clear()
    assert native.home() is None
    native.home.cache_clear()


def test_what_mypyc_refuses_is_said_and_leaves_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for package in native.PACKAGES:
        (tmp_path / package).mkdir()
    (tmp_path / "pyproject.toml").write_text("")
    (tmp_path / "userspace" / "bad.py").write_text("def f() -> int:\n    return 'x'\n")
    monkeypatch.setattr(native, "ROOT", tmp_path)
    monkeypatch.setattr(native, "MODULES", ("userspace/bad.py",))
    monkeypatch.setattr(native, "HOME", tmp_path / "home")
    with pytest.raises(native.BuildError, match="Incompatible return value"):
        (tmp_path / "home").mkdir()
        native.build()
    assert list((tmp_path / "home").iterdir()) == []


def test_every_module_named_is_there() -> None:
    assert all((ROOT / module).exists() for module in native.MODULES)
    assert importlib.util.find_spec("mypyc") is not None
