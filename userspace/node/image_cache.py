"""Images by what they are compiled from, kept in files: BCC takes some ten seconds for a source, a file a millisecond.

An image is named by its flattened source, the functions wanted and the header tree; another BCC that would compile the
same to other instructions is not told apart. Whoever can write here can load programs: the folder is root's alone.
"""

import fcntl
import hashlib
import json
import logging
import os
import subprocess
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import astuple
from pathlib import Path

from userspace.node.compile import flatten
from userspace.node.headers import find_headers
from userspace.node.image import Image, Unreadable, Wanted

COMPILE_TIMEOUT = 120  # seconds; a source takes some 12 on a machine with nothing else to do
KEPT = 32  # images, of half a MiB: those of a few versions

log = logging.getLogger("unilb.images")

CACHE = Path(os.environ.get("UNILB_CACHE", "/var/cache/unilb"))
"""Where images are kept if nobody says otherwise."""

_ROOT = Path(__file__).resolve().parents[2]


class LoadError(Exception):
    """BCC, the verifier or a driver refused a program; the text is what they said."""


def image_of(source: Path, wanted: Collection[Wanted], cache: Path, anew: bool = False) -> Image:
    """Return the image of a source, compiled when it is not in the cache yet. anew: compiled in any case.

    Whoever asks for the same one meanwhile waits for it. Raises LoadError, HeadersMissing.
    """
    headers = find_headers(cache)
    text = flatten(source, source.parent / "lib")
    made_from = repr((text.replace(str(source.parent), ""), [astuple(each) for each in wanted], headers.name))
    folder = cache / "images"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = folder / f"{source.stem}-{hashlib.sha256(made_from.encode()).hexdigest()[:24]}.json"
    with _locked(path.with_suffix(".lock")):
        if not anew:
            try:
                image = Image.from_json(path.read_text())
                os.utime(path)
                return image
            except (FileNotFoundError, Unreadable):
                pass
        image = Image.from_json(_compile(source, wanted, headers))
        _keep(path, image)
    _forget_old(folder)
    return image


def _keep(path: Path, image: Image) -> None:
    """Write an image whole, or not at all: who has compiled it can do without the file."""
    fresh = path.with_suffix(".new")
    try:
        fresh.write_text(image.to_json())
        fresh.rename(path)
    except OSError as error:
        log.warning("%s is not kept, the next start compiles again: %s", path.name, error)
        fresh.unlink(missing_ok=True)


def _compile(source: Path, wanted: Collection[Wanted], headers: Path) -> str:
    job = {"source": str(source), "wanted": [astuple(each) for each in wanted], "headers": str(headers)}
    done = subprocess.run(
        [sys.executable, "-m", "userspace.node.compile"],
        input=json.dumps(job),
        text=True,
        capture_output=True,
        cwd=_ROOT,
        timeout=COMPILE_TIMEOUT,
    )
    if done.returncode != 0:
        raise LoadError(f"{source.name} does not load:\n{done.stderr}")
    return done.stdout


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _forget_old(folder: Path) -> None:
    """Keep those that were used last. One that goes while somebody wants it is compiled again."""
    used = sorted(folder.glob("*.json"), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in used[KEPT:]:
        path.unlink(missing_ok=True)
        path.with_suffix(".lock").unlink(missing_ok=True)
