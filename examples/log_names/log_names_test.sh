#!/bin/sh
# The worker resolved the one name; the log has it, and not the one that was refused.
set -eu
log=$("$1" 2>&1)
echo "$log"
echo "$log" | grep -q '^Resolve name: "localhost"'
! echo "$log" | grep -q elsewhere
