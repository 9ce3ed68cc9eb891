//! Video frames that wait for their sound, in order with the events between them, all in running
//! time.
//!
//! Must not know what is done with a frame.

use std::collections::VecDeque;

/// Flags of a segment in which frames or sound are left out.
const TRICKS: gst::SegmentFlags = gst::SegmentFlags::TRICKMODE
    .union(gst::SegmentFlags::TRICKMODE_KEY_UNITS)
    .union(gst::SegmentFlags::TRICKMODE_FORWARD_PREDICTED)
    .union(gst::SegmentFlags::TRICKMODE_NO_AUDIO);

/// A frame and when it is shown.
pub struct Frame {
    pub buffer: gst::Buffer,
    /// Negative before the segment's start.
    pub running_ns: i64,
    /// For controlled properties.
    pub stream_time: Option<gst::ClockTime>,
    /// Played backwards, faster or slower, or with frames left out: no sound belongs to it.
    pub is_trick: bool,
}

impl Frame {
    /// A frame without timestamp is shown at `otherwise_ns`.
    pub fn new(
        buffer: gst::Buffer,
        segment: &gst::FormattedSegment<gst::ClockTime>,
        otherwise_ns: i64,
    ) -> Self {
        Self {
            running_ns: running_ns(&buffer, segment).unwrap_or(otherwise_ns),
            stream_time: segment.to_stream_time(buffer.pts()),
            is_trick: segment.rate() != 1.0 || segment.flags().intersects(TRICKS),
            buffer,
        }
    }

    /// Whether it stands for a GAP event rather than a picture.
    pub fn is_gap(&self) -> bool {
        self.buffer.size() == 0 && self.buffer.flags().contains(gst::BufferFlags::GAP)
    }
}

/// When the buffer is played, in nanoseconds of running time; `None` without timestamp. Outside
/// the segment time goes on in a straight line.
pub fn running_ns(
    buffer: &gst::BufferRef,
    segment: &gst::FormattedSegment<gst::ClockTime>,
) -> Option<i64> {
    position_to_running_ns(buffer.pts()?, segment)
}

/// As [`running_ns`], for any position of the stream.
pub fn position_to_running_ns(
    position: gst::ClockTime,
    segment: &gst::FormattedSegment<gst::ClockTime>,
) -> Option<i64> {
    Some(match segment.to_running_time_full(position)? {
        gst::Signed::Positive(time) => signed_ns(time),
        gst::Signed::Negative(time) => -signed_ns(time),
    })
}

/// Nanoseconds that can be reckoned with.
pub fn signed_ns(time: gst::ClockTime) -> i64 {
    i64::try_from(time.nseconds()).unwrap_or(i64::MAX)
}

enum Item {
    Frame(Frame),
    Event(gst::Event),
}

/// A queue of frames and of the events between them.
#[derive(Default)]
pub struct Waiting {
    items: VecDeque<Item>,
}

impl Waiting {
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    pub fn push_frame(&mut self, frame: Frame) {
        self.items.push_back(Item::Frame(frame));
    }

    /// Keeps an event at its place behind the frames that wait. Gives it back where none do.
    pub fn push_event(&mut self, event: gst::Event) -> Option<gst::Event> {
        if self.is_empty() {
            return Some(event);
        }
        self.items.push_back(Item::Event(event));
        None
    }

    /// The event at the front, if that is one.
    pub fn pop_event(&mut self) -> Option<gst::Event> {
        match self.items.pop_front()? {
            Item::Event(event) => Some(event),
            frame => {
                self.items.push_front(frame);
                None
            }
        }
    }

    /// The frame at the front, if that is one.
    pub fn pop_frame(&mut self) -> Option<Frame> {
        match self.items.pop_front()? {
            Item::Frame(frame) => Some(frame),
            event => {
                self.items.push_front(event);
                None
            }
        }
    }

    /// Running time of the first frame.
    pub fn first_ns(&self) -> Option<i64> {
        self.frames().next()
    }

