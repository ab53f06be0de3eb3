#!/bin/bash
# rootfs.sh DEST WORK MINIO: the given MinIO server, on the base root file system.
set -euo pipefail
root=${1:?where to} work=${2:?work folder} minio=${3:?the built server}
here=$(dirname "$(readlink -f "$0")")

"$here/../base-rootfs.sh" "$root" "$work"

install -m 755 "$minio" "$root/usr/bin/minio"
install -m 755 "$here/docker-entrypoint.sh" "$root/usr/bin/"
mkdir "$root/data"
