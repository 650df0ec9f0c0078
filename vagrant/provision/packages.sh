#!/usr/bin/env bash
# Debian packages and the Python environment, once per virtual machine. As root, before the role takes its routes away.
set -euo pipefail

# The packages of nginx and etcd would start their own services, on the ports that the region's need.
printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
chmod +x /usr/sbin/policy-rc.d
trap 'rm -f /usr/sbin/policy-rc.d' EXIT

apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends make ca-certificates >/dev/null
make -C /opt/unilb setup
systemctl disable --quiet nginx etcd # nor at the next boot
