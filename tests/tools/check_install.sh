#!/bin/sh
# Installs liborch the way a packager does and uses it the way a host does. Nothing of the source tree is
# on a host's command line here: only what pkg-config says of the installed tree.
#
#   check_install.sh work-folder        (absolute; it is made anew but for the build inside)
set -eu

work=$1
src=$work/src out=$work/out stage=$work/stage static=$work/static destdir=$work/destdir bin=$work/bin
: "${MAKE:=make}" "${CC:=cc}" "${CXX:=c++}" "${PKG_CONFIG:=pkg-config}" "${JOBS:=2}"

step() { printf '  %-4s %s\n' TEST "$1"; }
fail() { echo "check-install: $1" >&2; exit 1; }
listing() { (cd "$1" && find . -type f -exec cksum {} + | LC_ALL=C sort -k 3); }

rm -rf "$src" "$stage" "$static" "$destdir" "$bin"
mkdir -p "$src" "$out" "$bin"

step 'a build outside the tree leaves the tree as it was'
# A copy, so that an editor at work in the real one disturbs nothing. Times are kept for make's sake.
for entry in Makefile include lib proto examples tests docs pkgconfig LICENSE README.md; do
    [ ! -e "$entry" ] || cp -a "$entry" "$src/"
done
listing "$src" >"$work/before"
# Of the caller's make only the jobs are of use: its B and MODE are not this build's.
case ${MAKEFLAGS-} in *-j*) parallel= ;; *) parallel=-j$JOBS ;; esac
$MAKE -C "$src" B="$out" MODE=release $parallel all examples
listing "$src" >"$work/after"
diff -u "$work/before" "$work/after" >&2 || fail 'the build changed its source tree'

step 'install, DESTDIR and uninstall'
$MAKE -C "$src" B="$out" MODE=release install DESTDIR="$destdir" PREFIX=/usr LIBDIR=/usr/lib/multi
[ -f "$destdir/usr/lib/multi/pkgconfig/liborch.pc" ] || fail 'LIBDIR was not obeyed'
! grep -q "$destdir" "$destdir/usr/lib/multi/pkgconfig/liborch.pc" || fail 'DESTDIR is in liborch.pc'
$MAKE -C "$src" B="$out" MODE=release uninstall DESTDIR="$destdir" PREFIX=/usr LIBDIR=/usr/lib/multi
left=$(find "$destdir" ! -type d)
[ -z "$left" ] || fail "uninstall left $left"
$MAKE -C "$src" B="$out" MODE=release install DESTDIR= PREFIX="$stage" LIBDIR="$stage/lib" INCLUDEDIR="$stage/include"

