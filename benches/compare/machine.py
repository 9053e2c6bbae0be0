"""What the kernel says: about the machine, and about the processes of a server."""
import os
import pathlib
import platform
import re
import resource
import subprocess

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


def raise_file_limit():
    """Thousands of connections are thousands of files; children inherit the limit."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def first_line(command):
    """What a program says of its version; it may say so on either stream, and may not be there."""
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    # Some name the path they were started by.
    return re.sub(r"^/\S+ ", "", done.stdout.strip().split("\n")[0])


def facts(folder):
    """The machine in a few lines."""
    cpu = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text())
    memory = re.search(r"MemTotal:\s+(\d+)", pathlib.Path("/proc/meminfo").read_text())
    congestion = pathlib.Path("/proc/sys/net/ipv4/tcp_congestion_control")
    return {
        "cpu": cpu[1] if cpu else platform.machine(),
        "cores": os.cpu_count(),
        "memory_bytes": int(memory[1]) << 10 if memory else None,
        "kernel": platform.release(),
        "file_system": first_line(["findmnt", "-no", "FSTYPE,SOURCE", "-T", str(folder)]),
        "tcp_congestion_control": congestion.read_text().strip() if congestion.exists() else None,
    }


class Processes:
    """A server's process and all its children."""

    def __init__(self, pid):
        self.pid = pid

    def _each(self):
        found, todo = [], [self.pid]
        while todo:
            pid = todo.pop()
            process = pathlib.Path(f"/proc/{pid}")
            try:
                todo += map(int, (process / f"task/{pid}/children").read_text().split())
            except OSError:
                continue
            found.append(process)
        return found

    def cpu_seconds(self):
        """User and system time, threads that ended included."""
        fields = [(process / "stat").read_text().rsplit(")", 1)[1].split() for process in self._each()]
        return sum(int(one[11]) + int(one[12]) for one in fields) / TICKS_PER_SECOND

    def forget_peak(self):
        for process in self._each():
            (process / "clear_refs").write_text("5")

    def peak_bytes(self):
        """The most memory that was resident at a time since forget_peak."""
        return sum(int(re.search(r"VmHWM:\s+(\d+)", (process / "status").read_text())[1]) << 10 for process in self._each())

    def resident_bytes(self):
        return sum(int(re.search(r"Rss:\s+(\d+)", (process / "smaps_rollup").read_text())[1]) << 10 for process in self._each())


def forget_files(folder):
    """Takes the content of a folder's files out of the page cache, so that reading them is reading the disk."""
    for path in pathlib.Path(folder).rglob("*"):
        if path.is_file() and path.stat().st_size >= 1 << 20:
            file = os.open(path, os.O_RDONLY)
            try:
                os.fsync(file)
                os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
            finally:
                os.close(file)
