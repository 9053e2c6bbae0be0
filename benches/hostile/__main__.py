"""What hostile clients cost the others: two servers with the same content, one of which is attacked. They are measured in turns, and the one whose
turn it is not is stopped (SIGSTOP) with its attackers, so that both have the machine to themselves. One attack after the other, then all at once.

Called by dev/hostile. Prints a table; figures are medians of the rounds, ratios are what counts. The attackers run on the core of the load generator as idle
tasks, so that they take what it leaves and not what it needs.
"""
import argparse
import contextlib
import json
import os
import pathlib
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target")
STRATA = os.environ.get("STRATA_BIN") or f"{TARGET}/release/strata"
LOAD = os.environ.get("STRATA_LOAD_BIN") or f"{TARGET}/release/strata-load"
SERVER_CORE, CLIENT_CORE = "0", "1"
# Attack, and what the attacker is told to hold or do at once.
ATTACKS = {"idle": 9_900, "slow-heads": 1_000, "slow-bodies": 400, "rapid-reset": 64, "settings": 64}
FIGURES = ("pull p50", "pull p99", "push p50", "push p99")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """Strata on a folder, pinned."""

    def __init__(self, data):
        self.address = f"127.0.0.1:{free_port()}"
        command = ["taskset", "-c", SERVER_CORE, STRATA, "serve", "--data", str(data), "--listen", self.address]
        command += ["--log-level", "error", "--http-max-connections", "12000"]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        while True:
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"http://{self.address}/readyz", timeout=10).read()
                return
            if self.process.poll() is not None:
                raise SystemExit("the server did not start")
            time.sleep(0.02)

    def load(self, *arguments, paths=""):
        command = ["taskset", "-c", CLIENT_CORE, LOAD, *arguments, self.address]
        done = subprocess.run(command, input=paths, capture_output=True, text=True, check=True)
        return json.loads(done.stdout) if done.stdout.startswith("{") else done.stdout

    def figure(self, name):
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith(name))

    def handles(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def signal(self, number):
        self.process.send_signal(number)

    def stop(self):
        self.signal(signal.SIGCONT)
        self.signal(signal.SIGTERM)
        self.process.wait(60)


class Attacker:
    """A process that does one thing to a server until it is killed."""

    def __init__(self, attack, server):
        here = pathlib.Path(__file__).parent / "attack.py"
        command = ["taskset", "-c", CLIENT_CORE, "chrt", "--idle", "0", sys.executable, str(here), attack]
        command += [server.address, str(ATTACKS[attack])]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.process.stdout.readline()

    def signal(self, number):
        self.process.send_signal(number)

    def stop(self):
        self.process.kill()
        self.process.wait()


def turn(server, seconds, hot):
    """p50 and p99 of pulls and of pushes, in milliseconds."""
    pulls = server.load("get", "--rate", "1000", "--seconds", str(seconds), paths=hot)
    pushes = server.load("push-images", "--clients", "2", "--seconds", str(seconds))
    return pulls["p50_us"] / 1000, pulls["p99_us"] / 1000, pushes["p50_us"] / 1000, pushes["p99_us"] / 1000


def rounds(calm, attacked, names, hot, arguments):
    """Medians of both servers while one of them is attacked, and what the attack made it hold."""
    attackers = [Attacker(name, attacked) for name in names]
    turns, memory, handles = {"calm": [], "attacked": []}, 0, 0
    sides = (("calm", calm, [attacked, *attackers]), ("attacked", attacked, [calm]))
    try:
        for _ in range(arguments.rounds):
            for name, server, others in sides:
                for other in others:
                    other.signal(signal.SIGSTOP)
                # What came due while this one was stopped comes now, all at once, as it would not have.
                time.sleep(arguments.settle)
                turns[name].append(turn(server, arguments.seconds, hot))
                memory, handles = max(memory, attacked.figure("VmRSS")), max(handles, attacked.handles())
                for other in others:
                    other.signal(signal.SIGCONT)
    finally:
        for attacker in attackers:
            attacker.stop()
    return {name: [statistics.median(column) for column in zip(*rows)] for name, rows in turns.items()}, memory, handles


def main():
    parser = argparse.ArgumentParser(prog="dev/hostile", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7, help="turns of each server in each attack")
    parser.add_argument("--seconds", type=float, default=2, help="seconds of pulls, and of pushes, in a turn")
    parser.add_argument("--settle", type=float, default=0.5, help="seconds before a turn, for what was stopped to find its pace again")
    parser.add_argument("--only", help="attacks, with commas: " + ", ".join([*ATTACKS, "all"]))
    arguments = parser.parse_args()
    attacks = [(name, [name]) for name in ATTACKS] + [("all", list(ATTACKS))]
    if arguments.only:
        attacks = [attack for attack in attacks if attack[0] in arguments.only.split(",")]
    base = pathlib.Path(tempfile.mkdtemp(prefix="strata-hostile-"))
    servers = []
    try:
        for name in ("calm", "attacked"):
            servers.append(Server(base / name))
            hot = servers[-1].load("fill", "--count", "8", "--bytes", "65536", "--tag", "hot")
        rest = servers[1].figure("VmRSS")
        lines = []
        for name, names in attacks:
            medians, memory, handles = rounds(*servers, names, hot, arguments)
            pairs = zip(medians["calm"], medians["attacked"])
            cells = [f"{one:.2f} → {two:.2f} ms ({two / one:.2f})" for one, two in pairs]
            lines.append(f"| {name} | {' | '.join(cells)} | {memory / 1024:.0f} MiB | {handles} |")
            print(lines[-1], flush=True)
        print(f"\n{arguments.rounds} turns of {arguments.seconds} s; {rest / 1024:.0f} MiB before the attacks\n")
        print(f"| attack | {' | '.join(FIGURES)} | memory | handles |\n|---|--:|--:|--:|--:|--:|--:|")
        print("\n".join(lines))
    finally:
        for server in servers:
            with contextlib.suppress(OSError, subprocess.TimeoutExpired):
                server.stop()
        shutil.rmtree(base, ignore_errors=True)


main()
