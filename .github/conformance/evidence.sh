#!/bin/sh
# sh evidence.sh JUDGED OUT: what `bindmatrix collect` proposes becomes OUT/evidence.patch and OUT/body.md; nothing is
# written when nothing is new.  Runs in a checkout that holds no other change, whose bindmatrix is installed editable.
set -eu
judged=$1
out=$2
evidence=expectations/evidence
if [ ! -d "$judged/evidence" ]; then
    echo 'nothing is new'
    exit 0
fi
mkdir -p "$out"
# hosts.json too, which has the rows of new hosts
cp -R "$judged/evidence/." "$evidence/"
for folder in "$judged"/evidence/*/; do
    host=$(basename "$folder")
    grep -q "^| .*$host" "$evidence/README.md" ||
        echo "| $host | a machine of a CI run; the pull request that added it says which |" >>"$evidence/README.md"
done
{
    cat <<'END'
Recordings of a run of `weekly.yml` that are not among the evidence yet: the shortest scenarios that show each call,
rule and outcome. What diverges is not among them.

END
    cat "$judged/evidence.md"
    cat <<'END'

What `bindmatrix lint` says of the rules with them:

````text
END
    # an outcome that nobody expected may be any text: it cannot end the block
    bindmatrix regenerate decided >/dev/null 2>&1 || :
    bindmatrix lint 2>&1 | head -n 200 | tr '\140' "'" || :
    echo '````'
} >"$out/body.md"
git add --all "$evidence"
git diff --cached --binary >"$out/evidence.patch"
git diff --cached --stat
