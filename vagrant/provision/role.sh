#!/usr/bin/env bash
# Make this virtual machine the one of topology.yaml that it is named: role.sh MACHINE. As root, at every boot.
set -euo pipefail
exec /opt/unilb/.venv/bin/unilb lab role "$1"
