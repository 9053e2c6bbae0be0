"""What housekeeping costs those who pull and push: four servers with the same content, of which one collects garbage and one scrubs; two rest, and how
these two differ is how far the figures can be trusted. They are measured in turns, in another order each time, and those whose turn it is not are stopped
(SIGSTOP), so that each has the machine to itself. At the end everything is deleted and collected, and the data directory compared with an empty one.

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
    """Strata on a folder, pinned, collecting and scrubbing only when it is told to."""

    def __init__(self, data):
        self.data, self.address = data, f"127.0.0.1:{free_port()}"
        command = ["taskset", "-c", SERVER_CORE, STRATA, "serve", "--data", str(data), "--listen", self.address]
        command += ["--gc-grace", "0s", "--gc-interval", "0s", "--gc-undo", "0s"]
        command += ["--scrub-interval", "0s", "--grpc-listen", "off", "--log-level", "warn"]
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


def latencies(servers, hot, arguments):
    """Turns of all servers, while one collects and one scrubs: medians of each, and how many blobs were collected."""
    busy = servers["collecting"]
    collector = threading.Thread(target=busy.ask, args=("POST", "/api/v1/gc"))
    turns = {name: [] for name in servers}
    before = busy.ask("GET", "/api/v1/gc")["removed"].get("blob", {"objects": 0})["objects"]
    collector.start()
    servers["scrubbing"].ask("POST", "/api/v1/scrub")
    for server in servers.values():
        server.signal(signal.SIGSTOP)
    order = list(servers)
    for number in range(arguments.rounds):
        for name in order[number % len(order):] + order[:number % len(order)]:
            # What the one before has left to be written is not written while this one is measured.
            os.sync()
            servers[name].signal(signal.SIGCONT)
            # It was stopped for a while; what it finds out of the caches then is not what is measured.
            servers[name].load("get", "--rate", "1000", "--spin", "0.002", "--seconds", "0.5", paths=hot)
            turns[name].append(turn(servers[name], arguments.seconds, hot))
            servers[name].signal(signal.SIGSTOP)
    for server in servers.values():
        server.signal(signal.SIGCONT)
    running = {"collecting": busy.ask("GET", "/api/v1/gc")["running"], "scrubbing": servers["scrubbing"].ask("GET", "/api/v1/scrub")["running"]}
    print(f"  until the end of the last turn: {running}", flush=True)
    collector.join()
    after = busy.ask("GET", "/api/v1/gc")["removed"]["blob"]["objects"]
    return {name: [statistics.median(column) for column in zip(*rows)] for name, rows in turns.items()}, after - before


def main():
    parser = argparse.ArgumentParser(prog="dev/housekeeping", description=__doc__)
    parser.add_argument("--blobs", type=int, default=100_000, help="blobs to be collected")
    parser.add_argument("--rounds", type=int, default=12, help="turns of each server")
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
        names = ["resting", "resting too", "scrubbing", "collecting"]
        for name in names[:-1]:
            shutil.copytree(base / "collecting", base / name)
        named = {name: Server(base / name) for name in names}
        servers[:] = named.values()
        medians, removed = latencies(named, hot, arguments)
        busy = named["collecting"]
        for repository in busy.repositories():
            busy.ask("DELETE", f"/api/v1/images/{repository}")
        for _ in range(2):
            busy.ask("POST", "/api/v1/gc")
        left = disk_bytes(busy.data) - empty
        print(f"\n{removed} blobs collected\n\n| | resting | resting too | scrubbing | collecting |\n|---|--:|--:|--:|--:|")
        for index, title in enumerate(("pull 64 KiB p50", "pull 64 KiB p99", "push image p50", "push image p99")):
            calm = medians["resting"][index]
            cells = [f"{medians[name][index]:.2f} ms ({medians[name][index] / calm:.2f} ×)" for name in names[1:]]
            print(f"| {title} | {calm:.2f} ms | {' | '.join(cells)} |")
        print(f"\nAll deleted and collected: {left / 2**20:.1f} MiB more than an empty data directory")
    finally:
        for server in servers:
            with contextlib.suppress(OSError, subprocess.TimeoutExpired):
                server.stop()
        shutil.rmtree(base, ignore_errors=True)


main()
