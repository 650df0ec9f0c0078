"""The other systems on a gateway of a region: one thread each, in front of one endpoint, by plain port and TLS.

Plain configurations, as each system's documentation has them for a reverse proxy with kept connections; limits are
raised so that none is met. HAProxy splices large bodies in the kernel (`option splice-auto`).
"""

import shutil
import sys
import time
from pathlib import Path

from tests.netns.echo_upgraded import PORT as UPGRADED
from userspace.lab.exec import connect, spawn
from userspace.lab.lab import Lab

TLS = 10  # further than the plain port
PORTS = {"haproxy": 8701, "nginx": 8702, "envoy": 8703, "caddy": 8704}
TUNNELS = "tunnels.example.com"  # the host whose requests go to the endpoint that takes up upgrades
ENVOY = Path(__file__).resolve().parents[2] / ".build" / "envoy"
MOST = 9_500  # connections: two descriptors each, of the 20,000 that a container may have

HAPROXY = """
global
  nbthread 1
  maxconn {most}
  maxpipes 100
  stats socket {folder}/haproxy.sock mode 600 level admin
defaults
  mode http
  timeout client 1h
  timeout server 1h
  timeout connect 5s
  option forwardfor
  option splice-auto
  http-reuse always
frontend f
  bind {gateway}:{port}
  bind {gateway}:{tls} ssl crt {folder}/both.pem
  use_backend t if {{ req.hdr(host) -i {tunnels} }}
  default_backend b
backend b
  server web1 {endpoint}:80
  server web2 {other}:80 disabled
backend t
  server s {endpoint}:{upgraded}
"""
NGINX = """
daemon off; pid {folder}/nginx.pid; error_log {folder}/nginx.log; worker_processes 1;
events {{ worker_connections 19500; }}
http {{ access_log off; keepalive_requests 100000000; client_body_temp_path {folder}/n1; proxy_temp_path {folder}/n2;
  fastcgi_temp_path {folder}/n3; uwsgi_temp_path {folder}/n4; scgi_temp_path {folder}/n5;
  upstream origin {{ server {endpoint}:80; keepalive 128; keepalive_requests 100000000; }}
  ssl_certificate {folder}/both.pem; ssl_certificate_key {folder}/both.pem; ssl_session_cache shared:s:10m;
  proxy_http_version 1.1; proxy_read_timeout 1h; proxy_send_timeout 1h;
  server {{ listen {gateway}:{port} backlog=4096; listen {gateway}:{tls} ssl backlog=4096;
    location / {{ proxy_pass http://origin; proxy_set_header Connection "";
    proxy_set_header Host $host; proxy_set_header X-Forwarded-For $remote_addr; }} }}
  server {{ listen {gateway}:{port}; server_name {tunnels};
    location / {{ proxy_pass http://{endpoint}:{upgraded}; proxy_set_header Connection upgrade;
    proxy_set_header Upgrade $http_upgrade; proxy_set_header Host $host; }} }} }}
"""
CADDY = """
{{
  admin off
  auto_https off
}}
(ways) {{
  @tunnels host {tunnels}
  reverse_proxy @tunnels {endpoint}:{upgraded}
  reverse_proxy {endpoint}:80
}}
http://:{port} {{
  bind {gateway}
  import ways
}}
https://:{tls} {{
  bind {gateway}
  tls {folder}/both.pem {folder}/both.pem
  import ways
}}
"""
ENVOY_CONF = """
static_resources:
  listeners:
  - name: plain
    address: {{socket_address: {{address: {gateway}, port_value: {port}}}}}
    filter_chains:
    - filters: &filters
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: bench
          codec_type: HTTP1
          use_remote_address: true
          upgrade_configs: [{{upgrade_type: websocket}}]
          http_filters:
          - name: envoy.filters.http.router
            typed_config: {{"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}
          route_config:
            virtual_hosts:
            - name: tunnels
              domains: ["{tunnels}"]
              routes: [{{match: {{prefix: /}}, route: {{cluster: tunnels, timeout: 0s, idle_timeout: 0s}}}}]
            - name: all
              domains: ["*"]
              routes: [{{match: {{prefix: /}}, route: {{cluster: origin, timeout: 0s}}}}]
  - name: secured
    address: {{socket_address: {{address: {gateway}, port_value: {tls}}}}}
    filter_chains:
    - filters: *filters
      transport_socket:
        name: envoy.transport_sockets.tls
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext
          common_tls_context:
            tls_certificates:
            - certificate_chain: {{filename: {folder}/both.pem}}
              private_key: {{filename: {folder}/both.pem}}
  clusters:
  - name: origin
    type: STATIC
    connect_timeout: 5s
    circuit_breakers: {{thresholds: [{{max_connections: {most}, max_pending_requests: {most}, max_requests: {most}}}]}}
    load_assignment:
      cluster_name: origin
      endpoints:
      - lb_endpoints: [{{endpoint: {{address: {{socket_address: {{address: {endpoint}, port_value: 80}}}}}}}}]
  - name: tunnels
    type: STATIC
    connect_timeout: 5s
    circuit_breakers: {{thresholds: [{{max_connections: {most}, max_pending_requests: {most}, max_requests: {most}}}]}}
    load_assignment:
      cluster_name: tunnels
      endpoints:
      - lb_endpoints: [{{endpoint: {{address: {{socket_address: {{address: {endpoint}, port_value: {upgraded}}}}}}}}}]
"""


