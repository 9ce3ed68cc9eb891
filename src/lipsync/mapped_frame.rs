//! A GStreamer video buffer as a [`View`] that the pixels room can change in place.
//!
//! Must not compute pixels.

use gst::prelude::*;
use gst_video::prelude::*;
use gst_video::{
    VideoBufferFlags, VideoChromaSite, VideoColorMatrix, VideoColorRange, VideoFieldOrder,
    VideoFormat, VideoFrameExt, VideoInfo, VideoInterlaceMode, VideoTransferFunction,
};

use lipsync_core::{
    face::Face,
    pixels::{
        Colour, Format, Plane, Rows, View,
        frame::{
            Transfer,
            colour::{Matrix, Range, Siting},
        },
    },
    rect::Rect,
};

/// All formats that the element takes, in the order of its pad templates.
pub const FORMATS: &[(VideoFormat, Format)] = &[
    (VideoFormat::I420, Format::I420),
    (VideoFormat::Yv12, Format::Yv12),
    (VideoFormat::Nv12, Format::Nv12),
    (VideoFormat::Nv21, Format::Nv21),
    (VideoFormat::Y42b, Format::Y42b),
    (VideoFormat::Y444, Format::Y444),
    (VideoFormat::Rgb, Format::Rgb),
    (VideoFormat::Bgr, Format::Bgr),
    (VideoFormat::Rgba, Format::Rgba),
    (VideoFormat::Bgra, Format::Bgra),
    (VideoFormat::Argb, Format::Argb),
    (VideoFormat::Abgr, Format::Abgr),
    (VideoFormat::Rgbx, Format::Rgbx),
    (VideoFormat::Bgrx, Format::Bgrx),
    (VideoFormat::Xrgb, Format::Xrgb),
    (VideoFormat::Xbgr, Format::Xbgr),
    (VideoFormat::Gray8, Format::Gray8),
    (VideoFormat::Uyvy, Format::Uyvy),
    (VideoFormat::Yuy2, Format::Yuy2),
    (VideoFormat::Yvyu, Format::Yvyu),
    (VideoFormat::Vyuy, Format::Vyuy),
    (VideoFormat::Nv16, Format::Nv16),
    (VideoFormat::Nv61, Format::Nv61),
    (VideoFormat::Nv24, Format::Nv24),
    (VideoFormat::Y41b, Format::Y41b),
    (VideoFormat::A420, Format::A420),
    (VideoFormat::Av12, Format::Av12),
    (VideoFormat::V210, Format::V210),
    (VideoFormat::P01010le, Format::P01010le),
    (VideoFormat::P012Le, Format::P012Le),
    (VideoFormat::P016Le, Format::P016Le),
    (VideoFormat::I42010le, Format::I42010le),
    (VideoFormat::I42210le, Format::I42210le),
    (VideoFormat::Y44410le, Format::Y44410le),
    (VideoFormat::I42012le, Format::I42012le),
    (VideoFormat::I42212le, Format::I42212le),
    (VideoFormat::Y44412le, Format::Y44412le),
    (VideoFormat::Y210, Format::Y210),
    (VideoFormat::Y212Le, Format::Y212Le),
    (VideoFormat::Rgb10a2Le, Format::Rgb10a2Le),
    (VideoFormat::Bgr10a2Le, Format::Bgr10a2Le),
    (VideoFormat::Argb64Le, Format::Argb64Le),
    (VideoFormat::Rgba64Le, Format::Rgba64Le),
    (VideoFormat::Bgra64Le, Format::Bgra64Le),
    (VideoFormat::Abgr64Le, Format::Abgr64Le),
    (VideoFormat::Gray16Le, Format::Gray16Le),
    // In the byte order of the machine.
    #[cfg(target_endian = "little")]
    (VideoFormat::Argb64, Format::Argb64Le),
];

/// Higher pictures are taken for BT.709 where the caps do not name a matrix, as GStreamer itself
/// does when it completes YUV caps.
const SD_HEIGHT: u32 = 576;

/// Type of the region-of-interest metas that name faces.
const FACE_ROI: &str = "face";
/// Type and parameters of the metas that this element attaches.
const MARKED_ROI: &str = "lipsync-face";

