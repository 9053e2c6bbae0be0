"""The servers that are compared: how each is started at its own recommended settings, and what it promises when it says 201."""
import contextlib
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import time
import urllib.request

import machine

ROOT = pathlib.Path(__file__).resolve().parents[2]
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target")
STRATA = os.environ.get("STRATA_BIN") or f"{TARGET}/release/strata"
SCALE = os.environ.get("STRATA_SCALE_BIN") or f"{TARGET}/release/examples/scale"
LOAD = os.environ.get("STRATA_LOAD_BIN") or f"{TARGET}/release/strata-load"


class Failure(Exception):
    """A server or a workload that did not do what it should, with the reason."""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """One contender. `base` is the folder of the run; everything it writes is below a folder of its own there."""

    key = title = durability = settings = ""
    pushable = True
    program = ""
    version_arguments = ["--version"]

    def __init__(self, base, cores):
        self.base, self.cores, self.process = pathlib.Path(base), cores, None

    # What it is.

    @classmethod
    def binary(cls):
        """Where its program is, or None."""
        return shutil.which(cls.program)

    @classmethod
    def missing(cls):
        """Why it cannot take part; nothing if it can."""
        return "" if cls.binary() else f"{cls.program} is not installed"

    @classmethod
    def describe(cls):
        missing = cls.missing()
        return {
            "title": cls.title,
            "version": "" if missing else machine.first_line([cls.binary(), *cls.version_arguments]),
            "durability": cls.durability,
            "settings": cls.settings,
            "missing": missing,
        }

    # Its life.

    def command(self):
        raise NotImplementedError

    def environment(self):
        return {}

    def start(self):
        """Starts it on an empty folder and waits until it listens."""
        self.folder = self.base / self.key
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        self.folder.chmod(0o755)
        self.address, self.tls_address = (f"127.0.0.1:{free_port()}" for _ in range(2))
        with open(self.folder / "log", "wb") as log:
            self.process = subprocess.Popen(
                ["taskset", "-c", self.cores, *self.command()],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                env={**os.environ, **self.environment()},
            )
        self.usage = machine.Processes(self.process.pid)
        started = time.monotonic()
        host, port = self.address.split(":")
        while True:
            try:
                socket.create_connection((host, int(port)), timeout=1).close()
                return
            except OSError:
                if self.process.poll() is not None or time.monotonic() > started + 30:
                    raise Failure(f"{self.title} did not start: {self.last_words()}") from None
                time.sleep(0.002)

    def restart(self):
        self.stop()
        self.start()

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def last_words(self):
        lines = (self.folder / "log").read_text(errors="replace").strip().split("\n")
        return lines[-1][-300:]

    def stop(self, remove=True):
        if self.process is None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None
        if remove:
            shutil.rmtree(self.folder, ignore_errors=True)

    def wait_answer(self):
        """Waits until it answers a request with 200."""
        for _ in range(20000):
            try:
                with urllib.request.urlopen(f"http://{self.address}/v2/", timeout=5) as reply:
                    if reply.status == 200:
                        return
            except OSError:
                time.sleep(0.0005)
        raise Failure(f"{self.title} does not answer")

    def surroundings(self):
        """What is to be so on the machine while it is measured."""
        return contextlib.nullcontext()

    def fill_target(self):
        """What `strata-load fill` is told."""
        return self.address

    def certificate(self):
        folder = self.base / "tls"
        if not folder.exists():
            folder.mkdir()
            subprocess.run([LOAD, "certificate", str(folder)], check=True)
        return folder

    def worker_count(self):
        """How many cores it has."""
        return len(os.sched_getaffinity(0)) if self.cores == all_cores() else 1


def all_cores():
    return ",".join(map(str, sorted(os.sched_getaffinity(0))))


class Strata(Server):
    key, title, program = "strata", "Strata", STRATA
    durability = "201 after data, directory and metadata are synced"
    settings = "defaults; request log off (STRATA_LOG_LEVEL=warn)"

    def command(self):
        tls = self.certificate()
        config = self.folder / "strata.toml"
        config.write_text(
            f'[[http.listener]]\naddress = "{self.address}"\n\n'
            f'[[http.listener]]\naddress = "{self.tls_address}"\n'
            f'certificate = "{tls}/certificate.pem"\nkey = "{tls}/key.pem"\n'
        )
        return [STRATA, "serve", "--config", str(config), "--data", str(self.folder / "data")]

    def environment(self):
        return {"STRATA_LOG_LEVEL": "warn"}


class Distribution2(Server):
    key, title, program = "docker-registry", "docker-registry 2.8", "docker-registry"
    durability = "syncs a blob's data; neither its directory nor its links are synced"
    settings = "filesystem driver, blob descriptors cached in memory, request log off"

    def command(self):
        config = self.folder / "config.yml"
        config.write_text(
            "version: 0.1\n"
            "log: {level: error, accesslog: {disabled: true}}\n"
            f"storage: {{filesystem: {{rootdirectory: {self.folder}/data}}, cache: {{blobdescriptor: inmemory}}, delete: {{enabled: true}}}}\n"
            f"http: {{addr: {self.address}}}\n"
        )
        return [self.binary(), "serve", str(config)]


