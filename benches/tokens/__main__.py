"""What a token costs: GET of a manifest by its tag, in open mode and in accounts mode with a valid token. Two servers with the same content are
measured in turns; what counts is the processor time of a request.

Called by dev/token-cost. Prints a table; figures are medians of the rounds. Exits with 1 where the ratio is above the bound.
"""
import argparse
import base64
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
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target")
STRATA = os.environ.get("STRATA_BIN") or f"{TARGET}/release/strata"
LOAD = os.environ.get("STRATA_LOAD_BIN") or f"{TARGET}/release/strata-load"
SERVER_CORE, CLIENT_CORE = "0", "1"
KEY = ("SKADMINADMINADMIN234", "strata_0123456789abcdefghijklmnopqrstuvwxyzABCDEFG")
TICKS = os.sysconf("SC_CLK_TCK")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """Strata on a folder, pinned to one core."""

    def __init__(self, data, mode):
        self.address = f"127.0.0.1:{free_port()}"
        command = ["taskset", "-c", SERVER_CORE, STRATA, "serve", "--data", str(data), "--listen", self.address, "--log-level", "warn"]
        environment = {"STRATA_AUTH_MODE": mode, "STRATA_ADMIN_KEY_ID": KEY[0], "STRATA_ADMIN_KEY_SECRET": KEY[1]}
        self.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, env={**os.environ, **environment}
        )
        while True:
            with contextlib.suppress(OSError):
                self.get("/readyz")
                return
            if self.process.poll() is not None:
                raise SystemExit("the server did not start")
            time.sleep(0.02)

    def get(self, path, headers=None):
        request = urllib.request.Request(f"http://{self.address}{path}", headers=headers or {})
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.read()

    def token(self, scope):
        key = base64.b64encode(":".join(KEY).encode()).decode()
        return json.loads(self.get(f"/token?service=strata&scope={scope}", {"Authorization": f"Basic {key}"}))["token"]

    def load(self, *arguments, paths=""):
        command = ["taskset", "-c", CLIENT_CORE, LOAD, *arguments, self.address]
        done = subprocess.run(command, input=paths, capture_output=True, text=True, check=True)
        return json.loads(done.stdout) if done.stdout.startswith("{") else done.stdout

    def cpu_seconds(self):
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)


def turn(server, seconds, path, extra):
    """Microseconds of the processor for a request, and requests a second."""
    before = server.cpu_seconds()
    said = server.load("get", "--connections", "16", "--seconds", str(seconds), *extra, paths=path)
    return (server.cpu_seconds() - before) * 1e6 / said["count"], said["count"] / seconds


def main():
    parser = argparse.ArgumentParser(prog="dev/token-cost", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7, help="turns of each server")
    parser.add_argument("--seconds", type=float, default=2, help="seconds of a turn")
    parser.add_argument("--bound", type=float, default=1.15, help="highest ratio of processor time")
    arguments = parser.parse_args()
    base = pathlib.Path(tempfile.mkdtemp(prefix="strata-token-cost-"))
    servers = []
    try:
        servers.append(Server(base / "open", "open"))
        path = servers[0].load("fill", "--tag", "v1", "--count", "5").split("\n")[0]
        servers.pop().stop()
        shutil.copytree(base / "open", base / "accounts")
        servers[:] = [Server(base / "open", "open"), Server(base / "accounts", "accounts")]
        repository = path.removeprefix("/v2/").rsplit("/manifests/", 1)[0]
        token = base / "token"
        token.write_text(servers[1].token(f"repository:{repository}:pull"))
        extra = [[], ["--token-file", str(token)]]
        turns = [[], []]
        for round_number in range(arguments.rounds + 1):
            for which, server in enumerate(servers):
                figures = turn(server, arguments.seconds, path + "\n", extra[which])
                # The first is to warm up.
                if round_number:
                    turns[which].append(figures)
        (free, free_rate), (known, known_rate) = ([statistics.median(column) for column in zip(*rows)] for rows in turns)
        print("| GET manifest by tag | open | with a token | ratio |\n|---|--:|--:|--:|")
        print(f"| processor, µs a request | {free:.2f} | {known:.2f} | {known / free:.3f} |")
        print(f"| requests a second | {free_rate:.0f} | {known_rate:.0f} | {known_rate / free_rate:.3f} |")
        raise SystemExit(0 if known / free <= arguments.bound else 1)
    finally:
        for server in servers:
            with contextlib.suppress(OSError, subprocess.TimeoutExpired):
                server.stop()
        shutil.rmtree(base, ignore_errors=True)


main()
