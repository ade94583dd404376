//! Where the program can be interrupted, and how often it was: the least tried point comes next.

use std::collections::BTreeMap;
use std::time::Duration;

use fastrand::Rng;

use super::ending::{Ending, Fault, When};
use super::part::Part;
use crate::harness::test_vm::Effect;

/// Stands for a moment that no effect names.
const ANY_MOMENT: &str = "(any moment)";
/// Such a moment is drawn so many times as often as each effect: it is another one each time, and may come too late.
const MOMENTS: u64 = 3;

/// A place in a part of a volume's life.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct CrashPoint {
    /// The part.
    pub(super) part: Part,
    /// The effect after which it is.
    pub(super) effect: String,
}

/// What volumes have in common that have the same effects in a part: it, and whether they are block volumes.
pub(super) type Course = (Part, bool);

/// What was seen of uninterrupted runs.
#[derive(Debug, Default)]
struct Seen {
    /// How often each effect happened, at most, in the order of the first time.
    effects: Vec<(String, u64)>,
    time: Duration,
}

/// All crash points that are known, from what the program itself printed.
#[derive(Debug, Default)]
pub(super) struct CrashPoints {
    seen: BTreeMap<Course, Seen>,
    tried: BTreeMap<(CrashPoint, Fault), u64>,
}

impl CrashPoint {
    /// Any moment of a part.
    pub(super) fn any_moment(part: Part) -> Self {
        let effect = ANY_MOMENT.to_owned();
        Self { part, effect }
    }
}

impl CrashPoints {
    /// Takes note of the effects of a part that was not interrupted.
    pub(super) fn learn(&mut self, course: Course, effects: &[Effect], time: Duration) {
        let seen = self.seen.entry(course).or_default();
        seen.time = seen.time.max(time);
        let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
        for effect in effects {
            let count = counts.entry(&effect.name).or_default();
            *count += 1;
            match seen.effects.iter_mut().find(|(name, _)| *name == effect.name) {
                Some((_, most)) => *most = (*most).max(*count),
                None => seen.effects.push((effect.name.clone(), 1)),
            }
        }
    }

    /// Takes note that an interruption took place. Whether one at any moment does is a matter of time, on which nothing else may
    /// depend: it counts when it is drawn.
    pub(super) fn happened(&mut self, ending: &Ending) {
        if ending.is_named() {
            self.count(ending);
        }
    }

    /// The least tried end of a part; none if nothing is known of it. Of several effects of one name, at most the first
    /// `most`.
    pub(super) fn draw(&mut self, course: Course, fault: Fault, most: u64, rng: &mut Rng) -> Option<Ending> {
        let drawn = self.least_tried(course, fault, most, rng);
        if let Some(ending) = drawn.as_ref().filter(|ending| !ending.is_named()) {
            self.count(ending);
        }
        drawn
    }

    /// The lowest comes next.
    fn turn(&self, ending: &Ending) -> u64 {
        let tried = self.tried.get(&(ending.point.clone(), ending.fault));
        let tried = tried.copied().unwrap_or_default();
        if ending.is_named() { tried } else { tried / MOMENTS }
    }

    fn count(&mut self, ending: &Ending) {
        *self.tried.entry((ending.point.clone(), ending.fault)).or_default() += 1;
    }

    fn least_tried(&self, course: Course, fault: Fault, most: u64, rng: &mut Rng) -> Option<Ending> {
        let seen = self.seen.get(&course).filter(|seen| !seen.effects.is_empty())?;
        let part = course.0;
        let named = seen
            .effects
            .iter()
            .map(|(name, count)| (name.as_str(), When::After(rng.u64(1..=most.clamp(1, *count)))));
        let mut all: Vec<_> = named.collect();
        all.push((ANY_MOMENT, When::Within(seen.time.mul_f64(rng.f64()))));
        rng.shuffle(&mut all);
        let endings = all.into_iter().map(|(effect, when)| Ending {
            fault,
            point: CrashPoint {
                part,
                effect: effect.to_owned(),
            },
            when,
        });
        endings.min_by_key(|ending| self.turn(ending))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAKE: Course = (Part::Make, false);

    fn learned() -> CrashPoints {
        let names = ["create", "zero", "zero", "zero", "flush"];
        let effects = names.iter().zip(1..).map(|(name, number)| Effect {
            number,
            name: (*name).to_owned(),
        });
        let mut points = CrashPoints::default();
        points.learn(MAKE, &effects.collect::<Vec<_>>(), Duration::from_secs(2));
        points
    }

    #[test]
    fn nothing_is_tried_before_it_is_known() {
        let mut rng = Rng::with_seed(1);
        let points = learned();
        assert!(
            points
                .least_tried((Part::Erase, false), Fault::Kill, 9, &mut rng)
                .is_none()
        );
    }

    #[test]
    fn every_point_is_tried_before_any_is_tried_again() {
        let mut points = learned();
        let mut rng = Rng::with_seed(2);
        for round in 1..=3 {
            for _ in 0..3 + MOMENTS {
                let ending = points.draw(MAKE, Fault::Kill, 9, &mut rng).unwrap();
                points.happened(&ending);
            }
            let turns: Vec<u64> = points.tried.values().copied().collect();
            assert_eq!(turns, [round * MOMENTS, round, round, round]);
        }
        let cut = points.draw(MAKE, Fault::PowerCut, 9, &mut rng).unwrap();
        assert!(!points.tried.contains_key(&(cut.point, Fault::PowerCut)));
    }

    #[test]
    fn of_many_effects_of_one_name_any_can_be_the_last() {
        let mut points = learned();
        let mut rng = Rng::with_seed(3);
        let mut numbers = std::collections::BTreeSet::new();
        for _ in 0..200 {
            let ending = points.draw(MAKE, Fault::Kill, 2, &mut rng).unwrap();
            if ending.point.effect == "zero"
                && let When::After(number) = ending.when
            {
                numbers.insert(number);
            }
        }
        assert_eq!(numbers.into_iter().collect::<Vec<_>>(), [1, 2]);
    }
}