class Distribution3(Distribution2):
    key, title = "distribution", "distribution 3.1"
    durability = "syncs data, hash states, links and most directories"
    settings = "filesystem driver, blob descriptors cached in memory, request log and tracing off"

    @classmethod
    def binary(cls):
        return os.environ.get("STRATA_PEER_DISTRIBUTION")

    @classmethod
    def missing(cls):
        return "" if cls.binary() else os.environ.get("STRATA_MISSING_DISTRIBUTION", "not built: run it by `make compare`")

    def environment(self):
        return {"OTEL_TRACES_EXPORTER": "none"}


class Zot(Server):
    key, title = "zot", "zot 2.1"
    durability = "syncs nothing (its default, commit: false)"
    settings = "defaults: dedupe on, garbage collection on; minimal build, log level error"

    @classmethod
    def binary(cls):
        return os.environ.get("STRATA_PEER_ZOT")

    @classmethod
    def missing(cls):
        return "" if cls.binary() else os.environ.get("STRATA_MISSING_ZOT", "not built: run it by `make compare`")

    def command(self):
        config = self.folder / "config.json"
        host, port = self.address.split(":")
        config.write_text(
            json.dumps(
                {
                    "distSpecVersion": "1.1.1",
                    "storage": {"rootDirectory": str(self.folder / "data")},
                    "http": {"address": host, "port": port},
                    "log": {"level": "error"},
                }
            )
        )
        return [self.binary(), "serve", str(config)]


class Nginx(Server):
    """Serves the same bytes under the same paths as files: what reading can cost at least."""

    key, title, program = "nginx", "nginx (files)", "nginx"
    version_arguments = ["-v"]
    durability = "only reads"
    settings = "sendfile, tcp_nopush, open_file_cache, access log off; TLS 1.3 with kernel TLS where there is one; a worker for each of its cores"
    pushable = False

    def command(self):
        folder, tls = self.folder, self.certificate()
        (folder / "root/v2").mkdir(parents=True)
        (folder / "root/v2/index.html").write_text("{}")
        temporary = "".join(f" {kind}_temp_path {folder}/temp;" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        config = folder / "nginx.conf"
        config.write_text(
            f"{'user root;' if os.geteuid() == 0 else ''} worker_processes {self.worker_count()}; worker_rlimit_nofile 20000;\n"
            f"daemon off; pid {folder}/pid; error_log {folder}/errors;\n"
            f"events {{ worker_connections 10000; }}\nhttp {{{temporary}\n"
            "access_log off; sendfile on; tcp_nopush on; tcp_nodelay on; keepalive_requests 1000000000; keepalive_timeout 600s;\n"
            "open_file_cache max=10000 inactive=600s; open_file_cache_valid 600s; default_type application/octet-stream;\n"
            f"root {folder}/root; index index.html;\n"
            f"server {{ listen {self.address} backlog=4096; }}\n"
            f"server {{ listen {self.tls_address} ssl http2; ssl_protocols TLSv1.3; ssl_conf_command Options KTLS;\n"
            f"  ssl_certificate {tls}/certificate.pem; ssl_certificate_key {tls}/key.pem; }} }}\n"
        )
        return ["nginx", "-c", str(config), "-p", str(folder), "-e", f"{folder}/errors"]

    def last_words(self):
        errors = self.folder / "errors"
        return errors.read_text(errors="replace").strip()[-300:] if errors.exists() else super().last_words()

    def fill_target(self):
        return str(self.folder / "root")


class NginxUnpaced(Nginx):
    """The same nginx where the system's congestion control does not pace: Strata does not let peers on the same machine be paced, and what of a
    ratio comes from that alone is to be seen."""

    key, title = "nginx-unpaced", "nginx, not paced"
    settings = "as nginx, with net.ipv4.tcp_congestion_control = reno while it is measured"
    UNPACED, SETTING = "reno", pathlib.Path("/proc/sys/net/ipv4/tcp_congestion_control")

    @classmethod
    def missing(cls):
        if not cls.SETTING.read_text().startswith("bbr"):
            return "the system's congestion control does not pace, so it would be nginx once more"
        if not os.access(cls.SETTING, os.W_OK):
            return "the congestion control of the system cannot be set here"
        return super().missing()

    @contextlib.contextmanager
    def surroundings(self):
        before = self.SETTING.read_text()
        self.SETTING.write_text(self.UNPACED)
        try:
            yield
        finally:
            self.SETTING.write_text(before)


ALL = [Strata, Distribution2, Distribution3, Zot, Nginx]
REGISTRIES = [Strata, Distribution2, Distribution3, Zot]
# Where the network is most of the cost.
READERS = [*ALL, NginxUnpaced]
