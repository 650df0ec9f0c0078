"""The native worker: the hot modules of the request path compiled to C by mypyc, in a copy of the tree they belong to.

`python -m userspace.node.native` builds; `make setup` calls it. A build stands under the digest of the sources that it
was made from (`.build/native/DIGEST`): an edited source is never shadowed by an old build. What does not match is not
used, and the same modules run as they are written, at about half the speed.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import sysconfig
from functools import lru_cache
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
HOME: Final = ROOT / ".build" / "native"
PACKAGES: Final = ("userspace", "control")
# What runs for every request. Not among them: what mixes with asyncio.Protocol or derives from Exception, which mypyc
# leaves interpreted or refuses.
MODULES: Final = (
    *(f"userspace/http/{name}.py" for name in ("limits", "events", "framing", "headers", "chunked", "grammar")),
    *(f"userspace/http/{name}.py" for name in ("target", "head", "http1", "upgrade", "request")),
    *(f"userspace/proxy/{name}.py" for name in ("exchange", "forward", "relay", "endpoint_head", "record", "pool")),
    *("userspace/proxy/request_body.py", "userspace/obs/counters.py"),
    *(f"userspace/balancer/{name}.py" for name in ("picker", "round_robin", "chash", "load", "least_conn", "ewma")),
    *(f"userspace/balancer/{name}.py" for name in ("random_two", "tiers")),
)
KEPT: Final = 3  # builds of other sources: workers may be running from them
MARK: Final = "built"  # written last: a build without it was cut off


class BuildError(Exception):
    """mypyc or the C compiler refused; the text is what they said."""


def digest() -> str:
    """The name of a build: of everything in it, and of the Python that it is for."""
    made_from = hashlib.sha256(f"{sys.version} {sysconfig.get_platform()} {MODULES}".encode())
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            made_from.update(str(path.relative_to(ROOT)).encode())
            made_from.update(path.read_bytes())
    return made_from.hexdigest()[:16]


@lru_cache(maxsize=1)
def home() -> Path | None:
    """Where the build of these very sources is; None when there is none. Looked up once: sources that change under a
    running node are not its sources."""
    if os.environ.get("UNILB_INTERPRETED"):
        return None
    found = HOME / digest()
    return found if (found / MARK).exists() else None


def environment() -> dict[str, str]:
    """The environment of a worker, to be run with `-P`: the native tree, or else this one, before any other."""
    path = [str(home() or ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path)}


def build() -> Path:
    """Build if it is not there, and remove old builds of other sources. Raises BuildError."""
    target = HOME / digest()
    if not (target / MARK).exists():
        fresh = HOME / f"{target.name}-new-{os.getpid()}"
        shutil.rmtree(fresh, ignore_errors=True)
        for package in PACKAGES:
            shutil.copytree(ROOT / package, fresh / package, ignore=shutil.ignore_patterns("__pycache__", "*.so"))
        shutil.copy(ROOT / "pyproject.toml", fresh)
        made = subprocess.run(
            [sys.executable, "-m", "mypyc", *MODULES], cwd=fresh, capture_output=True, text=True, env=_compiler()
        )
        if made.returncode != 0:
            shutil.rmtree(fresh)
            raise BuildError(made.stdout[-4000:] + made.stderr[-4000:])
        shutil.rmtree(fresh / "build", ignore_errors=True)
        (fresh / MARK).touch()
        shutil.rmtree(target, ignore_errors=True)
        fresh.rename(target)
    others = [path for path in HOME.iterdir() if path.is_dir() and path != target]
    for other in sorted(others, key=lambda path: path.stat().st_mtime)[: max(0, len(others) - KEPT)]:
        shutil.rmtree(other, ignore_errors=True)
    return target


def _compiler() -> dict[str, str]:
    """Without the search path of a native build: mypyc is to see the sources."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}


def main() -> int:
    HOME.mkdir(parents=True, exist_ok=True)
    try:
        sys.stdout.write(f"native worker in {build()}\n")
    except BuildError as error:
        sys.stderr.write(f"the worker runs interpreted, at about half the speed: mypyc refused it\n{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
