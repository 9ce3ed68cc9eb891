//! What frames have told of a person and drawn mouths do not know yet. Frames are looked at before they are
//! drawn, how long before is a matter of threads; each is drawn from what it and those before it
//! told, so that the same stream gives the same frames.

use std::{collections::VecDeque, sync::Arc};

use super::{album::Person, glimpse::Glimpse};

/// More than frames that are looked at before one is drawn can tell.
const MOST: usize = 8;
/// Numbers begin anew here: whole, and exact as `f32`.
const NUMBERS: u32 = 1 << 20;

#[expect(
    clippy::large_enum_variant,
    reason = "there are a few, and a box would be allocated for each"
)]
pub enum Item {
    Glimpse(Glimpse),
    /// Who it is, that was seen another time.
    Known(Arc<Person>),
    /// From here on it is somebody else.
    Another,
}

#[derive(Default)]
pub struct News {
    items: VecDeque<Item>,
    /// Number of the last item that was taken out.
    taken: u32,
}

impl News {
    /// Adds one; returns one that has waited for too long.
    pub fn push(&mut self, item: Item) -> Option<Item> {
        let late = if self.items.len() >= MOST {
            self.take()
        } else {
            None
        };
        self.items.push_back(item);
        late
    }

    /// The number of the newest item.
    pub fn newest(&self) -> f32 {
        ((self.taken + self.items.len() as u32) % NUMBERS) as f32
    }

    /// The next item up to number `newest`.
    pub fn next_up_to(&mut self, newest: f32) -> Option<Item> {
        // What is no number is 0.
        let ahead = (newest as u32 + NUMBERS - self.taken) % NUMBERS;
        let is_there = (1..=self.items.len() as u32).contains(&ahead);
        if is_there { self.take() } else { None }
    }

    fn take(&mut self) -> Option<Item> {
        let item = self.items.pop_front()?;
        self.taken = (self.taken + 1) % NUMBERS;
        Some(item)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(news: &mut News, newest: f32) -> usize {
        std::iter::from_fn(|| news.next_up_to(newest)).count()
    }

    #[test]
    fn a_frame_hears_what_it_and_those_before_it_told() {
        let mut news = News {
            taken: NUMBERS - 2,
            ..News::default()
        };
        let nothing = news.newest();
        assert!(news.push(Item::Another).is_none());
        let one = news.newest();
        news.push(Item::Another);
        news.push(Item::Another);
        let three = news.newest();
        assert_eq!(counts(&mut news, nothing), 0);
        assert_eq!(counts(&mut news, one), 1);
        assert_eq!(counts(&mut news, one), 0);
        assert_eq!(counts(&mut news, three), 2);
        assert_eq!(counts(&mut news, f32::NAN), 0);
    }

    #[test]
    fn what_nobody_draws_from_does_not_pile_up() {
        let mut news = News::default();
        let late = (0..20).filter(|_| news.push(Item::Another).is_some());
        assert_eq!(late.count(), 20 - MOST);
    }
}
