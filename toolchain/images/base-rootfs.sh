#!/bin/bash
# base-rootfs.sh DEST WORK PACKAGE...
# Lays the smallest useful root file system in DEST: glibc, busybox and certificates from Debian's packages.
# The named packages are downloaded and unpacked to WORK/debian as well, for the caller to pick from.
# Needs no root: owners are set when the image is built.
set -euo pipefail
root=${1:?where to} work=${2:?work folder}
shift 2

debian="$work/debian"
mkdir -p "$work/deb" "$debian"
(
  cd "$work/deb"
  apt-get -qq -o APT::Sandbox::User="$(id -un)" download \
    libc6 libc-bin libgcc-s1 libstdc++6 zlib1g busybox-static ca-certificates tzdata "$@" >/dev/null
  for package in *.deb; do dpkg -x "$package" "$debian"; done
)

mkdir -p "$root"/{bin,sbin,dev,etc/ssl/certs,home,lib64,lib/x86_64-linux-gnu,proc,root,run,sys,tmp} \
  "$root"/usr/{bin,sbin,lib/locale,local/bin,local/lib,share} "$root"/var/{lib,tmp}
chmod 1777 "$root/tmp" "$root/var/tmp"
ln -s ../run "$root/var/run"

cp -P "$debian"/lib64/ld-linux-x86-64.so.2 "$root/lib64/"
for library in ld-linux-x86-64 libc libm libdl libpthread librt libresolv libnss_files libnss_dns libgcc_s libz; do
  cp -P "$debian/lib/x86_64-linux-gnu/$library".so.* "$root/lib/x86_64-linux-gnu/"
done
cp -P "$debian"/usr/lib/x86_64-linux-gnu/libstdc++.so.6* "$root/lib/x86_64-linux-gnu/"
cp "$debian/sbin/ldconfig" "$root/sbin/"
cp -r "$debian/usr/lib/locale/C.utf8" "$root/usr/lib/locale/"
cp -r "$debian/usr/share/zoneinfo" "$root/usr/share/"
cat "$debian"/usr/share/ca-certificates/mozilla/*.crt >"$root/etc/ssl/certs/ca-certificates.crt"

cp "$debian/bin/busybox" "$root/bin/"
"$root/bin/busybox" --list | while read -r applet; do
  [ "$applet" = busybox ] || ln -s busybox "$root/bin/$applet"
done
ln -s /bin/busybox "$root/usr/bin/env"

echo 'hosts: files dns' >"$root/etc/nsswitch.conf"
printf '/usr/local/lib\n/lib/x86_64-linux-gnu\n' >"$root/etc/ld.so.conf"
printf 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n' >"$root/etc/passwd"
printf 'root:x:0:\nnobody:x:65534:\n' >"$root/etc/group"
