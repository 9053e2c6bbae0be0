"""What is measured, in phases. A phase starts its servers, lets them be filled, and runs each of its workloads against each of them in turn."""
import json
import os
import shutil
import statistics
import subprocess
import time

import machine
from servers import ALL, LOAD, READERS, REGISTRIES, SCALE, STRATA, Failure, Nginx, NginxUnpaced, Server, Strata

MIB = 1 << 20
GIB = 1 << 30
HAVE_FILES = [Strata, Nginx]
HAVE_TLS = [Strata, Nginx, NginxUnpaced]


class Size:
    """How large a run is."""

    def __init__(self, quick, rounds, seconds):
        self.quick = quick
        self.rounds = rounds or (1 if quick else 3)
        self.seconds = seconds or (0.5 if quick else 1.5)

    def of(self, full, quick):
        return quick if self.quick else full


def load(core, *arguments, lines=None, timeout=300):
    """Runs the load generator on its core; returns what it printed."""
    command = ["taskset", "-c", core, LOAD, *map(str, arguments)]
    done = subprocess.run(command, input=lines, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=timeout)
    if done.returncode:
        raise Failure(done.stderr.strip().split("\n")[-1][-300:] or f"the load generator ended with {done.returncode}")
    return done.stdout


class Workload:
    """One kind of load. `unit` is what its rate counts: requests, bytes, images or clients."""

    unit = "requests"
    servers = ALL

    def __init__(self, key, title, **fields):
        self.key, self.title, self.paths = key, title, {}
        self.__dict__.update(fields)

    def describe(self):
        return {"key": self.key, "title": self.title, "unit": self.unit}

    def prepare(self, server, size, core):
        """Puts into the server what the load needs."""

    def arguments(self, server, size):
        """The load generator's arguments, the address apart."""
        raise NotImplementedError

    def run(self, server, size, core):
        """One measured run: what the load generator says, and what it cost the server."""
        arguments = self.arguments(server, size)
        server.usage.forget_peak()
        before = server.usage.cpu_seconds()
        said = json.loads(load(core, arguments[0], self.address(server), *arguments[1:], lines=self.paths.get(server.key)))
        said["cpu"] = server.usage.cpu_seconds() - before
        said["peak"] = server.usage.peak_bytes()
        command = " ".join(map(str, ["strata-load", arguments[0], "ADDRESS", *arguments[1:]]))
        said["command"] = command.replace(str(server.base), "FOLDER")
        return said

    def address(self, server):
        return server.address


class Get(Workload):
    """GET of blobs of one size over plain HTTP/1.1."""

    bodies = "discard"
    connections = 16
    servers = READERS

    def prepare(self, server, size, core):
        self.paths[server.key] = load(core, "fill", server.fill_target(), "--bytes", self.bytes, "--count", self.count)

    def arguments(self, server, size):
        return ["get", "--connections", self.connections, "--bodies", self.bodies, "--seconds", size.seconds]


class Manifest(Workload):
    """A manifest by its tag."""

    servers = READERS

    def prepare(self, server, size, core):
        paths = load(core, "fill", server.fill_target(), "--tag", "v1", "--count", 5)
        self.paths[server.key] = paths.split("\n")[0] + "\n"

    def arguments(self, server, size):
        return ["get", "--method", self.method, "--connections", 16, "--seconds", size.seconds]


class Poll(Manifest):
    """Tag polling at a rate that every server can keep."""

    def arguments(self, server, size):
        return ["get", "--method", "HEAD", "--connections", 64, "--rate", 500, "--seconds", size.seconds]


class Secure(Get):
    """GET over TLS 1.3."""

    unit = "bytes"
    servers = HAVE_TLS

    def address(self, server):
        return server.tls_address

    def arguments(self, server, size):
        tls = ["--certificate", server.certificate() / "certificate.pem", "--connections", 4, "--seconds", size.seconds]
        return ["secure", *tls, *(["--http2", "--streams", 4] if self.http2 else [])]


class PushImages(Workload):
    unit = "images"
    longer = 1
    servers = REGISTRIES

    def arguments(self, server, size):
        return ["push-images", "--as", self.kind, "--clients", self.clients, "--seconds", self.longer * size.seconds]