def commands(folder: Path) -> dict[str, tuple[str, str, list[str]]]:
    """Return by name (configuration, its file's name, command line) of those that are installed."""
    found = {
        "haproxy": (HAPROXY, "haproxy.conf", ["haproxy", "-f"]),
        "nginx": (NGINX, "nginx.conf", ["nginx", "-p", str(folder), "-c"]),
        "envoy": (ENVOY_CONF, "envoy.yaml", [str(ENVOY / "bin" / "envoy"), "--concurrency", "1", "-l", "warn", "-c"]),
        "caddy": (CADDY, "Caddyfile", ["env", "GOMAXPROCS=1", "caddy", "run", "--adapter", "caddyfile", "--config"]),
    }
    missing = [
        name for name, (_, _, argv) in found.items() if not shutil.which(argv[2] if argv[0] == "env" else argv[0])
    ]
    for name in missing:
        print(f"{name} is not installed: left out", file=sys.stderr)
        del found[name]
    return found


def start(
    lab: Lab, place: str, gateway: str, endpoint: str, other: str, certificate: str, folder: Path
) -> dict[str, int]:
    """Start all of them there; return the first process of each. other: an endpoint that effect.py turns to.
    certificate: chain and key, PEM."""
    folder.mkdir(exist_ok=True)
    (folder / "both.pem").write_text(certificate)
    pids = {}
    for name, (text, file, argv) in commands(folder).items():
        port = PORTS[name]
        values = {"gateway": gateway, "endpoint": endpoint, "other": other, "port": port, "tls": port + TLS}
        path = folder / file
        path.write_text(text.format(**values, folder=folder, tunnels=TUNNELS, upgraded=UPGRADED, most=MOST))
        pids[name] = spawn(lab, place, f"bench-{name}", [*argv, str(path)], folder / f"{name}.out").pid
    for name in pids:
        for port in (PORTS[name], PORTS[name] + TLS):
            _wait_until_open(lab, place, (gateway, port), folder / f"{name}.out")
    return pids


def _wait_until_open(lab: Lab, place: str, address: tuple[str, int], said: Path) -> None:
    deadline = time.monotonic() + 15
    while True:
        try:
            connect(lab, place, address).close()
            return
        except OSError as error:
            if time.monotonic() > deadline:
                raise RuntimeError(said.read_text()) from error
            time.sleep(0.05)
