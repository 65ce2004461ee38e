#!/bin/sh
# Every figure is there: a few calls of each variant.
set -eu
apart=
[ "$(nproc)" = 1 ] || apart='stub_unary_adaptive paced_just_in_time paced_in_vain raw_seqpacket_apart grpc_unary_apart'
out=$("$1" --quick --growth --json)
for name in $apart machine raw_seqpacket stub_unary stub_callback threads_1 threads_16 stream_message limits_check_10 \
    grpc_unary message_1m message_64m grpc_message_1m grpc_message_64m channels_100 channels_1000 \
    raw_epoll_channels_100 raw_epoll_channels_1000 grpc_channels_100 grpc_channels_1000 \
    openat openat_direct transparent_openat raw_notified_openat descriptor_by_stub raw_descriptor \
    service_open worker_start worker_start_spare worker_exec service_memory service_memory_wire service_memory_busy \
    worker_memory workers_1000 \
    growth_channels growth_workers growth_limits_entries growth_limits_check growth_directory_depth; do
  case $out in
    *"\"$name\": {"*) ;;
    *) echo "no figure of $name in: $out"; exit 1 ;;
  esac
done
printf '%s' "$out" | python3 -m json.tool >/dev/null || { echo "not JSON: $out"; exit 1; }
