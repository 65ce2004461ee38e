#!/bin/sh
# Every figure is there: a few calls of each variant.
set -eu
out=$("$1" --quick --json)
for name in raw_seqpacket stub_unary grpc_unary stream_message descriptor_by_stub openat \
    service_open worker_start service_memory worker_memory; do
  case $out in
    *"\"$name\": {"*) ;;
    *) echo "no figure of $name in: $out"; exit 1 ;;
  esac
done
