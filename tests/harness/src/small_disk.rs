//! File systems mounted for one test: small ones, for what happens when they are full, and such as lack something. Needs root.

use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// A mounted file system. Dropping it takes it away again.
#[derive(Debug)]
pub struct SmallDisk {
    mounted_at: TempDir,
    /// What lies below an overlay.
    _layers: Option<TempDir>,
}

impl SmallDisk {
    /// Mounts a tmpfs of `mebibytes`; `None`, with the reason printed, where that is not allowed.
    pub fn mount(mebibytes: u64) -> Option<SmallDisk> {
        SmallDisk::mount_kind("tmpfs", &format!("size={mebibytes}m"), None)
    }

    /// Mounts a ramfs, which takes no direct writes and knows no free space; `None` as above.
    pub fn mount_ramfs() -> Option<SmallDisk> {
        SmallDisk::mount_kind("ramfs", "mode=755", None)
    }

    /// Mounts an overlay of two directories, as containers have; `None` as above.
    pub fn mount_overlay() -> Option<SmallDisk> {
        let layers = TempDir::with_prefix("strata-layers-").expect("a temporary directory can be made");
        let path = |name: &str| {
            let path = layers.path().join(name);
            std::fs::create_dir(&path).expect("a directory can be made");
            path.display().to_string()
        };
        let options = format!("lowerdir={},upperdir={},workdir={}", path("low"), path("up"), path("work"));
        SmallDisk::mount_kind("overlay", &options, Some(layers))
    }

    fn mount_kind(kind: &str, options: &str, layers: Option<TempDir>) -> Option<SmallDisk> {
        let mounted_at = TempDir::with_prefix("strata-disk-").expect("a temporary directory can be made");
        let output =
            Command::new("mount").args(["-t", kind, "-o", options, kind]).arg(mounted_at.path()).output();
        match output {
            Ok(output) if output.status.success() => Some(SmallDisk { mounted_at, _layers: layers }),
            Ok(output) => {
                println!(
                    "skipped: no {kind} can be mounted here: {}",
                    String::from_utf8_lossy(&output.stderr)
                );
                None
            }
            Err(error) => {
                println!("skipped: mount(8) cannot be run here: {error}");
                None
            }
        }
    }

    /// Where it is mounted.
    pub fn path(&self) -> &Path {
        self.mounted_at.path()
    }

    /// Lets one file grow until no more than `left` bytes are free; gives the file.
    #[track_caller]
    pub fn fill(&self, left: u64) -> PathBuf {
        let path = self.path().join("ballast");
        let file = std::fs::File::options().create(true).append(true).open(&path);
        let file = file.expect("the disk takes one more file");
        let length = file.metadata().expect("an open file has a length").len();
        let more = self.free().saturating_sub(left);
        if more > 0 {
            rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), length, more)
                .expect("the ballast fits");
        }
        path
    }

    /// Bytes free.
    #[track_caller]
    pub fn free(&self) -> u64 {
        let figures = rustix::fs::statvfs(self.path()).expect("the disk is mounted");
        figures.f_bavail * figures.f_frsize
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.mounted_at.path()).output();
    }
}
