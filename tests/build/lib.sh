# SPDX-License-Identifier: MIT
# What the scripts here share: a project outside the tree, in ./project, and
# whether its programs run. Each uses sluice in one way, as its user would.
: "${TOP:?}" "${OUT:?}"
. "$TOP/tests/tools/lib.sh"
here=$PWD
cp -R "$TOP/tests/outside" project
cp "$TOP/examples/ring.c" project/
unset DESTDIR PREFIX LIBDIR CFLAGS CXXFLAGS CPPFLAGS LDFLAGS SLUICE_WERROR LD_LIBRARY_PATH
CC=gcc CXX=g++
export CC CXX

# installed ROOT LIBDIR: what was built, in there
installed() {
        (cd "$TOP" && PREFIX=$1 LIBDIR=$2 tools/install "$OUT") >install.log
}

# runs PROGRAM: in a directory of its own, in which nothing is left
runs() {
        rm -rf in
        mkdir in
        (cd in && timeout 60 "$1" >../out.log) || return 1
        rmdir in/* in 2>rmdir.log # empty directories that it made for queues
        [ ! -e in ] || { ls -R in; return 1; }
}

# all_run WHAT DIRECTORY: what was built there
all_run() {
        for program in ring typed group cxx; do
                check "$1: $program" runs "$here/$2/$program"
        done
}

# needs LIBRARY PROGRAM: at run time
needs() { readelf -d "$2" | grep -q "NEEDED.*\[$1"; }
has_no() { ! needs "$@"; }

# configure DIRECTORY OPTION...: the project, by CMake
configure() {
        directory=$1
        shift
        cmake -S project -B "$directory" -G Ninja -Werror=dev \
                -DCMAKE_C_FLAGS='-Wall -Wextra -Werror' -DCMAKE_CXX_FLAGS='-Wall -Wextra -Werror' \
                -DEXAMPLES="$here/project" "$@"
}

# objects ARCHIVE: names of what it consists of
objects() {
        ar t "$1" | sed 's/.*src_//; s/\.c\.o$/.o/' | sort
}
