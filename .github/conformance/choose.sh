#!/bin/sh
# Writes scenarios.txt: those of the file SCENARIOS, or those that `bindmatrix run` would run on the host that
# host.jsonl describes.  QUICK=true takes the sample.
set -eu
if [ -n "${SCENARIOS:-}" ]; then
    bindmatrix scenarios -- "caller/$SCENARIOS" >scenarios.txt
elif [ "${QUICK:-}" = true ]; then
    bindmatrix scenarios --host host.jsonl --quick >scenarios.txt
else
    bindmatrix scenarios --host host.jsonl >scenarios.txt
fi
wc -l scenarios.txt
