"""What housekeeping costs those who pull and push: two servers with the same content, one of which collects garbage. They are measured in turns, and
the one whose turn it is not is stopped (SIGSTOP), so that both have the machine to themselves. At the end everything is deleted and collected,
and the data directory compared with an empty one.

Called by dev/housekeeping. Prints a table; figures are medians of the rounds, ratios are what counts.
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
import tempfile
import threading
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target")
STRATA = os.environ.get("STRATA_BIN") or f"{TARGET}/release/strata"
LOAD = os.environ.get("STRATA_LOAD_BIN") or f"{TARGET}/release/strata-load"
SERVER_CORE, CLIENT_CORE = "0", "1"
FILL_CLIENTS, FILL_LAYERS = 32, 50


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def disk_bytes(folder):
    """What a folder takes on the disk."""
    return sum(entry.stat().st_blocks * 512 for entry in pathlib.Path(folder).rglob("*") if entry.is_file())


class Server:
    """Strata on a folder, pinned, collecting only when it is told to."""

    def __init__(self, data):
        self.data, self.address = data, f"127.0.0.1:{free_port()}"
        command = ["taskset", "-c", SERVER_CORE, STRATA, "serve", "--data", str(data), "--listen", self.address]
        command += ["--gc-grace", "0s", "--gc-interval", "0s", "--gc-undo", "0s", "--log-level", "warn"]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        while True:
            with contextlib.suppress(OSError):
                self.ask("GET", "/readyz", parse=False)
                return
            if self.process.poll() is not None:
                raise SystemExit("the server did not start")
            time.sleep(0.02)

    def ask(self, method, path, body=None, parse=True):
        request = urllib.request.Request(f"http://{self.address}{path}", method=method)
        if method == "POST":
            request.data = json.dumps(body or {}).encode()
            request.add_header("Content-Type", "application/json")
        with urllib.request.urlopen(request, timeout=600) as answer:
            text = answer.read()
        return json.loads(text) if parse and text else None

    def load(self, *arguments, paths=""):
        command = ["taskset", "-c", CLIENT_CORE, LOAD, *arguments, self.address]
        done = subprocess.run(command, input=paths, capture_output=True, text=True, check=True)
        return json.loads(done.stdout) if done.stdout.startswith("{") else done.stdout

    def signal(self, number):
        self.process.send_signal(number)

    def stop(self):
        self.signal(signal.SIGCONT)
        self.signal(signal.SIGTERM)
        self.process.wait(60)

    def repositories(self):
        return self.ask("GET", "/v2/_catalog?n=1000")["repositories"]


def fill(server, blobs):
    """Pushes images until there are so many blobs to delete, and deletes their repositories. Returns how many blobs that were."""
    count = 0
    while count < blobs:
        pushed = server.load(
            "push-images", "--clients", str(FILL_CLIENTS), "--layers", str(FILL_LAYERS), "--layer-bytes", "2048", "--seconds", "5"
        )
        count += pushed["count"] * (FILL_LAYERS + 1)
        print(f"  {count} blobs to be collected", flush=True)
    for repository in server.repositories():
        server.ask("DELETE", f"/api/v1/images/{repository}")
    return count


def turn(server, seconds, hot):
    """p99 of pulls and pushes, in milliseconds."""
    pulls = server.load("get", "--rate", "1000", "--spin", "0.002", "--seconds", str(seconds), paths=hot)
    pushes = server.load("push-images", "--clients", "2", "--seconds", str(seconds))
    return pulls["p50_us"] / 1000, pulls["p99_us"] / 1000, pushes["p50_us"] / 1000, pushes["p99_us"] / 1000


def latencies(calm, busy, hot, arguments):
    """Turns of both servers while one of them collects."""
    collector = threading.Thread(target=busy.ask, args=("POST", "/api/v1/gc"))
    turns = {"calm": [], "collecting": []}
    before = busy.ask("GET", "/api/v1/gc")["removed"].get("blob", {"objects": 0})["objects"]
    collector.start()
    for _ in range(arguments.rounds):
        for name, server, other in (("calm", calm, busy), ("collecting", busy, calm)):
            other.signal(signal.SIGSTOP)
            turns[name].append(turn(server, arguments.seconds, hot))
            other.signal(signal.SIGCONT)
    still = busy.ask("GET", "/api/v1/gc")
    print(f"  collecting until the end of the last turn: {still['running']}", flush=True)
    collector.join()
    after = busy.ask("GET", "/api/v1/gc")["removed"]["blob"]["objects"]
    return {name: [statistics.median(column) for column in zip(*rows)] for name, rows in turns.items()}, after - before


def main():
    parser = argparse.ArgumentParser(prog="dev/housekeeping", description=__doc__)
    parser.add_argument("--blobs", type=int, default=100_000, help="blobs to be collected")
    parser.add_argument("--rounds", type=int, default=9, help="turns of each server")
    parser.add_argument("--seconds", type=float, default=2, help="seconds of pulls, and of pushes, in a turn")
    arguments = parser.parse_args()
    base = pathlib.Path(tempfile.mkdtemp(prefix="strata-housekeeping-"))
    servers = []
    try:
        first = Server(base / "collecting")
        servers.append(first)
        empty = disk_bytes(first.data)
        fill(first, arguments.blobs)
        hot = first.load("fill", "--count", "8", "--bytes", "65536", "--tag", "hot")
        first.stop()
        shutil.copytree(base / "collecting", base / "calm")
        servers[:] = [Server(base / "calm"), Server(base / "collecting")]
        medians, removed = latencies(*servers, hot, arguments)
        busy = servers[1]
        for repository in busy.repositories():
            busy.ask("DELETE", f"/api/v1/images/{repository}")
        for _ in range(2):
            busy.ask("POST", "/api/v1/gc")
        left = disk_bytes(busy.data) - empty
        print(f"\n{removed} blobs collected meanwhile\n\n| | calm | collecting | ratio |\n|---|--:|--:|--:|")
        for index, name in enumerate(("pull 64 KiB p50", "pull 64 KiB p99", "push image p50", "push image p99")):
            one, two = medians["calm"][index], medians["collecting"][index]
            print(f"| {name} | {one:.2f} ms | {two:.2f} ms | {two / one:.2f} |")
        print(f"\nAll deleted and collected: {left / 2**20:.1f} MiB more than an empty data directory")
    finally:
        for server in servers:
            with contextlib.suppress(OSError, subprocess.TimeoutExpired):
                server.stop()
        shutil.rmtree(base, ignore_errors=True)


main()