/// Which rows of the frame are the pictures that the buffer holds, in the order in which they are
/// shown: all of them at once, or those of each field.
pub fn pictures(buffer: &gst::BufferRef, info: &VideoInfo) -> &'static [Rows] {
    let flags = buffer.video_flags();
    let is_top = flags.contains(VideoBufferFlags::TFF);
    match info.interlace_mode() {
        VideoInterlaceMode::Alternate if is_top => &[Rows::Top],
        VideoInterlaceMode::Alternate => &[Rows::Bottom],
        VideoInterlaceMode::Mixed if !flags.contains(VideoBufferFlags::INTERLACED) => &[Rows::All],
        VideoInterlaceMode::Interleaved | VideoInterlaceMode::Mixed => {
            match is_top || info.field_order() == VideoFieldOrder::TopFieldFirst {
                true => &[Rows::Top, Rows::Bottom],
                false => &[Rows::Bottom, Rows::Top],
            }
        }
        _ => &[Rows::All],
    }
}

/// Maps the buffer and lets `work` change one of its [`pictures`]. `None` when it does not hold a
/// frame of `info`.
pub fn with_view<R>(
    buffer: &mut gst::BufferRef,
    info: &VideoInfo,
    rows: Rows,
    work: impl FnOnce(&mut View) -> R,
) -> Option<R> {
    let format = format(info.format())?;
    let view = |planes| View {
        format,
        width: info.width() as usize,
        height: info.height() as usize,
        colour: colour(info),
        rows: Rows::All,
        planes,
    };
    if info.is_interlaced() {
        let (offsets, strides) = places(buffer, info)?;
        let is_as_caps_say = buffer.meta::<gst_video::VideoMeta>().is_none();
        let mut map = buffer.map_writable().ok()?;
        if is_as_caps_say && map.size() < info.size() {
            return None;
        }
        let mut view = view(planes(&mut map, offsets, strides)?);
        if info.interlace_mode() == VideoInterlaceMode::Alternate {
            // The other field is in another buffer.
            view.rows = rows;
        }
        return Some(work(&mut view.field(rows)));
    }
    let mut frame = gst_video::VideoFrameRef::from_buffer_ref_writable(buffer, info).ok()?;
    let mut strides = [0; 3];
    for (stride, &of_plane) in strides.iter_mut().zip(frame.plane_stride()) {
        *stride = usize::try_from(of_plane).ok()?;
    }
    let [first, second, third, _] = frame.planes_data_mut();
    let mut planes = [first, second, third].map(|data| Plane { data, stride: 0 });
    for (plane, stride) in planes.iter_mut().zip(strides) {
        plane.stride = stride;
    }
    Some(work(&mut view(planes)))
}

/// Where the planes begin, and how far their rows are apart.
fn places(buffer: &gst::BufferRef, info: &VideoInfo) -> Option<([usize; 3], [usize; 3])> {
    let meta = buffer.meta::<gst_video::VideoMeta>();
    let (offset, stride) = match &meta {
        Some(meta) => (meta.offset(), meta.stride()),
        None => (info.offset(), info.stride()),
    };
    let count = (info.n_planes() as usize).min(3);
    let (mut offsets, mut strides) = ([usize::MAX; 3], [0; 3]);
    offsets[..count].copy_from_slice(offset.get(..count)?);
    for (to, from) in strides.iter_mut().zip(stride.get(..count)?) {
        *to = usize::try_from(*from).ok()?;
    }
    Some((offsets, strides))
}

/// Cuts a buffer into planes, each up to the next: `VideoFrameRef` gives those of fields the length
/// that they have in whole frames. `None` where one begins beyond the end.
fn planes(
    mut bytes: &mut [u8],
    offsets: [usize; 3],
    strides: [usize; 3],
) -> Option<[Plane<'_>; 3]> {
    let mut planes = [(); 3].map(|()| Plane {
        data: &mut [],
        stride: 0,
    });
    let mut last_first = [0, 1, 2];
    last_first.sort_unstable_by_key(|&index| std::cmp::Reverse(offsets[index]));
    for index in last_first
        .into_iter()
        .filter(|&index| offsets[index] != usize::MAX)
    {
        let (before, data) = bytes.split_at_mut_checked(offsets[index])?;
        planes[index] = Plane {
            data,
            stride: strides[index],
        };
        bytes = before;
    }
    Some(planes)
}

