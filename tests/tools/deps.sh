#!/bin/sh
# Finds out what is missing to build or test liborch, and installs it where that is apt's business.
#
#   deps.sh list    need...     print the packages that are missing, on one line
#   deps.sh install need...     install them (Debian, Ubuntu), or print them and stop
#
# A need is KIND:NAME=PACKAGE: how to see that the thing is there, and the Debian package that has it.
# Looking for the thing and not the package also works on other systems, and for what was built by hand.
#   cmd:NAME  a program     pc:NAME  a pkg-config module     hdr:NAME  a header
#   py:NAME   a module of $PYTHON   file:NAME  a file    clang:NAME  a runtime library of clang
set -u

action=$1
shift

have() {
    case $1 in
    cmd:*) command -v "${1#cmd:}" >/dev/null 2>&1 ;;
    pc:*) "${PKG_CONFIG:-pkg-config}" --exists "${1#pc:}" 2>/dev/null ;;
    py:*) "${PYTHON:-python3}" -c "import ${1#py:}" >/dev/null 2>&1 ;;
    file:*) [ -e "${1#file:}" ] ;;
    clang:*) ls "$(dirname "$(clang -print-libgcc-file-name -rtlib=compiler-rt 2>/dev/null)")/libclang_rt.${1#clang:}"* >/dev/null 2>&1 ;;
    hdr:*) echo "#include <${1#hdr:}>" | ${CC:-cc} -E - >/dev/null 2>&1 ;;
    *) echo "deps.sh: what is $1?" >&2; exit 2 ;;
    esac
}

missing() {
    list=
    for need; do
        have "${need%%=*}" || list="$list ${need#*=}"
    done
    echo "${list# }"
}

# sudo may ask for the password where somebody can answer, and never where nobody can.
if [ -t 0 ]; then sudo=sudo; else sudo='sudo -n'; fi

as_root() {
    if [ "$(id -u)" = 0 ]; then
        env DEBIAN_FRONTEND=noninteractive "$@"
    elif command -v sudo >/dev/null 2>&1; then
        $sudo env DEBIAN_FRONTEND=noninteractive "$@"
    else
        echo "Neither root nor sudo: install by hand: $packages" >&2
        return 1
    fi
}

# A new container has no package lists and an old machine has stale ones; both fail first and are
# updated then. A machine that is up to date is spared it. What apt has to say is shown if it fails.
apt_install() {
    install='apt-get install -qq -y --no-install-recommends'
    log=$(mktemp)
    # shellcheck disable=SC2086 -- a command with its arguments
    if as_root $install "$@" >"$log" 2>&1 </dev/null ||
        { as_root apt-get update -qq && as_root $install "$@"; } >"$log" 2>&1 </dev/null; then
        rm -f "$log"
        return 0
    fi
    cat "$log" >&2
    rm -f "$log"
    return 1
}

packages=$(missing "$@")
case $action in
list)
    echo "$packages"
    ;;
install)
    [ -n "$packages" ] || exit 0
    if ! command -v apt-get >/dev/null 2>&1; then
        echo "Missing, by their Debian names: $packages" >&2
        exit 1
    fi
    echo "  APT  $packages"
    # shellcheck disable=SC2086 -- a list of words
    apt_install $packages || exit 1
    packages=$(missing "$@")
    [ -z "$packages" ] || { echo "Still missing after the installation: $packages" >&2; exit 1; }
    ;;
*)
    echo "deps.sh: list or install, not $action" >&2
    exit 2
    ;;
esac
