#!/bin/sh
# Options and files go to node; anything that is a command is run as it is.
set -e
case "${1-}" in
  -*) exec node "$@" ;;
esac
if [ -z "$(command -v "${1-}")" ] || { [ -f "$1" ] && ! [ -x "$1" ]; }; then
  exec node "$@"
fi
exec "$@"
