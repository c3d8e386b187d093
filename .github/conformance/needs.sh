#!/bin/sh
# Judges the needs in the file CHECK: by the rules of its systems, and by what each machine in artifacts recorded.
# The worse exit status goes to $GITHUB_OUTPUT, both tables to $GITHUB_STEP_SUMMARY.
set -eu
status=0
needs="caller/$CHECK"

# judge NAME [ARGUMENT...]
judge() {
    name=$1
    shift
    result=0
    bindmatrix check "$needs" --markdown "judged/$name.md" --junit "judged/$name.xml" "$@" || result=$?
    if [ "$result" -gt "$status" ]; then
        status=$result
    fi
    if [ -s "judged/$name.md" ]; then
        cat "judged/$name.md" >>"$GITHUB_STEP_SUMMARY"
    fi
}

mkdir -p judged
judge needs-rules
set --
for file in artifacts/*/observations.jsonl; do
    if [ -s "$file" ]; then
        set -- "$@" "$file"
    fi
done
if [ "$#" -gt 0 ]; then
    judge needs-observed --recorded "$@"
fi
echo "status=$status" >>"$GITHUB_OUTPUT"