    /// From the first frame to the last, in nanoseconds.
    pub fn span_ns(&self) -> i64 {
        let first = self.frames().next();
        let last = self.frames().next_back();
        first
            .zip(last)
            .map_or(0, |(first, last)| last.saturating_sub(first))
    }

    /// Drops what a flush drops: frames and segments. Caps and the like hold on.
    pub fn flush(&mut self) {
        self.items.retain(|item| match item {
            Item::Frame(_) => false,
            Item::Event(event) => event.is_sticky() && event.type_() != gst::EventType::Segment,
        });
    }

    /// Frames that wait, without those that stand for GAP events.
    pub fn pictures(&self) -> usize {
        let is_picture = |item: &&Item| matches!(item, Item::Frame(frame) if !frame.is_gap());
        self.items.iter().filter(is_picture).count()
    }

    fn frames(&self) -> impl DoubleEndedIterator<Item = i64> {
        self.items.iter().filter_map(|item| match item {
            Item::Frame(frame) => Some(frame.running_ns),
            Item::Event(_) => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(start_ms: u64, base_ms: u64) -> gst::FormattedSegment<gst::ClockTime> {
        gst::init().unwrap();
        let mut segment = gst::FormattedSegment::new();
        segment.set_start(gst::ClockTime::from_mseconds(start_ms));
        segment.set_base(gst::ClockTime::from_mseconds(base_ms));
        segment
    }

    fn buffer(pts_ms: Option<u64>) -> gst::Buffer {
        gst::init().unwrap();
        let mut buffer = gst::Buffer::new();
        buffer
            .make_mut()
            .set_pts(pts_ms.map(gst::ClockTime::from_mseconds));
        buffer
    }

    #[test]
    fn running_time_counts_from_the_segments_start_and_may_be_negative() {
        let segment = segment(10_000, 500);
        assert_eq!(
            running_ns(&buffer(Some(10_040)), &segment),
            Some(540_000_000)
        );
        assert_eq!(
            running_ns(&buffer(Some(9_400)), &segment),
            Some(-100_000_000)
        );
        assert_eq!(running_ns(&buffer(None), &segment), None);
        assert_eq!(Frame::new(buffer(None), &segment, 7).running_ns, 7);
    }

    #[test]
    fn events_keep_their_place_between_frames() {
        let segment = segment(0, 0);
        let mut waiting = Waiting::default();
        let event = || gst::event::Tag::new(gst::TagList::new());
        assert!(waiting.push_event(event()).is_some(), "nothing waits");
        waiting.push_frame(Frame::new(buffer(Some(0)), &segment, 0));
        assert!(waiting.push_event(event()).is_none());
        waiting.push_frame(Frame::new(buffer(Some(40)), &segment, 0));
        assert_eq!(waiting.first_ns(), Some(0));
        assert_eq!(waiting.span_ns(), 40_000_000);
        assert!(waiting.pop_event().is_none());
        assert_eq!(waiting.pop_frame().map(|frame| frame.running_ns), Some(0));
        assert!(waiting.pop_frame().is_none());
        assert!(waiting.pop_event().is_some());
        assert_eq!(
            waiting.pop_frame().map(|frame| frame.running_ns),
            Some(40_000_000)
        );
        assert!(waiting.is_empty());
    }

    #[test]
    fn a_flush_keeps_caps_but_not_segments_and_frames() {
        let segment = segment(0, 0);
        let mut waiting = Waiting::default();
        waiting.push_frame(Frame::new(buffer(Some(0)), &segment, 0));
        let caps = gst::Caps::new_empty_simple("video/x-raw");
        waiting.push_event(gst::event::Caps::new(&caps));
        waiting.push_event(gst::event::Segment::new(&segment));
        waiting.flush();
        assert_eq!(
            waiting.pop_event().map(|event| event.type_()),
            Some(gst::EventType::Caps)
        );
        assert!(waiting.is_empty());
    }
}