step 'no symbol but orch_* leaves the libraries'
exported() { nm "$@" --defined-only --format=posix 2>/dev/null | awk 'NF > 2 && $2 != "A" { sub("@.*", "", $1); print $1 }' | LC_ALL=C sort; }
exported -D "$stage/lib/liborch.so" >"$work/shared.txt"
exported -g "$stage/lib/liborch.a" >"$work/static.txt"
[ -s "$work/shared.txt" ] || fail 'liborch.so exports nothing'
! grep -v '^orch_' "$work/shared.txt" >&2 || fail 'liborch.so leaks the symbols above'
! grep -v '^orch_' "$work/static.txt" >&2 || fail 'liborch.a leaks the symbols above'
diff -u "$work/shared.txt" "$work/static.txt" >&2 || fail 'liborch.so and liborch.a export different symbols'
needed=$(readelf -d "$stage/lib/liborch.so" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p')
! echo "$needed" | grep -E 'libcurl|libyaml' >&2 || fail 'liborch.so links a library that it shall load on first use'

step 'the installed programs, their manuals and protos'
for program in orch-engine orch-server orchctl; do
    "$stage/bin/$program" --version | grep -q "^$program [0-9]" || fail "$program does not run where it was installed"
    [ -s "$stage/share/man/man1/$program.1" ] || fail "$program has no manual"
done
for proto in engine orchestrator; do
    [ -s "$stage/share/liborch/proto/orch/v1/$proto.proto" ] || fail "$proto.proto was not installed"
done

# The host's view: the second prefix has no shared library, so that -lorch means the archive.
cp -a "$stage" "$static"
rm -f "$static"/lib/liborch.so*
sed -i "s|^prefix=.*|prefix=$static|" "$static/lib/pkgconfig/liborch.pc"
flags() { PKG_CONFIG_PATH="$stage/lib/pkgconfig" "$PKG_CONFIG" "$@" liborch; }
static_flags() { PKG_CONFIG_PATH="$static/lib/pkgconfig" "$PKG_CONFIG" --static "$@" liborch; }
version=$(flags --modversion)
[ -e "$stage/lib/liborch.so.$version" ] || fail "liborch.pc says $version, the library's file does not"
! flags --libs | grep -qE 'jansson|sqlite|crypto|lua' || fail 'pkg-config --libs shows a host what is private'

c99="$CC -std=c99 -pedantic-errors -Wall -Wextra -Wundef -Wstrict-prototypes -Werror"
cxx11="$CXX -x c++ -std=c++11 -pedantic-errors -Wall -Wextra -Wundef -Werror"

step 'each public header alone, as C99 and as C++11'
(cd "$stage/include" && find orch -name '*.h' | LC_ALL=C sort) >"$work/headers"
while read -r header; do
    # A declaration of its own: an empty file is not pedantic C.
    printf '#include <%s>\n#include <%s>\nextern int alone;\n' "$header" "$header" >"$bin/alone.c"
    $c99 $(flags --cflags) -fsyntax-only "$bin/alone.c" || fail "$header does not compile alone as C99"
    $cxx11 $(flags --cflags) -fsyntax-only "$bin/alone.c" || fail "$header does not compile alone as C++11"
done <"$work/headers"

run() {
    mkdir -p "$bin/run"
    (cd "$bin/run" && LD_LIBRARY_PATH=$2 timeout 60 "$1" >"$1.log" 2>&1 </dev/null) || {
        cat "$1.log" >&2
        fail "$1 failed"
    }
}

# Compilers read these as they stand: flags are words, not one string.
# shellcheck disable=SC2086,SC2046
build_host() {
    name=$(basename "$1" .c)
    $c99 $(flags --cflags) -o "$bin/$name-c-shared" "$1" $(flags --libs)
    $cxx11 $(flags --cflags) -o "$bin/$name-cxx-shared" "$1" -x none $(flags --libs)
    $c99 $(static_flags --cflags) -o "$bin/$name-c-static" "$1" $(static_flags --libs)
    $cxx11 $(static_flags --cflags) -o "$bin/$name-cxx-static" "$1" -x none $(static_flags --libs)
}

for host in tests/install/*.c; do
    [ -e "$host" ] || continue
    step "$(basename "$host"): shared and static, as C99 and as C++11"
    build_host "$host"
    name=$(basename "$host" .c)
    for language in c cxx; do
        run "$bin/$name-$language-shared" "$stage/lib"
        run "$bin/$name-$language-static" ''
        ! readelf -d "$bin/$name-$language-static" | grep -q liborch || fail 'the static host needs liborch.so'
    done
done

step 'a transport of a host, which passes the rules'
# shellcheck disable=SC2046
$CC -Wall -Wextra -Werror -pthread $(flags --cflags) -o "$bin/transport-pipe" examples/transport-pipe/*.c $(flags --libs) ||
    fail 'examples/transport-pipe does not compile against what was installed'
LD_LIBRARY_PATH=$stage/lib timeout 120 "$bin/transport-pipe" check >"$bin/transport-pipe.log" 2>&1 || {
    cat "$bin/transport-pipe.log" >&2
    fail 'examples/transport-pipe does not keep the rules of transports'
}

if [ -f README.md ]; then
    step "the README's program, as pasted"
    awk '/^```c$/ { on = 1; next } /^```/ && on { exit } on' README.md >"$bin/readme.c"
    [ -s "$bin/readme.c" ] || fail 'README.md has no ```c block'
    # shellcheck disable=SC2046
    $CC -Wall -Wextra -Werror $(flags --cflags) -o "$bin/readme" "$bin/readme.c" $(flags --libs) ||
        fail "the README's program does not compile"
    run "$bin/readme" "$stage/lib"
fi
echo "check-install: $(wc -l <"$work/headers") headers, $(wc -l <"$work/shared.txt") symbols, all hosts built and ran"
