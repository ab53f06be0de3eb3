#!/bin/sh
# A replica: a copy of the database on another machine that follows every change. This script makes it and keeps it, in a volume that a
# failover hands to the stack's database as it is. In the volume:
#   standby.signal   these files follow the database; without it they are a database, and nothing is started or changed here
#   incoming/        a copy that is being made; whole once standby.signal is in it, and being put in its place once `moving` is in it
# At a kill anywhere, the next start goes on with what is whole, or begins the copy again.
set -eu

export PGDATA=/var/lib/postgresql/data LC_ALL=C
incoming="$PGDATA/incoming"
own=/run/budgie-replication
# The database must notice soon that a replica is out of reach: until its connection ends, the slot keeps the log without a bound.
conninfo="host=$BUDGIE_DATABASE_HOST port=$BUDGIE_DATABASE_PORT user=$BUDGIE_REPLICA_ROLE \
sslmode=verify-full sslrootcert=$own/authority.crt sslcert=$own/own.crt sslkey=$own/own.key \
connect_timeout=10 keepalives_idle=10 keepalives_interval=5 keepalives_count=3 tcp_user_timeout=30000 \
options='-c tcp_user_timeout=30000 -c wal_sender_timeout=30000'"
again=30
server= copying=

say() { echo "budgie-replica: $*" >&2; }
database() { gosu postgres psql -XAtq -v ON_ERROR_STOP=1 "$conninfo dbname=postgres" -c "$1"; }
follows() { [ -f "$PGDATA/standby.signal" ]; }
is_database() { [ -s "$PGDATA/PG_VERSION" ] && ! follows; }
identity_here() { pg_controldata -D "$PGDATA" | sed -n 's/^Database system identifier: *//p'; }
identity_there() { database "SELECT system_identifier FROM pg_control_system()"; }
slot_state() {
  database "SELECT coalesce((SELECT wal_status FROM pg_replication_slots WHERE slot_name = '$BUDGIE_SLOT'), 'missing')"
}

# PostgreSQL takes a key that is its own user's alone.
take_credentials() {
  mkdir -p "$own"
  cp /run/secrets/replication/* "$own/"
  chmod 0600 "$own"/*
  chown -R postgres "$own"
  chmod 0700 "$own"
  chown postgres "$PGDATA"
  chmod 0700 "$PGDATA"
}

# Makes a whole copy beside what is there.
copy() {
  rm -rf "$incoming"
  case $(slot_state) in
    lost) database "SELECT pg_drop_replication_slot('$BUDGIE_SLOT')" > /dev/null && reserve ;;
    missing) reserve ;;
  esac || return 1
  say "copies the database"
  # Under another name: a copy that is being made confirms no commit. In the background, so that the order to stop is heard meanwhile.
  gosu postgres pg_basebackup -d "$conninfo application_name=copy_$BUDGIE_SLOT" -D "$incoming" -X stream -S "$BUDGIE_SLOT" -c fast --no-password &
  copying=$!
  wait "$copying" || return 1
  copying=
  gosu postgres touch "$incoming/standby.signal" && sync
}
reserve() { database "SELECT pg_create_physical_replication_slot('$BUDGIE_SLOT', true)" > /dev/null; }

# Puts a whole copy in the place of files that follow, and of no others. The sign that they follow is there first and last.
place() {
  [ -f "$incoming/standby.signal" ] || return 0
  if [ ! -f "$incoming/moving" ]; then
    refuse_database
    gosu postgres touch "$PGDATA/standby.signal"
    rm -f "$PGDATA/PG_VERSION"
    find "$PGDATA" -mindepth 1 -maxdepth 1 ! -name incoming ! -name standby.signal -exec rm -rf {} +
    sync
    gosu postgres touch "$incoming/moving"
    sync
  fi
  find "$incoming" -mindepth 1 -maxdepth 1 ! -name standby.signal ! -name moving ! -name PG_VERSION -exec mv {} "$PGDATA/" ';'
  if [ -f "$incoming/PG_VERSION" ]; then mv "$incoming/PG_VERSION" "$PGDATA/"; fi
  sync
  rm "$incoming/standby.signal"
  rm -rf "$incoming"
  say "the copy is whole and in its place"
}

# Another server may be at work on it, or was promoted from it.
refuse_database() {
  if is_database; then
    say "the volume holds a database that follows none, so nothing is started on it and nothing is changed (docs/replica.md)"
    exit 1
  fi
}

# Waits, and still hears when it is to end.
pause() { sleep "$1" & wait $! || true; }

# The agent, which reads backups from here, has the role's password and a certificate of the stack's.
rules_with_agent() {
  sed "/^host all,replication all all reject/i hostssl all $BUDGIE_USER all scram-sha-256 clientcert=verify-ca" "$PGDATA/pg_hba.conf"
}

start_server() {
  set --
  if [ "${BUDGIE_BACKUPS:-false}" = true ]; then
    rules_with_agent > "$own/pg_hba.conf"
    chown postgres "$own/pg_hba.conf"
    # The database keeps what a dump here is still reading, as it does for one that is read from itself.
    set -- -c "hba_file=$own/pg_hba.conf" -c hot_standby_feedback=on
  fi
  # What the database waits for is no concern of its copies: one that becomes a database must not wait for others.
  docker-entrypoint.sh postgres "$@" \
    -c "primary_conninfo=$conninfo application_name=$BUDGIE_SLOT" -c "primary_slot_name=$BUDGIE_SLOT" -c hot_standby=on -c synchronous_standby_names= \
    -c ssl=on -c "ssl_ca_file=$own/authority.crt" -c "ssl_cert_file=$own/own.crt" -c "ssl_key_file=$own/own.key" &
  server=$!
}

end_server() {
  kill -INT "$server" 2> /dev/null || true
  while kill -0 "$server" 2> /dev/null; do wait "$server" || true; done
  server=
}

# True when what the database would have to send is gone. It never is on account of another database: that one's copy must not take the
# place of what may be the last copy of the right one.
left_behind() {
  follows || return 1
  case $(slot_state 2> /dev/null) in lost | missing) ;; *) return 1 ;; esac
  here=$(identity_here) there=$(identity_there)
  if [ -n "$here" ] && [ "$here" = "$there" ]; then return 0; fi
  say "the database is another one ($there) than this is a copy of ($here), so it is left as it is"
  return 1
}

stop() {
  trap '' INT TERM
  if [ -n "$copying" ]; then kill "$copying" 2> /dev/null || true; fi
  if [ -n "$server" ]; then end_server; fi
  exit 0
}

run() {
  trap stop INT TERM
  refuse_database
  take_credentials
  place
  until [ -s "$PGDATA/PG_VERSION" ]; do
    if copy; then place; else
      say "the copy failed; it is tried again in $again seconds"
      pause "$again"
    fi
  done
  start_server
  while kill -0 "$server" 2> /dev/null; do
    pause 5
    if left_behind; then
      say "was away for too long: the database no longer has what it must send (budgie:replicaKeepMegabytes). It is copied anew"
      if copy; then
        end_server
        place
        start_server
      else
        say "the copy failed; it is tried again"
      fi
    fi
  done
  wait "$server" || exit $?
}

# Follows, or has become a database.
healthy() {
  test "$(psql -XAtq -h 127.0.0.1 -U "$BUDGIE_USER" -d postgres -c \
    "SELECT NOT pg_is_in_recovery() OR EXISTS (SELECT FROM pg_stat_wal_receiver WHERE status = 'streaming')")" = t
}

"$1"
