# SPDX-License-Identifier: MIT
"""What the module says of C is what the headers say."""

from __future__ import annotations

import ctypes
import os
import re
import subprocess
import tempfile
import unittest
from pathlib import Path

from sluice import _abi, _library

TOP = Path(__file__).resolve().parents[3]


def program() -> str:
    lines = [
        "#include <stddef.h>",
        "#include <stdio.h>",
        "#include <sluice.h>",
        "#include <sluice/group.h>",
        "#define TYPE(e) sizeof(e), (int)((__typeof__(e))-1 < (__typeof__(e))1)",
        "int main(void) {",
    ]
    for name in _abi.CONSTANTS:
        lines.append(f'printf("{name} %lld\\n", (long long)SLUICE_{name});')
    for c_name, structure in _abi.STRUCTURES.items():
        lines.append(f'printf("{c_name} %zu\\n", sizeof({c_name}));')
        for field, kind in structure._fields_:
            where = f"(({c_name} *)0)->{field}"
            what = f"offsetof({c_name}, {field}), sizeof({where})"
            lines.append(f'printf("{c_name}.{field} %zu %zu", {what});')
            if issubclass(kind, ctypes._SimpleCData) and kind._type_ not in "zP":
                lines.append(f'printf(" %zu %d", TYPE({where}));')
            lines.append('puts("");')
    lines += ['printf("VERSION %s\\n", SLUICE_VERSION_STRING);', "return 0; }"]
    return "\n".join(lines)


def expected() -> list[str]:
    lines = [f"{name} {getattr(_abi, name)}" for name in _abi.CONSTANTS]
    for c_name, structure in _abi.STRUCTURES.items():
        lines.append(f"{c_name} {ctypes.sizeof(structure)}")
        for field, kind in structure._fields_:
            where = getattr(structure, field)
            line = f"{c_name}.{field} {where.offset} {where.size}"
            if issubclass(kind, ctypes._SimpleCData) and kind._type_ not in "zP":
                line += f" {where.size} {int(kind(-1).value < 1)}"
            lines.append(line)
    return lines + [f"VERSION {_abi.VERSION}"]


class Abi(unittest.TestCase):
    def test_structures_and_constants(self) -> None:
        with tempfile.TemporaryDirectory() as directory:
            source = Path(directory, "abi.c")
            source.write_text(program())
            # The structures are of 64-bit times and files, as in the library.
            subprocess.run(
                [os.environ.get("CC", "gcc"), "-w", f"-I{TOP}/include"]
                + ["-include", f"{TOP}/src/wide.h", str(source), "-o", f"{directory}/abi"],
                check=True,
            )
            said = subprocess.run([f"{directory}/abi"], check=True, stdout=subprocess.PIPE, text=True)
        self.assertEqual(said.stdout.splitlines(), expected())

    def test_sonames_are_those_of_the_build(self) -> None:
        build = (TOP / "build.ninja").read_text()
        for variable, soname in (("soname", _abi.SONAME), ("group_soname", _abi.GROUP_SONAME)):
            self.assertIn(soname, re.findall(f"^{variable} = (.*)$", build, re.MULTILINE))

    def test_each_call_has_as_many_arguments_as_in_the_headers(self) -> None:
        headers = [TOP / "include/sluice.h", *sorted((TOP / "include/sluice").glob("*.h"))]
        text = " ".join(" ".join(h.read_text() for h in headers).split())
        calls = {**_library.WAITING, **_library.SLOW, **_library.QUICK}
        calls |= {**_library.GROUP_WAITING, **_library.GROUP_QUICK}
        for name, (_, arguments) in calls.items():
            found = re.search(rf"(?:INLINE|API) [^;{{}}()#]*[ *]{name}\(([^)]*)\)", text)
            assert found, name
            in_c = [] if found[1].strip() == "void" else found[1].split(",")
            self.assertEqual(len(arguments), len(in_c), name)
            for argument, c in zip(arguments, in_c):
                is_pointer = issubclass(argument, (ctypes.c_void_p, ctypes.c_char_p, ctypes._Pointer))
                self.assertEqual(is_pointer, "*" in c or "_fn" in c, f"{name}: {c}")
                if not is_pointer:
                    self.assertEqual(ctypes.sizeof(argument), size_of(c), f"{name}: {c}")


def size_of(declaration: str) -> int:
    eight = ("size_t", "ssize_t", "int64_t", "uint64_t", "sluice_deadline")
    return 8 if declaration.split()[0] in eight else 4
