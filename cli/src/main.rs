//! `gst-lipsync-1.0`: a video or picture and speech in, a video with matching mouths out.

use std::process::ExitCode;

fn main() -> ExitCode {
    gst_lipsync::main()
}
