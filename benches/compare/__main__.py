"""Measures Strata beside other registries, nginx and the machine's limits, in one run.

usage: python3 benches/compare [--quick] [--rounds N] [--seconds S] [--only PHASE,…] [--servers KEY,…]        (make compare)

Every workload of a phase runs against every server before the next round begins, so that a disturbance of the machine meets them all; what is told is
the median of the rounds. Server and load generator are pinned to different cores. Every server starts on an empty folder on the same disk, and is
warmed up by one short unmeasured round. CPU is what the server's processes used (user and system, children included), memory their peak
during the load, both read from the kernel. A server that fails a workload is shown as failing it, with the reason, and the run goes on.

The figures of a phase are saved as soon as it is over, in --results; with --only the others stay as they were. From all that is saved there,
`strata-load render` makes docs/performance.md and its charts (a quick run stays out of docs/).
"""
import argparse
import datetime
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import machine
import workloads
from servers import LOAD, ROOT, STRATA, TARGET, Failure, all_cores


def say(text):
    print(text, file=sys.stderr, flush=True)


class Run:
    """One phase as it is measured."""

    def __init__(self, phase, arguments, size, base):
        self.phase, self.arguments, self.size, self.base = phase, arguments, size, base
        self.runs, self.failures, self.broken = [], [], set()

    def fail(self, workload, server, why):
        self.broken.add((workload.key, server.key))
        self.failures.append({"workload": workload.key, "server": server.key, "reason": str(why)})
        say(f"  {workload.key}: {server.title} fails: {why}")

    def attempt(self, workload, server, work):
        """Does one thing; a failure is noted and the server brought back."""
        if (workload.key, server.key) in self.broken:
            return None
        try:
            return work()
        except (Failure, subprocess.TimeoutExpired, OSError, ValueError) as why:
            self.fail(workload, server, why)
            if not server.alive():
                self.bring_back(server)
            return None

    def bring_back(self, server):
        """A server that ended is started anew, on an empty folder: what was stored for it goes there again."""
        try:
            server.restart()
        except Failure as why:
            say(f"  {why}")
            self.broken |= {(workload.key, server.key) for workload in self.phase.workloads}
            return
        for workload in self.phase.workloads:
            if type(server) in workload.servers and (workload.key, server.key) not in self.broken:
                try:
                    workload.prepare(server, self.size, self.arguments.client_core)
                except (Failure, subprocess.TimeoutExpired) as why:
                    self.fail(workload, server, why)

    def begin(self, servers):
        for server in servers:
            mine = [workload for workload in self.phase.workloads if type(server) in workload.servers]
            try:
                server.start()
            except Failure as why:
                for workload in mine:
                    self.fail(workload, server, why)
                continue
            for workload in mine:
                self.attempt(workload, server, lambda w=workload, s=server: w.prepare(s, self.size, self.arguments.client_core))

    def round(self, servers, number):
        for workload in self.phase.workloads:
            for server in servers:
                if type(server) not in workload.servers:
                    continue
                result = self.attempt(workload, server, lambda w=workload, s=server: self.one(w, s))
                if result is not None and number:
                    self.runs.append({"workload": workload.key, "server": server.key, "round": number, **result})

    def one(self, workload, server):
        # What the server before has left to be written is not written while this one is measured.
        os.sync()
        with server.surroundings():
            return workload.run(server, self.size, self.arguments.client_core)

    def measure(self, servers):
        try:
            self.begin(servers)
            if self.phase.warm:
                seconds, self.size.seconds = self.size.seconds, min(0.3, self.size.seconds)
                self.round(servers, 0)
                self.size.seconds = seconds
            rounds = min(self.size.rounds, self.phase.rounds_max)
            for number in range(1, rounds + 1):
                self.round(servers, number)
                say(f"  {self.phase.key}: round {number} of {rounds} done" + (f" ({servers[0].title})" if len(servers) == 1 else ""))
        finally:
            for server in servers:
                server.stop()

    def all(self):
        cores = all_cores() if self.phase.all_cores else self.arguments.server_core
        kinds = [kind for kind in self.phase.servers() if kind.key in self.arguments.servers or kind.key == "limits"]
        there = [kind for kind in kinds if not kind.missing()]
        started = time.monotonic()
        if self.phase.one_by_one:
            for kind in there:
                self.measure([kind(self.base, cores)])
        else:
            self.measure([kind(self.base, cores) for kind in there])
        return {
            "key": self.phase.key,
            "title": self.phase.title,
            "started": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
            "took_seconds": round(time.monotonic() - started, 1),
            "machine": machine.facts(self.base),
            "server_cores": cores,
            "client_core": self.arguments.client_core,
            "rounds": min(self.size.rounds, self.phase.rounds_max),
            "seconds": self.size.seconds,
            "quick": self.size.quick,
            "servers": {kind.key: kind.describe() for kind in kinds},
            "workloads": [workload.describe() for workload in self.phase.workloads],
            "runs": self.runs,
            "failures": self.failures,
        }


