//! What tells viewers and archives that the picture was altered: a comment among the tags of the stream,
//! which muxers write into the file.
//!
//! Must not know pads or frames.

use gst::{TagList, TagListRef, TagMergeMode, TagScope, event, tags::Comment};

/// In the comment, as of all tags that say something in words only this one is written by the muxers of
/// Matroska, MP4, QuickTime and AVI alike. Without spaces: `matroskamux` writes those with backslashes before.
pub const ALTERED: &str = "mouths-altered-by-lipsync";

/// The tags of one stream, marked from the first altered frame on.
#[derive(Debug, Default)]
pub struct Mark {
    stream_id: Option<String>,
    /// As they last came from upstream.
    tags: Option<TagList>,
    is_set: bool,
    /// A frame has gone out.
    has_begun: bool,
    /// Something is to be said before the next frame.
    is_due: bool,
}

impl Mark {
    /// A stream begins; what was said of another does not hold for it.
    pub fn begin(&mut self, stream_id: &str) {
        if self.stream_id.as_deref() != Some(stream_id) {
            *self = Self {
                stream_id: Some(stream_id.to_owned()),
                ..Self::default()
            };
        }
    }

    /// The frame that goes out next is altered.
    pub fn set(&mut self) {
        if !std::mem::replace(&mut self.is_set, true) {
            self.is_due = true;
        }
    }

    /// What goes on now in place of upstream's event. A later list of tags replaces an earlier one, and the
    /// mark must not go with it. Of two comments some muxers keep the one that came first: what comes before
    /// the first frame waits for it, as that may be altered.
    pub fn keep_in(&mut self, event: gst::Event) -> Option<gst::Event> {
        let gst::EventView::Tag(tag) = event.view() else {
            return Some(event);
        };
        // Those of the whole file do not replace those of the stream.
        if tag.tag().scope() != TagScope::Stream {
            return Some(event);
        }
        match &mut self.tags {
            Some(tags) if !self.has_begun => {
                tags.make_mut().insert(tag.tag(), TagMergeMode::Replace);
            }
            tags => *tags = Some(tag.tag_owned()),
        }
        if !self.has_begun {
            self.is_due = true;
            return None;
        }
        if !self.is_set {
            return Some(event);
        }
        let tag = event::Tag::builder(with_mark(self.tags.as_deref()));
        Some(tag.seqnum(event.seqnum()).build())
    }

    /// What is to be said right before the frame that goes out now.
    pub fn before_frame(&mut self) -> Option<gst::Event> {
        self.has_begun = true;
        if !std::mem::take(&mut self.is_due) {
            return None;
        }
        let tags = match self.is_set {
            true => with_mark(self.tags.as_deref()),
            false => self.tags.clone()?,
        };
        Some(event::Tag::new(tags))
    }
}

/// The same tags, and the mark once. Muxers write only the first comment, so it goes into that.
fn with_mark(tags: Option<&TagListRef>) -> TagList {
    let mut marked = tags.map_or_else(TagList::new, ToOwned::to_owned);
    let comments = |list: &TagListRef| -> Vec<String> {
        let comments = list.iter_tag::<Comment>();
        comments.map(|comment| comment.get().to_owned()).collect()
    };
    let mut comments = comments(&marked);
    match comments.first_mut() {
        Some(first) if first.contains(ALTERED) => return marked,
        Some(first) => *first = format!("{first}; {ALTERED}"),
        None => comments.push(ALTERED.to_owned()),
    }
    let list = marked.make_mut();
    list.remove::<Comment>();
    for comment in &comments {
        list.add::<Comment>(&comment.as_str(), TagMergeMode::Append);
    }
    marked
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(comments: &[&str]) -> TagList {
        gst::init().unwrap();
        let mut tags = TagList::new();
        let list = tags.make_mut();
        list.add::<gst::tags::Title>(&"Evening news", TagMergeMode::Append);
        for comment in comments {
            list.add::<Comment>(comment, TagMergeMode::Append);
        }
        tags
    }

    #[test]
    fn what_was_said_before_stays_and_the_mark_is_said_once() {
        for (before, after) in [
            (vec![], vec!["mouths-altered-by-lipsync"]),
            (
                vec!["take 2", "second"],
                vec!["take 2; mouths-altered-by-lipsync", "second"],
            ),
            (
                vec!["take 2; mouths-altered-by-lipsync"],
                vec!["take 2; mouths-altered-by-lipsync"],
            ),
        ] {
            let marked = with_mark(Some(&tags(&before)));
            assert_eq!(*marked, *tags(&after));
            assert_eq!(*with_mark(Some(&marked)), *marked);
        }
    }

    fn said(event: Option<gst::Event>) -> Option<String> {
        match event?.view() {
            gst::EventView::Tag(tag) => tag
                .tag()
                .get::<Comment>()
                .map(|comment| comment.get().to_owned()),
            _ => None,
        }
    }

    #[test]
    fn the_mark_comes_with_the_tags_that_went_before_and_stays_in_those_that_follow() {
        let mut mark = Mark::default();
        mark.begin("a");
        assert!(mark.before_frame().is_none());
        let event = event::Tag::new(tags(&["one"]));
        assert_eq!(
            mark.keep_in(event.clone()).unwrap().as_ptr(),
            event.as_ptr()
        );
        mark.set();
        assert_eq!(
            said(mark.before_frame()).unwrap(),
            "one; mouths-altered-by-lipsync"
        );
        mark.set();
        assert!(mark.before_frame().is_none());
        let later = mark.keep_in(event::Tag::new(tags(&["two"])));
        assert_eq!(said(later).unwrap(), "two; mouths-altered-by-lipsync");

        let mut of_file = tags(&["of the file"]);
        of_file.make_mut().set_scope(TagScope::Global);
        let untouched = mark.keep_in(event::Tag::new(of_file));
        assert_eq!(said(untouched).unwrap(), "of the file");

        mark.begin("a");
        assert!(said(mark.keep_in(event::Tag::new(tags(&["two"])))).is_some());
        mark.begin("b");
        assert!(mark.keep_in(event::Tag::new(tags(&["three"]))).is_none());
        assert_eq!(said(mark.before_frame()).unwrap(), "three");
    }

    #[test]
    fn tags_before_the_first_frame_go_out_with_it_as_one() {
        let mut mark = Mark::default();
        mark.begin("a");
        assert!(mark.keep_in(event::Tag::new(tags(&["one"]))).is_none());
        let mut other = TagList::new();
        other
            .make_mut()
            .add::<gst::tags::Artist>(&"Her", TagMergeMode::Append);
        assert!(mark.keep_in(event::Tag::new(other)).is_none());
        mark.set();
        let event = mark.before_frame().unwrap();
        let gst::EventView::Tag(tag) = event.view() else {
            panic!("{event:?}")
        };
        assert_eq!(tag.tag().get::<gst::tags::Artist>().unwrap().get(), "Her");
        assert_eq!(
            said(Some(event.clone())).unwrap(),
            "one; mouths-altered-by-lipsync"
        );
    }
}
