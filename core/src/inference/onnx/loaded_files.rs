//! Which files this process has loaded.
//!
//! Must not know what is in them.

use std::{
    env,
    ffi::{CStr, OsStr, c_void},
    fs,
    ops::Range,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};

/// What the process has in its memory, and where it is from.
const MAPPINGS: &str = "/proc/self/maps";
/// Said there of a file that has been replaced since.
const DELETED: &[u8] = b" (deleted)";

/// The file that holds this code: the plugin, or the program it is linked into.
pub(super) fn own_file() -> Option<PathBuf> {
    file_of(own_file as *const c_void).or_else(|| env::current_exe().ok())
}

/// The shared object or program that `address` was loaded from; an absolute path.
pub(super) fn file_of(address: *const c_void) -> Option<PathBuf> {
    let known = known_to_loader(address)?;
    if known.is_absolute() {
        return Some(known);
    }
    // The loader keeps the words that it was asked for a library with, or a program was started
    // with: relative to what was the working directory then.
    let address = address.addr();
    let mapped = mapped(&fs::read(MAPPINGS).ok()?).find(|(range, _)| range.contains(&address));
    mapped.map(|(_, file)| file)
}

/// Whether a file whose name begins like this is loaded.
pub(super) fn has(prefix: &str) -> bool {
    let begins_so = |file: &Path| {
        let name = file.file_name().map(OsStr::as_bytes);
        name.is_some_and(|name| name.starts_with(prefix.as_bytes()))
    };
    fs::read(MAPPINGS).is_ok_and(|maps| mapped(&maps).any(|(_, file)| begins_so(&file)))
}

/// The files in a text like that of [`MAPPINGS`], and where each lies in memory.
fn mapped(maps: &[u8]) -> impl Iterator<Item = (Range<usize>, PathBuf)> {
    maps.split(|byte| *byte == b'\n').filter_map(|line| {
        // 7f00-7f10 r-xp 00000000 fe:00 1234    /usr/lib/libx.so
        let (numbers, path) = line.split_at(line.iter().position(|byte| *byte == b'/')?);
        let path = path.strip_suffix(DELETED).unwrap_or(path);
        let range = str::from_utf8(numbers).ok()?.split(' ').next()?;
        let (start, end) = range.split_once('-')?;
        let place = |digits| usize::from_str_radix(digits, 16).ok();
        Some((place(start)?..place(end)?, OsStr::from_bytes(path).into()))
    })
}

fn known_to_loader(address: *const c_void) -> Option<PathBuf> {
    let mut info = libc::Dl_info {
        dli_fname: std::ptr::null(),
        dli_fbase: std::ptr::null_mut(),
        dli_sname: std::ptr::null(),
        dli_saddr: std::ptr::null_mut(),
    };
    // SAFETY: dladdr only compares `address` with the loaded objects and fills `info`.
    let found = unsafe { libc::dladdr(address, &mut info) } != 0;
    if !found || info.dli_fname.is_null() {
        return None;
    }
    // SAFETY: a name that dladdr gives is NUL-terminated and lives as long as its object is
    // loaded; the objects asked about here, our own and ONNX Runtime, are never unloaded.
    let name = unsafe { CStr::from_ptr(info.dli_fname) };
    Some(PathBuf::from(OsStr::from_bytes(name.to_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_file_is_this_program() {
        let file = own_file().expect("a program has a file");
        assert!(file.is_file(), "{file:?}");
        assert_eq!(file, env::current_exe().unwrap());
        assert!(has("libc.so") && !has("libonnx-"));
    }

    #[test]
    fn mappings_are_read() {
        let maps = b"7f0000-7f1000 r-xp 00000000 fe:00 1234    /home/a user/libx.so\n\
            7f1000-7f2000 rw-p 00000000 00:00 0 \n\
            7f2000-7f3000 r-xp 00000000 fe:00 99 /usr/lib/liby.so.1 (deleted)\n\
            7ffd00-7ffd10 rw-p 00000000 00:00 0                          [stack]\n";
        let found: Vec<_> = mapped(maps).collect();
        assert_eq!(
            found,
            [
                (0x7f0000..0x7f1000, "/home/a user/libx.so".into()),
                (0x7f2000..0x7f3000, "/usr/lib/liby.so.1".into()),
            ]
        );
    }
}
