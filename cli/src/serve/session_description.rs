//! What `webrtcbin` calls a session description, from and to text.
//!
//! Its type is GStreamer's WebRTC library's, for which there is a crate. Debian 12's development files of that library bring those
//! of OpenCV along, 174 packages, to everyone who builds this program; the type itself is there as soon as `webrtcbin` is.

use anyhow::{Context, Result, anyhow};
use gst::glib::{self, translate::*};
use gst_sdp::SDPMessage;

/// `GstWebRTCSessionDescription`, whose fields are public.
#[repr(C)]
struct Description {
    kind: i32,
    message: *mut gst_sdp::ffi::GstSDPMessage,
}

const NAME: &str = "GstWebRTCSessionDescription";

/// `GstWebRTCSDPType`.
#[derive(Clone, Copy)]
#[repr(i32)]
pub enum Kind {
    Offer = 1,
    Answer = 3,
}

/// A value that `webrtcbin` takes.
///
/// # Errors
/// Where the text is none, or there is no `webrtcbin` yet.
pub fn from_text(kind: Kind, text: &str) -> Result<glib::Value> {
    let message = SDPMessage::parse_buffer(text.as_bytes())
        .map_err(|_| anyhow!("this is no session description"))?;
    let kind_of_value = glib::Type::from_name(NAME).context("there is no webrtcbin")?;
    let mut value = glib::Value::from_type(kind_of_value);
    let message: Stash<*const gst_sdp::ffi::GstSDPMessage, _> = message.to_glib_none();
    let description = Description {
        kind: kind as i32,
        message: message.0.cast_mut(),
    };
    // SAFETY: the value is of the boxed type whose C structure `Description` mirrors, and the type's own copy function takes a
    // deep copy, so that `description` and `message` may go.
    unsafe {
        glib::gobject_ffi::g_value_set_boxed(
            value.to_glib_none_mut().0,
            (&raw const description).cast(),
        );
    }
    Ok(value)
}

/// # Errors
/// Where the value holds none.
pub fn to_text(value: &glib::Value) -> Result<String> {
    if value.type_().name() != NAME {
        return Err(anyhow!("{} is no session description", value.type_()));
    }
    // SAFETY: the type has been checked; the pointer is null or valid as long as the value, which is borrowed.
    let text = unsafe {
        let boxed = glib::gobject_ffi::g_value_get_boxed(value.to_glib_none().0);
        let description = boxed.cast::<Description>().as_ref();
        description
            .filter(|description| !description.message.is_null())
            .map(|description| {
                let text = gst_sdp::ffi::gst_sdp_message_as_text(description.message);
                from_glib_full::<_, glib::GString>(text)
            })
    };
    Ok(text.context("there is no description yet")?.into())
}
