//! What the vision encoder made of pictures: a picture that is asked about again, in the same detail, is not seen again.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};

use hearsight_core::media::{Picture, Planes};

use super::graphs::Sight;
use super::processor::Layout;

/// Told by its memory, which must not be used for another picture meanwhile: a weak reference sees to that.
pub(super) type Key = Weak<dyn AsRef<[u8]> + Send + Sync>;

struct Encoding {
    picture: Key,
    layout: Layout,
    sights: Arc<[Sight]>,
}

impl Encoding {
    fn bytes(&self) -> usize {
        self.sights.iter().map(Sight::bytes).sum()
    }
}

/// Encodings of one conversation's pictures, the least recently used first, within bytes.
pub(super) struct Encodings {
    kept: VecDeque<Encoding>,
    bytes: usize,
    most: usize,
}

impl Encodings {
    /// Keeps at most `most` bytes.
    pub(super) fn new(most: usize) -> Encodings {
        Encodings {
            kept: VecDeque::new(),
            bytes: 0,
            most,
        }
    }

    pub(super) fn key(picture: &Picture<Planes>) -> Key {
        Arc::downgrade(&picture.pixels.y.bytes)
    }

    pub(super) fn get(&self, picture: &Key, layout: Layout) -> Option<Arc<[Sight]>> {
        let known = |kept: &&Encoding| kept.picture.ptr_eq(picture) && kept.layout == layout;
        self.kept.iter().find(known).map(|kept| kept.sights.clone())
    }

    pub(super) fn put(&mut self, picture: Key, layout: Layout, sights: Arc<[Sight]>) {
        // What nobody remembers is not asked about again.
        self.kept.retain(|kept| kept.picture.strong_count() > 0);
        self.kept.push_back(Encoding {
            picture,
            layout,
            sights,
        });
        self.bytes = self.kept.iter().map(Encoding::bytes).sum();
        while self.bytes > self.most
            && let Some(oldest) = self.kept.pop_front()
        {
            self.bytes -= oldest.bytes();
        }
    }
}

#[cfg(test)]
mod tests {
    use hearsight_core::media::Bytes;

    use super::super::processor::{Detail, Processor};
    use super::super::scaling::Filter;
    use super::*;

    fn sight(value: f32, count: usize) -> Arc<[Sight]> {
        Arc::new([Sight {
            features: vec![value; count],
            places: Vec::new(),
            clarity: Vec::new(),
        }])
    }

    #[test]
    fn what_is_kept_is_bounded_and_told_by_its_picture_and_its_detail() {
        let processor = Processor::new(64, 16, true, Filter::Lanczos);
        let layout = |detail| processor.layout(40, 30, Detail(detail));
        let mut encodings = Encodings::new(1_000);
        let pictures: Vec<Bytes> = (0..4u8).map(|level| Arc::new(vec![level; 8]) as Bytes).collect();
        for (number, picture) in pictures.iter().enumerate() {
            encodings.put(Arc::downgrade(picture), layout(1), sight(number as f32, 100));
            assert!(encodings.bytes <= 1_000);
        }
        let known = |encodings: &Encodings, number: usize, detail| {
            encodings
                .get(&Arc::downgrade(&pictures[number]), layout(detail))
                .map(|sights| sights[0].features[0])
        };
        assert_eq!(
            [0, 1, 2, 3].map(|number| known(&encodings, number, 1)),
            [None, None, Some(2.0), Some(3.0)]
        );
        assert_eq!(known(&encodings, 3, 2), None);
        encodings.put(Arc::downgrade(&pictures[0]), layout(1), sight(0.0, 2_000));
        assert_eq!(encodings.bytes, 0, "what is larger than all there may be is not kept");
    }
}
