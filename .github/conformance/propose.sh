#!/bin/sh
# sh propose.sh PROPOSAL: opens a pull request with PROPOSAL/evidence.patch, or renews the one that is open.  Wants `gh`
# with a token that may write contents and pull requests, and a checkout without other changes.
set -eu
branch=evidence/ci
git apply --index --include='expectations/evidence/*' "$1/evidence.patch"
git -c user.name='github-actions[bot]' -c user.email='41898282+github-actions[bot]@users.noreply.github.com' \
    commit --quiet --message "Evidence of run $GITHUB_RUN_ID"
gh auth setup-git
git push --quiet --force origin "HEAD:refs/heads/$branch"
if [ "$(gh pr list --head "$branch" --state open --json number --jq length)" = 0 ]; then
    gh pr create --head "$branch" --base "$GITHUB_REF_NAME" --title 'New evidence' --body-file "$1/body.md"
else
    gh pr edit "$branch" --body-file "$1/body.md"
fi
