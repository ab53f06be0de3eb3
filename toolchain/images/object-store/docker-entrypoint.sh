#!/bin/sh
# As in MinIO's own images, everything is an argument of minio, whether it is named or not.
set -e
[ "${1-minio}" = minio ] || set -- minio "$@"
exec "$@"
