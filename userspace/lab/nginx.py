"""The endpoints behind the load balancer: nginx that tells who it is, what it saw, and takes and gives large files.

GET /anything       JSON: machine, vpc, vni, remote, remote_port, method, uri, host, x_forwarded_for, ...
GET /size/BYTES     a file of one of SIZES; /slow/BYTES is the same at 1 MiB/s
PUT /upload/NAME    kept, and given back by GET and HEAD; DELETE removes it
POST /sink          kept; JSON: "stored" is the file that holds the body
"""

import contextlib
import json
import os
import random
import shutil
from pathlib import Path

from userspace.lab.lab import Lab

SIZES = (0, 1, 1 << 10, 64 << 10, 1 << 20, 10 << 20, 100 << 20, 1 << 30)
PORT = 80

# Files are holes with a random block at every stride, so that 1 GiB costs 16 MiB and is written in a moment, and yet
# bytes that are lost, repeated or moved change its digest.
_BLOCK = 4 << 10
_STRIDE = 256 << 10

# JSON value -> nginx variable, null when the request has none. nginx cannot escape in an answer, so a value that needs
# it is "?" there; the access log (escape=json) has all of them exactly.
_SEEN = {
    "uri": "request_uri",
    "host": "http_host",
    "x_forwarded_for": "http_x_forwarded_for",
    "x_forwarded_proto": "http_x_forwarded_proto",
    "x_forwarded_host": "http_x_forwarded_host",
    "user_agent": "http_user_agent",
    "cookie": "http_cookie",
}


# Printable ASCII without the quote and the backslash: what JSON takes as it is.
_PLAIN = r"^[\x20\x21\x23-\x5b\x5d-\x7e]*$"


def directory(lab: Lab, place: str) -> Path:
    return lab.state / "nginx" / place


def access_log(lab: Lab, place: str) -> Path:
    """One JSON object per line and exchange."""
    return lab.state / "logs" / f"{place}.access.log"


def argv(lab: Lab, place: str) -> tuple[str, ...]:
    where = directory(lab, place)
    return ("nginx", "-p", str(where), "-c", str(where / "nginx.conf"), "-e", "stderr")


def identity(lab: Lab, place: str) -> dict[str, object]:
    """Who answers: the machine, and the VPC and VNI of a VM (null on a classic machine)."""
    vm = lab.topology.vms.get(place)
    vni = lab.topology.vpcs[vm.vpc].vni if vm else None
    return {"machine": place, "vpc": vm.vpc if vm else None, "vni": vni}


def prepare(lab: Lab, place: str) -> None:
    """Write the configuration and the folders that it names; the workers own what they write."""
    where = directory(lab, place)
    for name in ("temp", "upload", "sink"):
        (where / name).mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(PermissionError):
            shutil.chown(where / name, "nobody", "nogroup")
    (where / "nginx.conf").write_text(configuration(lab, place))
    (where / "inner.sock").unlink(missing_ok=True)  # a killed nginx leaves it, and the next could not bind
    files = lab.state / "files"
    files.mkdir(exist_ok=True)
    for size in SIZES:
        path = files / str(size)
        if not path.exists() or path.stat().st_size != size:
            _write_pattern(path, size)


def _write_pattern(path: Path, size: int) -> None:
    blocks = random.Random(size)
    with path.open("wb") as file:
        for offset in range(0, size, _STRIDE):
            os.pwrite(file.fileno(), blocks.randbytes(min(_BLOCK, size - offset)), offset)
        file.truncate(size)


def configuration(lab: Lab, place: str) -> str:
    """The nginx.conf of one machine or VM."""
    where = directory(lab, place)
    vm, machine = lab.topology.vms.get(place), lab.topology.machines.get(place)
    is_v6 = vm.address.version == 6 if vm else machine is not None and machine.address6 is not None
    listens = f"listen {PORT} backlog=65535;" + (f" listen [::]:{PORT} backlog=65535;" if is_v6 else "")
    who = json.dumps(identity(lab, place))[1:-1]
    maps = "\n".join(
        f"""    map ${variable} $json_{name} {{ '' null; default '"?"'; '~{_PLAIN}' '"${variable}"'; }}"""
        for name, variable in _SEEN.items()
    )
    seen = ", ".join(f'"{name}": $json_{name}' for name in _SEEN)
    exchange = '"remote": "$remote_addr", "remote_port": $remote_port, "method": "$request_method"'
    logged = ", ".join(f'"{name}": "${variable}"' for name, variable in _SEEN.items())
    numbers = '"status": $status, "bytes_sent": $bytes_sent, "connection": $connection, "nth": $connection_requests'
    return f"""\
daemon off;
user nobody nogroup;
worker_processes 1;
pid {where}/nginx.pid;
error_log stderr warn;
events {{ worker_connections 16384; }}
http {{
    log_format exchanges escape=json '{{"time": $msec, {who}, {exchange}, {numbers}, {logged}}}';
    access_log {access_log(lab, place)} exchanges;
    client_body_temp_path {where}/temp;
    proxy_temp_path {where}/temp;
    fastcgi_temp_path {where}/temp;
    uwsgi_temp_path {where}/temp;
    scgi_temp_path {where}/temp;
    client_max_body_size 0;
    keepalive_requests 100000000;
    keepalive_timeout 1h;
    sendfile on;
    tcp_nopush on;
    server_tokens off;
    default_type application/octet-stream;
{maps}
    server {{
        {listens}
        location / {{
            default_type application/json;
            return 200 '{{{who}, {exchange}, {seen}}}\\n';
        }}
        location /size/ {{ alias {lab.state}/files/; }}
        location /slow/ {{ alias {lab.state}/files/; limit_rate 1m; }}
        location /upload/ {{
            root {where};
            dav_methods PUT DELETE;
            dav_access user:rw group:r all:r;
        }}
        location = /sink {{
            client_body_in_file_only on;
            client_body_temp_path {where}/sink;
            proxy_pass http://unix:{where}/inner.sock:;
            proxy_pass_request_body off;
            proxy_set_header Content-Length "";
            proxy_set_header X-Stored $request_body_file;
        }}
    }}
    server {{
        listen unix:{where}/inner.sock;
        access_log off;
        default_type application/json;
        location / {{ return 200 '{{{who}, "stored": "$http_x_stored"}}\\n'; }}
    }}
}}
"""
