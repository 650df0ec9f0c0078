"""Clients that others wrote, each as one function: a request in, what came back out."""

import hashlib
import json
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

from tests.userspace.clients.origin import body

HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Ask:
    """`size`: of the body, made by `origin.body`; `stream`: sent in chunks. `ca`: whom to trust for https."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    size: int = 0
    stream: bool = False
    ca: Path | None = None


@dataclass(frozen=True, slots=True)
class Told:
    status: int
    headers: Mapping[str, str]
    body: bytes | None  # None: too large to keep
    size: int
    sha256: str

    @property
    def json(self) -> Any:
        return json.loads(self.body or b"")


Driver = Callable[[Ask, Path], Told]


def _told(status: int, headers: Mapping[str, str], whole: bytes) -> Told:
    lower = {name.lower(): value for name, value in headers.items()}
    return Told(status, lower, whole, len(whole), hashlib.sha256(whole).hexdigest())


def _head(text: str) -> tuple[int, dict[str, str]]:
    """Status and headers of the last head in `text`."""
    last = [block for block in text.replace("\r", "").strip().split("\n\n") if block][-1].splitlines()
    fields = dict(line.strip().split(": ", 1) for line in last[1:] if ": " in line)
    return int(last[0].split()[1]), fields


def curl(ask: Ask, folder: Path) -> Told:
    """curl 7.88: large uploads bring `Expect: 100-continue`."""
    argv = ["curl", "-sS", "-X", ask.method, "-D", str(folder / "head"), "-o", str(folder / "out"), ask.url]
    argv += [option for name, value in ask.headers.items() for option in ("-H", f"{name}: {value}")]
    if ask.method == "HEAD":
        argv.append("-I")
    if "Accept-Encoding" in ask.headers:
        argv.append("--compressed")  # decode what comes
    if ask.ca is not None:
        argv += ["--cacert", str(ask.ca)]
    if ask.size:
        (folder / "in").write_bytes(body(ask.size))
        argv += ["-T", "-" if ask.stream else str(folder / "in")]
    given = (folder / "in").read_bytes() if ask.size and ask.stream else b""
    subprocess.run(argv, input=given, check=True, timeout=60)
    status, fields = _head((folder / "head").read_text())
    return _told(status, fields, b"" if ask.method == "HEAD" else (folder / "out").read_bytes())


def wget(ask: Ask, folder: Path) -> Told:
    """GNU wget 1.21; it has no chunked uploads."""
    argv = [
        "wget",
        "-q",
        "-S",
        "--content-on-error",
        "--max-redirect=0",
        f"--method={ask.method}",
        "-O",
        str(folder / "out"),
    ]
    argv += [f"--header={name}: {value}" for name, value in ask.headers.items()]
    if ask.ca is not None:
        argv.append(f"--ca-certificate={ask.ca}")
    if ask.size:
        (folder / "in").write_bytes(body(ask.size))
        argv.append(f"--body-file={folder / 'in'}")
    done = subprocess.run([*argv, ask.url], capture_output=True, text=True, timeout=60)
    status, fields = _head(done.stderr)
    return _told(status, fields, (folder / "out").read_bytes() if (folder / "out").exists() else b"")


def fetch(ask: Ask, folder: Path) -> Told:
    """Node's fetch."""
    question = {
        "method": ask.method,
        "url": ask.url,
        "headers": dict(ask.headers),
        "size": ask.size,
        "stream": ask.stream,
    }
    environment = {"PATH": "/usr/bin:/bin", **({"NODE_EXTRA_CA_CERTS": str(ask.ca)} if ask.ca is not None else {})}
    argv = ["node", str(HERE / "fetch.mjs"), json.dumps(question)]
    said = json.loads(subprocess.run(argv, env=environment, check=True, capture_output=True, timeout=60).stdout)
    return Told(said["status"], said["headers"], said["text"].encode() or None, said["size"], said["sha256"])


def python(ask: Ask, folder: Path) -> Told:
    """requests, on urllib3."""
    whole = body(ask.size) if ask.size else None
    pieces = (whole[at : at + 70_000] for at in range(0, ask.size, 70_000)) if whole and ask.stream else whole
    with requests.request(
        ask.method,
        ask.url,
        headers=dict(ask.headers),
        data=pieces,
        allow_redirects=False,
        timeout=60,
        verify=str(ask.ca) if ask.ca is not None else True,
    ) as answer:
        return _told(answer.status_code, answer.headers, answer.content)


DRIVERS: Mapping[str, Driver] = {"curl": curl, "wget": wget, "fetch": fetch, "requests": python}
STREAMING = ("curl", "fetch", "requests")