/// The caps for fields that come in buffers of their own.
pub fn as_single_fields(caps: &gst::Caps) -> gst::Caps {
    let mut fields = caps.clone();
    let writable = fields.make_mut();
    writable.set_features_simple(Some(gst_video::CAPS_FEATURES_FORMAT_INTERLACED.clone()));
    writable.set("interlace-mode", "alternate");
    fields
}

/// How long a frame lasts; `None` at a variable rate.
pub fn duration(info: &VideoInfo) -> Option<gst::ClockTime> {
    let fps = info.fps();
    let numer = u64::try_from(fps.numer()).ok().filter(|&numer| numer > 0)?;
    gst::ClockTime::SECOND.mul_div_round(u64::try_from(fps.denom()).ok()?, numer)
}

/// Faces that upstream marked with region-of-interest metas, in pixels, where an
/// integer is the centre of a pixel. Added to `regions`.
pub fn face_regions(buffer: &gst::BufferRef, regions: &mut Vec<Rect>) {
    for meta in buffer.iter_meta::<gst_video::VideoRegionOfInterestMeta>() {
        if meta.roi_type() != FACE_ROI {
            continue;
        }
        let (x, y, width, height) = meta.rect();
        let (x0, y0) = (x as f32 - 0.5, y as f32 - 0.5);
        regions.push(Rect::new([x0, y0, x0 + width as f32, y0 + height as f32]));
    }
}

/// Marks faces that are drawn, or those that are not, for downstream, with the same sense of position.
pub fn mark_faces(buffer: &mut gst::BufferRef, faces: &[Face], are_drawn: bool) {
    for face in faces {
        // `as` ends at 0 what reaches out of the frame.
        let [x0, y0, x1, y1] = (face.mesh.bbox().edges()).map(|edge| (edge + 0.5).round() as u32);
        let rect = (x0, y0, x1.saturating_sub(x0), y1.saturating_sub(y0));
        let mut meta = gst_video::VideoRegionOfInterestMeta::add(buffer, MARKED_ROI, rect);
        meta.add_param(
            gst::Structure::builder(MARKED_ROI)
                .field("id", face.id)
                .field("confidence", f64::from(face.mesh.score))
                .field("openness", f64::from(face.mesh.openness()))
                .field("drawn", are_drawn)
                .build(),
        );
    }
}

fn format(format: VideoFormat) -> Option<Format> {
    let mut all = FORMATS.iter();
    all.find(|(name, _)| *name == format)
        .map(|(_, format)| *format)
}

