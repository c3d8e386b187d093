#!/bin/sh
# Writes scenarios.txt: those of the needs in the file CHECK, those of the file SCENARIOS, or those that `bindmatrix run`
# would run on the host that host.jsonl describes.  QUICK=true takes the sample.
set -eu
if [ -n "${CHECK:-}" ]; then
    bindmatrix check "caller/$CHECK" --scenarios >scenarios.txt
elif [ -n "${SCENARIOS:-}" ]; then
    bindmatrix scenarios -- "caller/$SCENARIOS" >scenarios.txt
elif [ "${QUICK:-}" = true ]; then
    bindmatrix scenarios --host host.jsonl --quick >scenarios.txt
else
    bindmatrix scenarios --host host.jsonl >scenarios.txt
fi
wc -l scenarios.txt
