#!/bin/sh
# install.sh DIR: the packages of package-lock.json in DIR/node_modules, unless they are there already.
# Nothing is written beside the lock, and no package may run a script of its own.
set -eu
here=$(dirname "$0")
dir=$1
if cmp -s "$here/package-lock.json" "$dir/installed.json"; then exit 0; fi
mkdir -p "$dir"
cp "$here/package.json" "$here/package-lock.json" "$here/.npmrc" "$dir/"
cd "$dir"
npm ci --ignore-scripts --no-audit --no-fund --no-update-notifier
cp package-lock.json installed.json