/// What the caps say of colour; where they leave something open, what the format and size suggest.
fn colour(info: &VideoInfo) -> Colour {
    let colorimetry = info.colorimetry();
    let by_size = if info.height() > SD_HEIGHT {
        Matrix::Bt709
    } else {
        Matrix::Bt601
    };
    Colour {
        matrix: match colorimetry.matrix() {
            VideoColorMatrix::Bt601 => Matrix::Bt601,
            VideoColorMatrix::Bt709 => Matrix::Bt709,
            VideoColorMatrix::Bt2020 => Matrix::Bt2020,
            _ => by_size,
        },
        range: match colorimetry.range() {
            VideoColorRange::Range0_255 => Range::Full,
            VideoColorRange::Range16_235 => Range::Limited,
            _ if info.is_yuv() => Range::Limited,
            _ => Range::Full,
        },
        transfer: match colorimetry.transfer() {
            VideoTransferFunction::Smpte2084 => Transfer::Pq,
            VideoTransferFunction::AribStdB67 => Transfer::Hlg,
            _ => Transfer::Sdr,
        },
        siting: Siting {
            on_first: [VideoChromaSite::H_COSITED, VideoChromaSite::V_COSITED]
                .map(|flag| info.chroma_site().contains(flag)),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(format: VideoFormat, width: u32, height: u32) -> VideoInfo {
        gst::init().unwrap();
        VideoInfo::builder(format, width, height).build().unwrap()
    }

    #[test]
    fn every_format_maps_with_its_planes_and_odd_sizes() {
        for &(video_format, _) in FORMATS {
            let info = info(video_format, 7, 5);
            let mut buffer = gst::Buffer::with_size(info.size()).unwrap();
            with_view(buffer.make_mut(), &info, Rows::All, |view| {
                assert_eq!((view.width, view.height), (7, 5));
                let planes = (info.n_planes() as usize).min(3);
                for (index, plane) in view.planes.iter().enumerate() {
                    if index < planes {
                        assert_eq!(plane.stride, info.stride()[index] as usize);
                        assert!(!plane.data.is_empty(), "{video_format:?} plane {index}");
                    } else {
                        assert!(plane.data.is_empty(), "{video_format:?} plane {index}");
                    }
                }
                view.planes[0].data[0] = 77;
            })
            .unwrap_or_else(|| panic!("{video_format:?} does not map"));
            assert_eq!(buffer.map_readable().unwrap()[0], 77, "{video_format:?}");
        }
    }

    fn interlaced(mode: VideoInterlaceMode, height: u32) -> VideoInfo {
        gst::init().unwrap();
        let info = VideoInfo::builder(VideoFormat::I420, 720, height);
        info.interlace_mode(mode).build().unwrap()
    }

    /// 486 lines of 4:2:0 have 122 rows of chroma a field, and frames of them 244.
    #[test]
    fn fields_have_all_their_rows() {
        for (mode, height, rows) in [
            (VideoInterlaceMode::Interleaved, 486, [243, 122]),
            (VideoInterlaceMode::Mixed, 486, [243, 122]),
            (VideoInterlaceMode::Alternate, 486, [243, 122]),
            (VideoInterlaceMode::Alternate, 1080, [540, 270]),
        ] {
            let info = interlaced(mode, height);
            let mut buffer = gst::Buffer::with_size(info.size()).unwrap();
            for field in [Rows::Top, Rows::Bottom] {
                with_view(buffer.make_mut(), &info, field, |view| {
                    assert_eq!((view.height, view.rows), (height as usize, field));
                    for (plane, rows) in view.planes.iter().zip([rows[0], rows[1], rows[1]]) {
                        let last = (rows - 1) * plane.stride;
                        assert!(plane.data.len() > last, "{mode:?} {field:?}");
                        assert!(plane.data.len() <= last + 2 * plane.stride);
                    }
                })
                .unwrap();
            }
            let mut short = gst::Buffer::with_size(info.size() - 1).unwrap();
            let view = with_view(short.make_mut(), &info, Rows::Top, |_| ());
            assert!(view.is_none(), "{mode:?}");
        }
    }

    /// A meta may say that rows are no longer than their pixels.
    #[test]
    fn fields_lie_where_a_meta_says() {
        let info = interlaced(VideoInterlaceMode::Interleaved, 8);
        let (offsets, strides) = ([8, 8 + 8 * 720, 8 + 10 * 720], [720, 360, 360]);
        let mut buffer = gst::Buffer::with_size(8 + 12 * 720).unwrap();
        let writable = buffer.make_mut();
        let none = gst_video::VideoFrameFlags::empty();
        let format = VideoFormat::I420;
        gst_video::VideoMeta::add_full(writable, none, format, 720, 8, &offsets, &strides).unwrap();
        with_view(writable, &info, Rows::Bottom, |view| {
            let lengths = view.planes.each_ref().map(|plane| plane.data.len());
            assert_eq!(lengths, [7 * 720, 3 * 360, 3 * 360]);
            assert_eq!(view.planes[2].stride, 2 * 360);
            view.planes[2].data[0] = 77;
        })
        .unwrap();
        assert_eq!(buffer.map_readable().unwrap()[8 + 10 * 720 + 360], 77);
    }

    #[test]
    fn flags_say_which_field_is_first() {
        use VideoInterlaceMode::{Alternate, Interleaved, Mixed, Progressive};
        const INTERLACED: VideoBufferFlags = VideoBufferFlags::INTERLACED;
        const TFF: VideoBufferFlags = VideoBufferFlags::TFF;
        let none = VideoBufferFlags::empty();
        let cases: [(_, _, &[Rows]); 10] = [
            (Progressive, none, &[Rows::All]),
            (Progressive, INTERLACED | TFF, &[Rows::All]),
            (Interleaved, none, &[Rows::Bottom, Rows::Top]),
            (Interleaved, TFF, &[Rows::Top, Rows::Bottom]),
            (Mixed, TFF, &[Rows::All]),
            (Mixed, INTERLACED, &[Rows::Bottom, Rows::Top]),
            (Mixed, INTERLACED | TFF, &[Rows::Top, Rows::Bottom]),
            (Alternate, VideoBufferFlags::TOP_FIELD, &[Rows::Top]),
            (Alternate, VideoBufferFlags::BOTTOM_FIELD, &[Rows::Bottom]),
            (Alternate, none, &[Rows::Bottom]),
        ];
        for (mode, flags, expected) in cases {
            let info = interlaced(mode, 480);
            let mut buffer = gst::Buffer::new();
            buffer.make_mut().set_video_flags(flags);
            assert_eq!(pictures(&buffer, &info), expected, "{mode:?} {flags:?}");
        }
        let info = VideoInfo::builder(VideoFormat::I420, 720, 480)
            .interlace_mode(Interleaved)
            .field_order(VideoFieldOrder::TopFieldFirst)
            .build()
            .unwrap();
        assert_eq!(pictures(&gst::Buffer::new(), &info)[0], Rows::Top);
    }

    #[test]
    fn a_buffer_too_small_for_its_caps_does_not_map() {
        let info = info(VideoFormat::I420, 64, 48);
        for size in [0, 1, info.size() - 1] {
            let mut buffer = gst::Buffer::with_size(size).unwrap();
            assert!(with_view(buffer.make_mut(), &info, Rows::All, |_| ()).is_none());
        }
    }

    #[test]
    fn colour_follows_the_caps_and_guesses_by_size() {
        let with = |colorimetry: &str, format, height| {
            gst::init().unwrap();
            let caps = gst_video::VideoCapsBuilder::new()
                .format(format)
                .width(1280)
                .height(height)
                .framerate(gst::Fraction::new(25, 1))
                .field("colorimetry", colorimetry)
                .build();
            colour(&VideoInfo::from_caps(&caps).unwrap())
        };
        let yuv = VideoFormat::I420;
        assert_eq!(
            with("bt709", yuv, 100),
            Colour {
                matrix: Matrix::Bt709,
                range: Range::Limited,
                ..Colour::default()
            }
        );
        assert_eq!(
            with("1:4:0:0", yuv, 100),
            Colour {
                matrix: Matrix::Bt601,
                range: Range::Full,
                ..Colour::default()
            }
        );
        assert_eq!(with("2:0:0:0", yuv, 576).matrix, Matrix::Bt601);
        assert_eq!(with("2:0:0:0", yuv, 577).matrix, Matrix::Bt709);
        assert_eq!(with("sRGB", VideoFormat::Rgb, 100).range, Range::Full);
        for (colorimetry, transfer) in [
            ("bt2100-pq", Transfer::Pq),
            ("bt2100-hlg", Transfer::Hlg),
            ("bt2020-10", Transfer::Sdr),
        ] {
            let colour = with(colorimetry, VideoFormat::P01010le, 2160);
            assert_eq!((colour.matrix, colour.transfer), (Matrix::Bt2020, transfer));
        }
    }

    #[test]
    fn chroma_lies_where_the_caps_say() {
        gst::init().unwrap();
        for (site, on_first) in [
            ("jpeg", [false, false]),
            ("mpeg2", [true, false]),
            ("cosited", [true, true]),
        ] {
            let info = VideoInfo::builder(VideoFormat::I420, 64, 48);
            let info = info.chroma_site(VideoChromaSite::from_string(site)).build();
            assert_eq!(colour(&info.unwrap()).siting, Siting { on_first });
        }
    }

    #[test]
    fn only_regions_of_faces_count() {
        gst::init().unwrap();
        let mut buffer = gst::Buffer::new();
        let writable = buffer.make_mut();
        gst_video::VideoRegionOfInterestMeta::add(writable, "face", (10, 20, 30, 40));
        gst_video::VideoRegionOfInterestMeta::add(writable, "car", (0, 0, 5, 5));
        let mut regions = Vec::new();
        face_regions(&buffer, &mut regions);
        assert_eq!(regions, [Rect::new([9.5, 19.5, 39.5, 59.5])]);
    }
}
