#!/usr/bin/env python3
"""Instructions per weight (or number) of every kernel of an instruction set, held against the table beside this file.

In: build/instructions and a way to count: callgrind (scalar and AVX2; needs valgrind), traps (AVX-512) or traps_avxvnni (both need a
CPU that has the set) or debugger (NEON, stepped through in qemu-aarch64; the program is linked with -static -no-pie). Out: what
differs; exit 1 where a count is more than a tenth above its line, or a case and the table don't know each other. A count doesn't
depend on the machine, but on the compiler: the table names the one that it is of. Under another one, or where the CPU lacks the
instructions, nothing is compared, which is said.

    check_instructions.py PROGRAM WAY [--write]
"""

import pathlib
import re
import socket
import subprocess
import sys
import tempfile
import time

TABLE = pathlib.Path(__file__).with_name("instructions.txt")
HEAD = """# Instructions of each kernel per weight and token (gemv, gemm_u8s8, gemm_f32), per weight (unpack), per number (the others); of one
# token where nothing else is said. `make instructions` compares, `make instructions WRITE=--write` writes.
"""
GROWTH = 1.1
CANNOT_RUN = 3


def output_of(command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def cases_of(output):
    """[(case, units, count where the program knows it)]"""
    fields = (line.split("\t") for line in output.splitlines())
    return [(name, int(units), int(count[0]) if count else None) for name, units, *count in fields]


def by_callgrind(program, way):
    with tempfile.TemporaryDirectory() as folder:
        out = f"--callgrind-out-file={folder}/dump"
        command = ["valgrind", "-q", "--tool=callgrind", "--collect-atstart=no", out, program, way]
        cases, counts = cases_of(output_of(command)), {}
        for dump in pathlib.Path(folder).iterdir():
            text = dump.read_text()
            case = re.search(r"^desc: Trigger: Client Request: (.*)$", text, re.M)
            if case:
                counts[case[1]] = int(re.search(r"^(?:totals|summary): (\d+)", text, re.M)[1])
    return {name: counts[name] / units for name, units, _ in cases}


def by_traps(program, way):
    found = subprocess.run([program, way], capture_output=True, text=True)
    if found.returncode == CANNOT_RUN:
        return None
    found.check_returncode()
    return {name: count / units for name, units, count in cases_of(found.stdout)}


class Debugger:
    """The few words of GDB's remote protocol that stepping takes."""

    PC = b"p20"  # of AArch64's registers

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        for _ in range(200):
            try:
                self.socket.connect(path)
                break
            except OSError:
                time.sleep(0.05)
        self.buffer = b""
        self.ask(b"qXfer:features:read:target.xml:0,fff")  # before which there are no single registers

    def ask(self, text):
        self.socket.sendall(b"+$%b#%02x" % (text, sum(text) % 256))
        while (packet := re.search(rb"\$([^#]*)#..", self.buffer)) is None:
            received = self.socket.recv(4096)
            if not received:
                raise ConnectionError("qemu ended while it was stepped")
            self.buffer += received
        self.buffer = self.buffer[packet.end() :]
        return packet[1]

    def pc(self):
        return int.from_bytes(bytes.fromhex(self.ask(self.PC).decode()), "little")

    def runs_to(self, address):
        """False where the program ends before. A breakpoint would hold a step up, so it goes again."""
        self.ask(b"Z0,%x,4" % address)
        stopped = self.ask(b"c").startswith(b"T05")
        if stopped:
            self.ask(b"z0,%x,4" % address)
        return stopped

    def steps_to(self, address):
        steps = 0
        while self.pc() != address:
            self.ask(b"s")
            steps += 1
        return steps


def by_debugger(program, way):
    symbols = {name: int(at, 16) for at, _, name in (line.split() for line in output_of(["nm", program]).splitlines() if len(line.split()) == 3)}
    begin, end = symbols["gq_count_begin"], symbols["gq_count_end"]
    counts = []
    with tempfile.TemporaryDirectory() as folder:
        command = ["qemu-aarch64", "-g", f"{folder}/gdb", program, way]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            try:
                debugger = Debugger(f"{folder}/gdb")
                while debugger.runs_to(begin):
                    counts.append(debugger.steps_to(end))
                debugger.socket.close()  # which qemu waits for
            except BaseException:
                process.kill()
                raise
            cases = cases_of(process.stdout.read())
    return {name: count / units for (name, units, _), count in zip(cases, counts, strict=True)}


WAYS = {"callgrind": by_callgrind, "traps_avxvnni": by_traps, "traps": by_traps, "debugger": by_debugger}


def read_table():
    """{way: (compiler, {case: instructions})}"""
    table = {}
    for line in TABLE.read_text().splitlines() if TABLE.exists() else []:
        if section := re.fullmatch(r"\[(\w+)\] (.*)", line):
            compiler, cases = section[2], {}
            table[section[1]] = (compiler, cases)
        elif line and not line.startswith("#"):
            name, count = line.rsplit(None, 1)
            cases[name] = float(count)
    return table


def write_table(table):
    text = HEAD
    for way in WAYS:
        if way in table:
            compiler, cases = table[way]
            text += f"\n[{way}] {compiler}\n" + "".join(f"{name:44} {count:9.3f}\n" for name, count in cases.items())
    TABLE.write_text(text)


def compiler_of(program):
    comment = output_of(["readelf", "-p", ".comment", program])
    return re.search(r"\]\s+(.*)", comment)[1].strip()


def compare(counted, table):
    wrong = 0
    for name in sorted(counted.keys() | table.keys()):
        if name not in table or name not in counted:
            wrong += 1
            print(f"instructions: {name}: {'not in the table' if name in counted else 'in the table, not counted'}")
        elif not 0 < counted[name] <= GROWTH * table[name]:
            wrong += 1
            print(f"instructions: {name}: at most {GROWTH * table[name]:.3f} expected, {counted[name]:.3f} found")
    print(f"instructions: {len(counted)} kernels counted, {wrong} wrong")
    return wrong > 0


def main():
    program, way = sys.argv[1:3]
    table, compiler = read_table(), compiler_of(program)
    writes = "--write" in sys.argv[3:]
    known = table.get(way, ("", {}))
    if not writes and compiler != known[0]:
        print(f"instructions by {way}: SKIPPED, the table is of {known[0] or 'none'}, these kernels are of {compiler}")
        return 0
    counted = WAYS[way](program, way)
    if counted is None:
        print(f"instructions by {way}: SKIPPED, this CPU lacks them")
        return 0
    if writes:
        table[way] = (compiler, counted)
        write_table(table)
        return 0
    return compare(counted, known[1])


if __name__ == "__main__":
    sys.exit(main())
