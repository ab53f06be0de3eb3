#!/bin/bash
# Starts PostgreSQL in a container, and makes its first database. Follows the documented contract of the official image.
set -Eeo pipefail
shopt -s nullglob

main() {
  case "${1-}" in -*) set -- postgres "$@" ;; esac
  if [ "${1-}" = postgres ] && ! asks_for_information "$@"; then
    read_settings
    prepare_directories
    if [ "$(id -u)" = 0 ]; then
      # The server refuses to run as root.
      exec gosu postgres "${BASH_SOURCE[0]}" "$@"
    fi
    if [ -s "$PGDATA/PG_VERSION" ]; then
      printf '\nPostgreSQL Database directory appears to contain a database; Skipping initialization\n\n'
    else
      initialise "$@"
      printf '\nPostgreSQL init process complete; ready for start up.\n\n'
    fi
  fi
  exec "$@"
}

fail() {
  printf 'Error: %s\n' "$1" >&2
  shift
  printf '       %s\n' "$@" >&2
  exit 1
}

asks_for_information() {
  local argument
  for argument; do
    case $argument in
      -\? | --help | --describe-config | -V | --version) return 0 ;;
    esac
  done
  return 1
}

# setting NAME DEFAULT: the variable NAME, or what the file named by NAME_FILE holds, or DEFAULT. It is exported, as the
# official image does: whatever that exposes there must be seen here as well.
setting() {
  local name=$1 file_name="$1_FILE" value=$2
  if [ -n "${!name-}" ] && [ -n "${!file_name-}" ]; then
    fail "Both $name and $file_name are set." 'Set one of them.'
  elif [ -n "${!name-}" ]; then
    value=${!name}
  elif [ -n "${!file_name-}" ]; then
    value=$(<"${!file_name}") || exit 1
  fi
  export "$name=$value"
  unset "$file_name"
}

read_settings() {
  export PGDATA=${PGDATA:-/var/lib/postgresql/data}
  setting POSTGRES_PASSWORD ''
  setting POSTGRES_USER postgres
  setting POSTGRES_DB "$POSTGRES_USER"
  setting POSTGRES_INITDB_ARGS ''
  export POSTGRES_HOST_AUTH_METHOD=${POSTGRES_HOST_AUTH_METHOD-}
}

prepare_directories() {
  mkdir -p "$PGDATA"
  chmod 0700 "$PGDATA" || :
  mkdir -p /var/run/postgresql || :
  chmod 3775 /var/run/postgresql 2>/dev/null || :
  if [ -n "${POSTGRES_INITDB_WALDIR-}" ]; then
    mkdir -p "$POSTGRES_INITDB_WALDIR"
    chmod 0700 "$POSTGRES_INITDB_WALDIR"
  fi
  if [ "$(id -u)" = 0 ]; then
    find "$PGDATA" /var/run/postgresql ${POSTGRES_INITDB_WALDIR:+"$POSTGRES_INITDB_WALDIR"} \
      \! -user postgres -exec chown postgres {} +
  fi
}

initialise() {
  if [ -z "$POSTGRES_PASSWORD" ] && [ "$POSTGRES_HOST_AUTH_METHOD" != trust ]; then
    fail 'Database is uninitialized and superuser password is not specified.' \
      'Set POSTGRES_PASSWORD or POSTGRES_PASSWORD_FILE to a value that is not empty,' \
      'or POSTGRES_HOST_AUTH_METHOD=trust to let anyone in without a password (not recommended).'
  fi
  if [ "$POSTGRES_HOST_AUTH_METHOD" = trust ]; then
    echo 'WARNING: POSTGRES_HOST_AUTH_METHOD is "trust": anyone who can reach the port has the database.' >&2
  fi
  # Readable before any work is done, so that a missing permission leaves no half-made cluster behind.
  ls /docker-entrypoint-initdb.d/ >/dev/null

  # The socket belongs in /var/run/postgresql; these programs were built to look for it in /tmp, so it is there as well.
  # The eval lets POSTGRES_INITDB_ARGS quote as in a shell.
  eval 'initdb --set unix_socket_directories=/var/run/postgresql,/tmp --username="$POSTGRES_USER" --pwfile=<(printf "%s\n" "$POSTGRES_PASSWORD")' \
    ${POSTGRES_INITDB_WALDIR:+'--waldir="$POSTGRES_INITDB_WALDIR"'} "$POSTGRES_INITDB_ARGS"
  local method=${POSTGRES_HOST_AUTH_METHOD:-$(postgres -C password_encryption -D "$PGDATA")}
  printf '\nhost all all all %s\n' "${method/#scram-sha-256*/scram-sha-256}" >>"$PGDATA/pg_hba.conf"

  # On the socket only: nobody must take this server for the finished one.
  shift
  set -- "$@" -c listen_addresses= -p "${PGPORT:-5432}"
  export PGPASSWORD=${PGPASSWORD-$POSTGRES_PASSWORD}
  NOTIFY_SOCKET='' PGUSER=${PGUSER:-$POSTGRES_USER} pg_ctl -D "$PGDATA" -o "$(printf '%q ' "$@")" -w start
  create_database
  printf '\n'
  run_init_files /docker-entrypoint-initdb.d/*
  PGUSER=${PGUSER:-postgres} pg_ctl -D "$PGDATA" -m fast -w stop
  unset PGPASSWORD
}

run_sql() {
  PGHOST='' PGHOSTADDR='' psql -v ON_ERROR_STOP=1 --no-psqlrc --no-password --username "$POSTGRES_USER" "$@"
}

create_database() {
  local found
  found=$(POSTGRES_DB='' run_sql --dbname postgres -v "db=$POSTGRES_DB" --tuples-only \
    <<<"SELECT 1 FROM pg_database WHERE datname = :'db'")
  if [ -z "$found" ]; then
    run_sql --dbname postgres -v "db=$POSTGRES_DB" <<<'CREATE DATABASE :"db"'
  fi
}

run_init_files() {
  local file
  for file; do
    case $file in
      *.sh)
        if [ -x "$file" ]; then
          printf '%s: running %s\n' "$0" "$file"
          "$file"
        else
          printf '%s: sourcing %s\n' "$0" "$file"
          . "$file"
        fi
        ;;
      *.sql) run_init_sql "$file" cat ;;
      *.sql.gz) run_init_sql "$file" 'gunzip -c' ;;
      *.sql.xz) run_init_sql "$file" xzcat ;;
      *.sql.zst) run_init_sql "$file" 'zstd -dc' ;;
      *) printf '%s: ignoring %s\n' "$0" "$file" ;;
    esac
  done
}

run_init_sql() {
  printf '%s: running %s\n' "$0" "$1"
  $2 "$1" | run_sql --dbname "$POSTGRES_DB"
  printf '\n'
}

main "$@"