def figure(value):
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def lines(figures):
    """The medians of a phase in plain lines, to see at once what came out."""
    units = {workload["key"]: workload["unit"] for workload in figures["workloads"]}
    for key in dict.fromkeys((run["workload"], run["server"]) for run in figures["runs"]):
        runs = [run for run in figures["runs"] if (run["workload"], run["server"]) == key]
        of = {field: workloads.median(runs, field) for field in runs[0] if isinstance(runs[0][field], (int, float))}
        words = []
        if of.get("count") and units[key[0]] == "bytes":
            words = [f"{figure(of['bytes'] / 1e9 / of['seconds'])} GB/s", f"{figure(of['cpu'] * 1e9 / of['bytes'])} CPU s/GB"]
        elif of.get("count"):
            words = [f"{figure(of['count'] / of['seconds'])}/s", f"{figure(of['cpu'] * 1e6 / of['count'])} µs CPU each"]
        for field, name in (("p50_us", "p50"), ("p99_us", "p99")):
            words += [f"{name} {figure(of[field] / 1000)} ms"] if field in of else []
        for field, name, scale in (("each", "B each", 1), ("resident", "MiB resident", 1 << 20), ("peak", "MiB peak", 1 << 20)):
            words += [f"{figure(of[field] / scale)} {name}"] if field in of else []
        for field, value in of.items():
            words += [f"{figure(value / 1e9)} GB/s {field.split('_bytes_')[0]}"] if field.endswith("_bytes_per_second") else []
        words += [f"client core {of['client_cpu'] / of['seconds']:.0%} busy"] if of.get("client_cpu") else []
        yield f"  {key[0]:16} {key[1]:16} {', '.join(words)}"


def main(arguments):
    for needed in (STRATA, LOAD, "nginx", "taskset"):
        if not shutil.which(needed):
            sys.exit(f"{needed} is missing: run `make compare`, or dev/setup compare and cargo build --release --workspace")
    machine.raise_file_limit()
    known = [phase.key for phase in workloads.PHASES]
    wanted = arguments.only.split(",") if arguments.only else known
    if unknown := set(wanted) - set(known):
        sys.exit(f"no such phase: {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    arguments.servers = arguments.servers.split(",")
    size = workloads.Size(arguments.quick, arguments.rounds, arguments.seconds)
    results = pathlib.Path(arguments.results or TARGET / ("compare-quick" if arguments.quick else "compare"))
    results.mkdir(parents=True, exist_ok=True)
    if not arguments.only:
        for old in results.glob("*.json"):
            old.unlink()
    base = pathlib.Path(tempfile.mkdtemp(prefix="strata-compare-", dir=os.environ.get("TMPDIR", "/var/tmp")))
    base.chmod(0o755)
    started = time.monotonic()
    try:
        for phase in workloads.PHASES:
            if phase.key in wanted:
                say(f"{phase.title} ({phase.key})")
                figures = Run(phase, arguments, size, base).all()
                (results / f"{phase.key}.json").write_text(json.dumps(figures, indent=1) + "\n")
                say("\n".join([*lines(figures), f"  {phase.key}: {figures['took_seconds']} s"]))
    finally:
        shutil.rmtree(base, ignore_errors=True)
    say(f"all of it took {time.monotonic() - started:.0f} s; the figures are in {results}")
    docs = arguments.docs or (results / "docs" if arguments.quick else ROOT / "docs")
    subprocess.run([LOAD, "render", str(results), "--to", str(docs)], check=True)
    say(f"written: {docs}/performance.md")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one short round of everything, to see that it works")
    parser.add_argument("--rounds", type=int, help="measured rounds (default 3)")
    parser.add_argument("--seconds", type=float, help="length of a run (default 1.5)")
    parser.add_argument("--only", help="these phases only, separated by commas")
    parser.add_argument("--servers", default="strata,docker-registry,distribution,zot,nginx,nginx-unpaced", help="these servers only")
    parser.add_argument("--server-core", default="0", help="the core of the servers")
    parser.add_argument("--client-core", default="1", help="the core of the load generator")
    parser.add_argument("--results", help="where the figures are kept")
    parser.add_argument("--docs", help="where performance.md is written")
    # Ended from outside: the servers go too, and their data.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    main(parser.parse_args())
