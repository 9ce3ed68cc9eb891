//! What one reading of a clip has shown of its people's mouths, for the next: who somebody is, and
//! their glimpses. One album for all faces.
//!
//! Must not know frames.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use super::{album_bytes, bank, glimpse::Glimpse, portrait::Portrait};
use crate::generator::MouthMemory;

/// A face that differs less than this from a portrait is who that shows: the same frame differs by
/// less than 1, frames a moment apart by 1 to 4, another person in the same light by 11 and more.
const SAME: f32 = 4.0;
/// One portrait tells as much as another that differs less.
const ALIKE: f32 = 2.0;
/// Portraits of one person at most.
pub const PORTRAITS: usize = 96;

/// Somebody who was seen.
#[derive(Default)]
pub struct Person {
    /// Without any it may be anybody.
    pub portraits: Vec<Portrait>,
    pub glimpses: Vec<Glimpse>,
}

impl Person {
    /// Takes in how the face looks, if it has not looked so before.
    pub fn add(&mut self, portrait: Portrait) {
        if self.portraits.len() < PORTRAITS && self.distance(&portrait) > ALIKE {
            self.portraits.push(portrait);
        }
    }

    fn distance(&self, portrait: &Portrait) -> f32 {
        let all = self.portraits.iter();
        all.map(|own| own.distance(portrait))
            .fold(f32::MAX, f32::min)
    }
}

#[derive(Default)]
pub struct Album {
    is_learning: AtomicBool,
    people: Mutex<Vec<Arc<Person>>>,
}

impl Album {
    fn people(&self) -> MutexGuard<'_, Vec<Arc<Person>>> {
        self.people.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn is_learning(&self) -> bool {
        self.is_learning.load(Ordering::Relaxed)
    }

    /// Keeps what was seen of somebody, if mouths can be drawn from it.
    pub fn keep(&self, person: Person) {
        if person.glimpses.len() >= bank::LEAST {
            self.people().push(Arc::new(person));
        }
    }

    /// Who looks like this.
    pub fn find(&self, portrait: &Portrait) -> Option<Arc<Person>> {
        let people = self.people();
        let anybody = people.iter().find(|person| person.portraits.is_empty());
        let nearest = people
            .iter()
            .map(|person| (person.distance(portrait), person))
            .filter(|(distance, _)| *distance < SAME)
            .min_by(|a, b| a.0.total_cmp(&b.0));
        nearest.map(|(_, person)| person).or(anybody).cloned()
    }
}

impl MouthMemory for Album {
    fn begin(&self, known: Option<&[u8]>) -> Result<(), String> {
        let people = known.map_or(Ok(Vec::new()), album_bytes::read)?;
        self.is_learning.store(false, Ordering::Relaxed);
        *self.people() = people.into_iter().map(Arc::new).collect();
        Ok(())
    }

    fn learn(&self) {
        self.is_learning.store(true, Ordering::Relaxed);
    }

    fn to_bytes(&self) -> Vec<u8> {
        album_bytes::write(&self.people())
    }
}

#[cfg(test)]
mod tests {
    use super::{super::portrait::LENGTH, *};

    fn person(portraits: &[u8]) -> Person {
        let mut person = Person {
            glimpses: vec![Glimpse::default(), Glimpse::default()],
            ..Person::default()
        };
        for &shade in portraits {
            person.add(Portrait([shade; LENGTH]));
        }
        person
    }

    fn found(album: &Album, shade: u8) -> Option<Vec<u8>> {
        let person = album.find(&Portrait([shade; LENGTH]))?;
        Some(person.portraits.iter().map(|own| own.0[0]).collect())
    }

    #[test]
    fn a_face_is_who_it_looks_most_like() {
        let album = Album::default();
        album.keep(person(&[10, 11, 20]));
        album.keep(person(&[25]));
        assert_eq!(found(&album, 12), Some(vec![10, 20]));
        assert_eq!(found(&album, 22), Some(vec![10, 20]));
        assert_eq!(found(&album, 23), Some(vec![25]));
        assert_eq!(found(&album, 40), None);
        album.keep(person(&[]));
        assert_eq!(found(&album, 40), Some(vec![]));
        assert_eq!(found(&album, 23), Some(vec![25]));
    }

    #[test]
    fn one_glimpse_is_not_worth_keeping() {
        let album = Album::default();
        let mut person = person(&[10]);
        person.glimpses.pop();
        album.keep(person);
        assert_eq!(found(&album, 10), None);
    }
}
