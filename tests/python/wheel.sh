#!/bin/sh
# SPDX-License-Identifier: MIT
# The wheel in a virtual environment, as its users have it: without the tree. What they do
# with it is the own programs: sending, types, numpy.
set -eu
: "${TOP:?}" "${OUT:?}"
passed=0 failed=0
# check WHAT COMMAND...
check() {
        what=$1
        shift
        if "$@" >log 2>&1; then
                passed=$((passed + 1))
        else
                failed=$((failed + 1))
                cat log
                echo "FAILED $what"
        fi
}
export PIP_NO_INDEX=1 PIP_DISABLE_PIP_VERSION_CHECK=1
unset SLUICE_LIBRARY_DIR PYTHONPATH LD_LIBRARY_PATH 2>/dev/null || :

wheel=$(echo "$OUT"/wheel/*.whl)
version=$("$OUT/sluice" --version | sed 's/^sluice //')
check 'the name says version and machine' sh -c "case $wheel in
        */sluice-$version-py3-none-linux_*.whl) ;; *) false ;; esac"
/usr/bin/python3 -m venv --system-site-packages venv >log 2>&1 || { cat log && exit 1; }
check 'it is installed without a network' venv/bin/pip install --quiet "$wheel"

cat >use.py <<'EOF'
import sys, sluice
assert sluice.__file__.startswith(sys.prefix), sluice.__file__
with sluice.Queue("q").create(), sluice.Producer("q") as producer, sluice.Consumer("q") as consumer:
    producer.send(b"text")
    assert consumer.recv() == b"text"
with sluice.Group() as group:
    assert group.serve(print, timeout=0) == 0
maps = open("/proc/self/maps").read()
for library in ("libsluice.so", "libsluice-group.so"):
    assert f"{sys.prefix}/lib/python" in [l for l in maps.splitlines() if library in l][0], maps
EOF
check 'it brings its libraries' venv/bin/python use.py
check 'numpy sees a batch without a copy' \
        sh -c "venv/bin/python $TOP/examples/numpy_batch.py >said && grep -qx '1000 prices, mean spread 0.50' said"
cat >kept.py <<'EOF'
import numpy as np, sluice
with sluice.Queue("q").create(), sluice.Producer("q") as producer, sluice.Consumer("q") as consumer:
    producer.send(bytes(16))
    m = consumer.peek()
    array = np.frombuffer(m.data, "<u4")[1:]
    try:
        m.release()
    except BufferError:
        del array
        m.release()
        raise SystemExit(0)
raise SystemExit("released under an array")
EOF
check 'a message is not released under an array' venv/bin/python kept.py

# Types: of the package, and that its users have them.
cp -R "$TOP/bindings/python/sluice" sluice
check 'mypy --strict finds nothing in it' mypy --strict --no-error-summary sluice
rm -rf sluice
cat >typed.py <<'EOF'
import sluice
text: str = sluice.Consumer("q").recv()
EOF
check 'its users are told of wrong types' sh -c "! mypy --strict --python-executable venv/bin/python \
        typed.py >said && grep -q 'expression has type \"bytes\"' said"
# The files of the Debian package: pure Python, and the libraries where the system has them.
cat >system.py <<'EOF'
import sluice
with sluice.Queue("q").create() as queue:
    assert queue.stat().pending == 0
EOF
check 'without libraries of its own it takes those of the system' \
        env PYTHONPATH="$TOP/bindings/python" LD_LIBRARY_PATH="$OUT" PYTHONDONTWRITEBYTECODE=1 \
        /usr/bin/python3 system.py
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
