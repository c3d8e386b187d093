#!/bin/sh
# What a machine does that is observed: it says what it is, and runs scenarios.  It judges nothing and always ends with
# 0: a step that fails inside a virtual machine would lose the files that it wrote.  What went wrong is printed, and the
# job that judges misses the results.
#
#   sh observe.sh facts [COMMAND...]       writes host.jsonl: the first line of an observation file
#   sh observe.sh run FILE [COMMAND...]    runs the scenarios of FILE; appends to results/observations.jsonl
#
# The executor is the one in Python; where there is none, the one in C; where there is no compiler either, a Python is
# installed.  COMMAND is put before it: runsc --network=none do

trap 'exit 0' EXIT
here=$(cd "$(dirname "$0")" && pwd) || exit
source=$here/../../conformance/bindmatrix/execute
compiled=$PWD/bindmatrix-executor
results=results/observations.jsonl
# where the systems that install packages beside their base put them
PATH=$PATH:/usr/local/bin:/usr/pkg/bin:/usr/pkg/sbin:/opt/local/bin:/usr/sbin:/sbin
export PATH

# The command that makes us root: users and addresses can be changed then.  Windows has none and needs none.
root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
        sudo -n "$@"
    else
        "$@"
    fi
}

# Prints the path of a Python that the executor can run on.
find_python() {
    for name in python3 python python3.14 python3.13 python3.12 python3.11 python3.10 python3.9; do
        path=$(command -v "$name") || continue
        if "$path" -c 'import sys; sys.exit(sys.version_info < (3, 8))' >/dev/null 2>&1; then
            printf '%s\n' "$path"
            return 0
        fi
    done
    return 1
}

# Compiles the executor in C, unless it is there already.
compile() {
    libraries=
    [ "$(uname -s)" = SunOS ] && libraries='-lsocket -lnsl'
    for compiler in cc gcc clang; do
        [ -x "$compiled" ] && return 0
        # shellcheck disable=SC2086 # none, or several words
        command -v "$compiler" >/dev/null && "$compiler" -O2 -o "$compiled" "$source/executor.c" $libraries
    done
    [ -x "$compiled" ]
}

# Runs the executor as root, COMMAND before it.
execute() {
    if python=$(find_python); then
        root "$@" "$python" "$source/executor.py"
    else
        root "$@" "$compiled"
    fi
}

install_python() {
    case $(uname -s) in
    FreeBSD | DragonFly) root env ASSUME_ALWAYS_YES=yes IGNORE_OSVERSION=yes pkg install -y python3 ;;
    OpenBSD) root pkg_add -I python3 || root pkg_add -I python%3 ;;
    NetBSD)
        for version in 313 312 311; do
            root pkgin -y install "python$version" && break
        done
        ;;
    *) echo "observe.sh: no Python here, and no way known to install one" ;;
    esac
}

# A second address on the loopback interface, which Linux and Windows have by themselves.
second_address() {
    case $(uname -s) in
    Darwin | *BSD | DragonFly) root ifconfig lo0 alias 127.0.0.2 netmask 255.255.255.255 ;;
    esac
}

# What the executor cannot tell of its host, as facts.json beside the observations.
facts_beside() {
    case ${1:-$(uname -s)} in
    runsc)
        release=$("$1" --version | sed -n 's/^runsc version .*\([0-9]\{8\}\).*/\1/p')
        [ -n "$release" ] && printf '{"release": "%s"}\n' "$release" >results/facts.json
        ;;
    Darwin) printf '{"release": "%s"}\n' "$(sw_vers -productVersion)" >results/facts.json ;;
    SunOS)
        # r151058 came out in May 2026 and the next even number comes half a year later: r151030 was May 2019
        number=$(sed -n 's/^.*OmniOS.* r1510*\([1-9][0-9]*\).*$/\1/p' /etc/release)
        [ -n "$number" ] && printf '{"release": "omnios-%d.%02d"}\n' \
            $((2019 + (4 + (number - 30) * 3) / 12)) $(((4 + (number - 30) * 3) % 12 + 1)) >results/facts.json
        ;;
    esac
}

facts() {
    mkdir -p results
    find_python >/dev/null || compile || install_python
    second_address
    facts_beside "$@"
    execute "$@" </dev/null >host.jsonl
    cat host.jsonl
}

run() {
    scenarios=$1
    shift
    if [ -s "$results" ]; then
        # a further run: its first line says once more what the host is
        execute "$@" <"$scenarios" | sed 1d >>"$results"
    else
        execute "$@" <"$scenarios" >"$results"
    fi
    wc -l "$results"
}

case ${1:-} in
facts)
    shift
    facts "$@"
    ;;
run)
    shift
    run "$@"
    ;;
*) echo "usage: sh observe.sh facts [COMMAND...] | sh observe.sh run FILE [COMMAND...]" >&2 ;;
esac
