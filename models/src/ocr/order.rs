//! The order in which people read: column by column where a gutter parts them, else line by line.

use super::shape::Slant;

/// The places in reading order, as indices: cut at the widest gap that runs through all of them, across or down, again and
/// again (recursive XY cut: Nagy and Seth 1984).
pub(super) fn reading_order(places: &[Slant]) -> Vec<usize> {
    let bounds: Vec<[f32; 4]> = places.iter().map(Slant::bounds).collect();
    let mut order = Vec::with_capacity(places.len());
    cut((0..places.len()).collect(), &bounds, &mut order);
    order
}

fn cut(mut here: Vec<usize>, bounds: &[[f32; 4]], order: &mut Vec<usize>) {
    let columns = widest_gap(&mut here.clone(), bounds, 0);
    let rows = widest_gap(&mut here.clone(), bounds, 1);
    let height = here
        .iter()
        .map(|one| bounds[*one][3] - bounds[*one][1])
        .fold(0.0, f32::max);
    // Words of one line stand apart by less than the line is high; a gutter is wider than that.
    let gutter = columns.filter(|(width, _)| *width > height && rows.is_none_or(|(other, _)| *width > other));
    let (axis, place) = match (gutter, rows) {
        (Some((_, place)), _) => (0, place),
        (None, Some((_, place))) => (1, place),
        (None, None) => {
            here.sort_by(|a, b| bounds[*a][0].total_cmp(&bounds[*b][0]));
            return order.extend(here);
        }
    };
    let (before, after): (Vec<_>, Vec<_>) = here.into_iter().partition(|one| bounds[*one][axis] < place);
    cut(before, bounds, order);
    cut(after, bounds, order);
}

/// The widest gap along an axis that no place reaches into, and where what follows it begins.
fn widest_gap(here: &mut [usize], bounds: &[[f32; 4]], axis: usize) -> Option<(f32, f32)> {
    here.sort_by(|a, b| bounds[*a][axis].total_cmp(&bounds[*b][axis]));
    let mut reach = bounds[*here.first()?][axis + 2];
    let mut widest: Option<(f32, f32)> = None;
    for one in &here[1..] {
        let begin = bounds[*one][axis];
        if begin > reach && widest.is_none_or(|(width, _)| begin - reach > width) {
            widest = Some((begin - reach, begin));
        }
        reach = reach.max(bounds[*one][axis + 2]);
    }
    widest
}

#[cfg(test)]
mod tests {
    use hearsight_core::media::Point;

    use super::*;

    fn place(x: f32, y: f32, width: f32) -> Slant {
        Slant {
            centre: Point {
                x: x + width / 2.0,
                y: y + 10.0,
            },
            along: Point { x: 1.0, y: 0.0 },
            width,
            height: 20.0,
        }
    }

    #[test]
    fn columns_are_read_one_after_the_other_and_words_of_a_line_from_left_to_right() {
        let columns = [
            place(300.0, 40.0, 200.0),
            place(10.0, 70.0, 180.0),
            place(10.0, 40.0, 200.0),
            place(300.0, 70.0, 150.0),
        ];
        assert_eq!(reading_order(&columns), [2, 1, 0, 3]);
        let words = [
            place(120.0, 42.0, 80.0),
            place(10.0, 40.0, 100.0),
            place(10.0, 90.0, 220.0),
        ];
        assert_eq!(reading_order(&words), [1, 0, 2]);
        let title = [place(10.0, 0.0, 490.0), columns[0], columns[1], columns[2], columns[3]];
        assert_eq!(reading_order(&title), [0, 3, 2, 1, 4]);
    }

    #[test]
    fn every_place_comes_once_wherever_they_lie() {
        for seed in 0..100 {
            let mut random = fastrand::Rng::with_seed(seed);
            let places: Vec<_> = (0..random.usize(0..40))
                .map(|_| place(random.f32() * 600.0, random.f32() * 400.0, 1.0 + random.f32() * 300.0))
                .collect();
            let mut order = reading_order(&places);
            order.sort_unstable();
            assert_eq!(order, (0..places.len()).collect::<Vec<_>>(), "seed {seed}");
        }
    }
}
