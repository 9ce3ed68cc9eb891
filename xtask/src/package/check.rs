//! The packages on bare Debians: installed as a user does, run as a user without rights, removed again.

use std::path::{Path, PathBuf};

use anyhow::Result;

use super::{PLUGIN, RUNTIME, TOOL};
use crate::{elsewhere, process, setup};

/// Debian 12 and 13, where the packages run.
pub const RELEASES: [&str; 2] = ["bookworm", "trixie"];

/// Copies the bare Debian `$1` to `$2`, keeps what apt downloads in `$3`, and installs the packages behind the names of
/// this script with the `Containerfile`'s own step `$4`; the painting `$5` is to say `$6`.
const SCRIPT: &str = r#"
set -eu
bare=$1 root=$2 archives=$3 install=$4 painting=$5 speech=$6
shift 6
rm -rf "$root"
cp -a "$bare" "$root"
mkdir -p "$root/packages" "$archives"
cp "$install" "$@" "$root/packages"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount --bind "$archives" "$root/var/cache/apt/archives"
sed -n 's/^PRETTY_NAME=/package: /p' "$root/etc/os-release"
inside() {
    chroot "$root" "$@"
}
user() {
    inside su --shell /bin/sh lipsync --command "cd && $1"
}
inside sh "/packages/${install##*/}" /packages >"$root/packages/log" 2>&1 || {
    tail -n 30 "$root/packages/log" >&2
    exit 1
}
[ -z "$(inside dpkg --verify PLUGIN RUNTIME)" ]
inside bash -c '. /usr/share/bash-completion/completions/TOOL && complete -p TOOL' >/dev/null
inside sh -c 'zcat /usr/share/man/man1/TOOL.1.gz' | grep -q '^\.SH "EXIT STATUS"'
inside sh -c 'zcat /usr/share/man/man1/TOOL-serve.1.gz' | grep -q '^\.SH OPTIONS'
cp "$painting" "$root/home/lipsync/painting.jpg"
cp "$speech" "$root/home/lipsync/speech.wav"
user 'TOOL painting.jpg --audio speech.wav -o out.mp4 --report out.json --quiet'
grep -qE '"synced": [1-9]' "$root/home/lipsync/out.json"
echo "package: $root/home/lipsync/out.mp4"

# On air, with a recording: what the page asks for is there, and the file is whole at the end.
cat >"$root/packages/on-air" <<'END'
set -eu
TOOL serve --input test --output programme.mkv --listen 127.0.0.1:18923 &
serve=$!
answer() {
    exec 3<>/dev/tcp/127.0.0.1/18923 && printf 'GET %s HTTP/1.0\r\nHost: 127.0.0.1:18923\r\n\r\n' "$1" >&3 && cat <&3
}
for try in $(seq 60); do
    sleep 1
    if (answer /health) 2>/dev/null | grep -q ' 200 '; then break; fi
    [ "$try" != 60 ] || { echo "package: /health does not answer 200" >&2; exit 1; }
done
(answer /) | grep -qi '<!doctype html>'
(answer /metrics) | grep -q '^# TYPE lipsync'
sleep 3
kill -INT $serve
wait $serve
TOOL programme.mkv -o again.mp4 --quiet
END
user 'bash /packages/on-air'
echo "package: on air, with a recording"

# Without what is recommended it says what it lacks.
inside apt-get -q remove -y gstreamer1.0-plugins-bad gstreamer1.0-plugins-ugly gstreamer1.0-libav >"$root/packages/log"
status=0
user 'TOOL painting.jpg --audio speech.wav -o less.mp4 --quiet' || status=$?
[ "$status" = 6 ]

inside apt-get -q purge -y PLUGIN RUNTIME >"$root/packages/log"
left=$(find "$root/usr" "$root/etc" "$root/var/lib" -name '*lipsync*')
[ -z "$left" ] || { echo "package: purging left $left" >&2; exit 1; }
echo "package: installed, run and removed without a trace"
"#;

/// # Errors
/// Where a package does not install, run or leave; what failed is on standard error.
pub fn run(packages: &[PathBuf]) -> Result<()> {
    let script = SCRIPT
        .replace("RUNTIME", RUNTIME)
        .replace("PLUGIN", PLUGIN)
        .replace("TOOL", TOOL);
    for release in RELEASES {
        let bare = elsewhere::make_bare(release)?;
        let beside = |name: &str| bare.with_file_name(format!("{release}-{name}"));
        let mut check = elsewhere::in_namespace(&script);
        check
            .args([&bare, &beside("packaged"), &beside("archives")])
            .arg(setup::root().join("packaging/container/install.sh"))
            .arg(setup::media(setup::DEFAULT_PICTURE))
            .arg(setup::media(setup::DEFAULT_SPEECH))
            .args(packages.iter().map(Path::new));
        process::run(&mut check)?;
    }
    Ok(())
}
