#!/usr/bin/env bash
# Build node-rdkafka over the sources of librdkafka that its package carries, where it is not built yet: two minutes or
# more. It is built in three steps because its own build starts to compile before it is configured when it may use more
# than one processor.
set -euo pipefail

home=${1:?usage: build.sh FOLDER}
[ -e "$home/built" ] && exit 0

source=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
jobs=$(getconf _NPROCESSORS_ONLN)
rm -rf "$home"
mkdir -p "$home"
cp "$source/package.json" "$source/package-lock.json" "$home"
cd "$home"
npm ci --no-audit --no-fund --ignore-scripts
cd node_modules/node-rdkafka
bash configure --disable-optimization --disable-gssapi --disable-curl
make -C deps/librdkafka -j"$jobs" libs
cd "$home"
JOBS=$jobs npm rebuild node-rdkafka --foreground-scripts
node --input-type=module -e 'import "node-rdkafka"'
# What was compiled from is ten times larger than what it was compiled to.
rm -rf node_modules/node-rdkafka/deps node_modules/node-rdkafka/build/Release/obj.target
touch built