class PushLarge(Workload):
    """Blobs too large to pile up: every run has a server of its own, on an empty folder, with all cores."""

    unit = "bytes"
    servers = REGISTRIES

    def run(self, server, size, core):
        server.restart()
        return super().run(server, size, core)

    def arguments(self, server, size):
        return ["push-blobs", "--count", self.count, "--bytes", size.of(self.bytes, self.bytes // 4)]


class Herd(Workload):
    unit = "bytes"
    servers = READERS

    def prepare(self, server, size, core):
        self.paths[server.key] = load(core, "fill", server.fill_target(), "--tag", "herd", "--count", 8, "--bytes", size.of(32, 4) * MIB)

    def arguments(self, server, size):
        # The registries that copy take minutes for all of it: their rate is known long before.
        limit = 120 if server.key in ("strata", "nginx", "nginx-unpaced") else size.of(15, 3)
        return ["herd", "--clients", size.of(500, 50), "--width", 3, "--limit", limit]


class Pull(Workload):
    servers = REGISTRIES

    def prepare(self, server, size, core):
        load(core, "fill", server.fill_target(), "--tag", "pull", "--count", 5, "--bytes", 256 << 10)

    def arguments(self, server, size):
        return ["pull", "--as", self.kind, "--tag", "pull", "--clients", 16, "--seconds", size.seconds]


class Popular(Workload):
    """Blobs of production's sizes, asked for by popularity."""

    unit = "bytes"

    def prepare(self, server, size, core):
        self.paths[server.key] = load(core, "fill", server.fill_target(), "--count", size.of(60, 20))

    def arguments(self, server, size):
        return ["get", "--connections", 16, "--skew", 0.9, "--seconds", size.seconds]


class Mixed(Popular):
    servers = REGISTRIES
    unit = "requests"

    def prepare(self, server, size, core):
        super().prepare(server, size, core)
        manifest = load(core, "fill", server.fill_target(), "--tag", "mixed", "--count", 1).split("\n")[0]
        self.paths[server.key] = f"{manifest}\n{self.paths[server.key]}"

    def arguments(self, server, size):
        return ["mixed", "--clients", 16, "--writes", 0.05, "--seconds", size.seconds]


class Idle(Workload):
    """Connections that are open and were used once: what each costs in memory."""

    unit = "memory"

    def run(self, server, size, core):
        count = size.of(5000, 500)
        server.restart()
        server.wait_answer()
        time.sleep(0.5)
        before = server.usage.resident_bytes()
        command = ["taskset", "-c", core, LOAD, "idle", server.address, "--connections", str(count)]
        path = "/v2/index.html" if server.key == "nginx" else "/v2/"
        with subprocess.Popen([*command, "--path", path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as held:
            line = held.stdout.readline()
            time.sleep(1)
            after = server.usage.resident_bytes()
            held.stdin.close()
            held.stdin = None
            words = held.communicate(timeout=60)[1]
        if not line:
            raise Failure(words.strip()[-300:])
        return {"connections": count, "each": (after - before) / count, "resident": after, "command": f"strata-load idle ADDRESS --connections {count}"}


class Cold(Workload):
    """Small hot blobs at a fixed rate, alone and beside streams of large cold ones: what the others' cold reads cost them."""

    unit = "latency"
    # The other registries cannot keep the rate even alone.
    servers = HAVE_FILES

    def prepare(self, server, size, core):
        self.paths[server.key] = load(core, "fill", server.fill_target(), "--bytes", 4096, "--count", 256)
        if self.streams:
            cold = load(core, "fill", server.fill_target(), "--bytes", size.of(GIB, 128 * MIB), "--count", self.streams, timeout=600)
            (server.base / f"cold-{server.key}").write_text(cold)

    def arguments(self, server, size):
        hot = ["get", "--connections", 16, "--rate", 1000, "--seconds", 2 * size.seconds]
        return [*hot, *(["--beside", server.base / f"cold-{server.key}"] if self.streams else [])]

    def run(self, server, size, core):
        machine.forget_files(server.folder)
        load(core, "get", server.address, "--connections", 16, "--seconds", 0.2, lines=self.paths[server.key])
        return super().run(server, size, core)


class Start(Workload):
    """From the start of the process to the first answer, on an empty store; and the memory at rest."""

    unit = "start"
    servers = REGISTRIES

    def run(self, server, size, core):
        server.stop()
        started = time.monotonic()
        server.start()
        server.wait_answer()
        took = time.monotonic() - started
        time.sleep(1)
        return {"seconds": took, "resident": server.usage.resident_bytes(), "command": "serve; GET /v2/"}


class Limits(Server):
    """Not a server: a loop that hashes, and one that writes and syncs. What pushing can cost at least."""

    key, title = "limits", "hash-and-sync loop"
    durability = "every write is synced"
    settings = "SHA-256 of one core; append and fdatasync; write 1 GiB and fdatasync"

    @classmethod
    def binary(cls):
        return LOAD

    @classmethod
    def describe(cls):
        # It is part of the load generator, which has no version of its own.
        return {**super().describe(), "version": ""}

    def start(self):
        self.folder = self.base / self.key
        self.folder.mkdir(parents=True, exist_ok=True)

    def alive(self):
        return True


class Bound(Workload):
    unit = "limits"
    servers = [Limits]

    def run(self, server, size, core):
        said = json.loads(load(core, "limits", server.folder, "--bytes", size.of(GIB, 256 * MIB)))
        return {**said, "command": "strata-load limits FOLDER"}


class Scale(Workload):
    """Metadata: a large store beside an empty one, by the `scale` example, which starts its own servers."""

    unit = "scale"
    servers = [Strata]

    def run(self, server, size, core):
        if not os.path.exists(SCALE):
            raise Failure("the scale example is not built")
        server.stop()
        manifests, in_one = size.of((1_000_000, 100_000), (20_000, 2_000))
        folder = server.base / "scale"
        folder.mkdir()
        shape = ["--manifests", str(manifests), "--in-one", str(in_one)]
        out = folder / "figures.json"
        measure = ["--binary", STRATA, "--large", str(folder / "large"), "--small", str(folder / "small"), "--json", str(out)]
        fill = [SCALE, "fill", str(folder / "large"), *shape]
        ask = ["taskset", "-c", core, SCALE, "measure", *measure, "--server-core", server.cores, *shape]
        try:
            for command in (fill, ask):
                done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, timeout=1200)
                if done.returncode:
                    raise Failure(done.stderr.strip()[-300:])
            return {**json.loads(out.read_text()), "command": f"scale fill, scale measure --server-core {server.cores} {' '.join(shape)}"}
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            server.start()


class Zb(Workload):
    """zot's own benchmark. Its results are one list of named tests."""

    unit = "requests"
    servers = [server for server in ALL if server.key in ("strata", "zot")]

    def run(self, server, size, core):
        binary = os.environ.get("STRATA_PEER_ZB")
        if not binary:
            raise Failure(os.environ.get("STRATA_MISSING_ZB", "zb is not built: run it by `make compare`"))
        # It empties its working folder at the end: it gets one of its own.
        folder = server.base / f"zb-{server.key}"
        folder.mkdir(exist_ok=True)
        arguments = ["-c", "4", "-n", str(size.of(40, 4)), "-r", "zb", "-d", str(folder), f"http://{server.address}"]
        before = server.usage.cpu_seconds()
        done = subprocess.run(["taskset", "-c", core, binary, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300)
        if done.returncode:
            raise Failure(done.stdout.strip()[-300:])
        return {"cpu": server.usage.cpu_seconds() - before, "tests": zb_tests(done.stdout), "command": " ".join(["zb", *arguments[:-3], "URL"])}


def zb_tests(text):
    """The tests that zb ran: name, requests a second, requests that failed."""
    tests = []
    for line in text.split("\n"):
        name, _, value = line.partition(":")
        if name == "Test name":
            tests.append({"name": value.strip()})
        elif name == "Requests per second" and tests:
            tests[-1]["rate"] = float(value)
        elif name == "Failed requests" and tests:
            tests[-1]["failed"] = int(value)
    return tests


class Phase:
    """Workloads that are measured together."""

    # More rounds than these tell nothing new, or take too long.
    rounds_max = 100
    # One unmeasured round goes before the others.
    warm = True
    # Servers run one after the other, each alone with all of its rounds, instead of taking turns.
    one_by_one = False
    # The servers get every core.
    all_cores = False

    def __init__(self, key, title, workloads, **fields):
        self.key, self.title, self.workloads = key, title, workloads
        self.__dict__.update(fields)

    def servers(self):
        return [server for server in [*READERS, Limits] if any(server in workload.servers for workload in self.workloads)]


def kinds(make):
    return [make(kind) for kind in ("docker", "containerd", "skopeo", "crane")]


PHASES = [
    Phase("start", "Start", [Start("start", "start to the first answer, empty store")], warm=False),
    Phase(
        "blobs",
        "Blob reads",
        [
            Get("blob-4k", "GET 4 KiB, 16 connections", bytes=4 << 10, count=256),
            Get("blob-64k", "GET 64 KiB, 16 connections", bytes=64 << 10, count=64),
            Get("blob-1m", "GET 1 MiB, 16 connections", bytes=MIB, count=32, unit="bytes"),
            Get("blob-64m", "GET 64 MiB, 4 connections", bytes=64 * MIB, count=4, connections=4, unit="bytes"),
            Get("blob-1m-copied", "GET 1 MiB, 16 connections, client copies", bytes=MIB, count=32, unit="bytes", bodies="copy", servers=HAVE_FILES),
            Get(
                "blob-64m-copied",
                "GET 64 MiB, 4 connections, client copies",
                bytes=64 * MIB,
                count=4,
                connections=4,
                unit="bytes",
                bodies="copy",
                servers=HAVE_FILES,
            ),
        ],
    ),
    Phase(
        "manifests",
        "Manifest reads",
        [
            Manifest("manifest-get", "GET manifest by tag, 16 connections", method="GET"),
            Manifest("manifest-head", "HEAD manifest by tag, 16 connections", method="HEAD"),
            Poll("tag-poll", "tag polling: HEAD at 500/s (open loop), 64 connections"),
        ],
    ),
    Phase(
        "tls",
        "Reads over TLS 1.3",
        [
            Secure("tls-h1-1m", "GET 1 MiB, TLS, HTTP/1.1", bytes=MIB, count=32, http2=False),
            Secure("tls-h1-64m", "GET 64 MiB, TLS, HTTP/1.1", bytes=64 * MIB, count=4, http2=False),
            Secure("tls-h2-1m", "GET 1 MiB, TLS, HTTP/2", bytes=MIB, count=32, http2=True),
            Secure("tls-h2-64m", "GET 64 MiB, TLS, HTTP/2", bytes=64 * MIB, count=4, http2=True),
        ],
    ),
    Phase(
        "push-large",
        "Large pushes (the server has all cores)",
        [
            Bound("limits", "the machine's limits"),
            PushLarge("push-1g", "push of one 1 GiB blob", count=1, bytes=GIB),
            PushLarge("push-8x256m", "8 blobs of 256 MiB pushed side by side", count=8, bytes=256 * MIB),
        ],
        all_cores=True,
        warm=False,
    ),
    Phase(
        "push-images",
        "Pushes of small images",
        [PushImages("push-images-32", "image of 5 layers of 16 KiB, 32 clients", kind="containerd", clients=32, longer=2)],
    ),
    Phase("herd", "Thundering herd", [Herd("herd", "500 clients pull one image of 8 × 32 MiB")], warm=False, rounds_max=2),
    Phase("idle", "Idle connections", [Idle("idle", "5,000 kept-alive connections, each used once")], warm=False, rounds_max=1),
    Phase(
        "cold",
        "Hot reads beside cold streams",
        [
            Cold("hot-alone", "GET 4 KiB at 1000/s (open loop)", streams=0),
            Cold("hot-beside-cold", "GET 4 KiB at 1000/s beside 8 streams of cold 1 GiB blobs", streams=8),
        ],
        one_by_one=True,
        warm=False,
    ),
    Phase("scale", "Metadata at scale", [Scale("scale", "1,000,000 manifests and tags, 100,000 in one repository")], warm=False, rounds_max=1),
    Phase(
        "traffic",
        "Real clients",
        [
            *kinds(lambda kind: Pull(f"pull-{kind}", f"pull as {kind}: image of 5 layers of 256 KiB, 16 clients", kind=kind, unit="images")),
            *kinds(lambda kind: PushImages(f"push-{kind}", f"push as {kind}: image of 5 layers of 16 KiB, 8 clients", kind=kind, clients=8)),
            Popular("popular", "GET of production's blob sizes by popularity (Zipf 0.9)"),
            Mixed("mixed", "95 % reads (HEAD tag, GET blob by popularity), 5 % pushes"),
        ],
        rounds_max=2,
    ),
    Phase("zb", "zot's own benchmark", [Zb("zb", "zb -c 4")], warm=False, rounds_max=1),
]


def median(runs, field):
    values = [run[field] for run in runs if field in run]
    return statistics.median(values) if values else None
