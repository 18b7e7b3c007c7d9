//! Measures things in turns, so that what disturbs one disturbs the other, and keeps every sample.

use std::time::Instant;

use anyhow::Result;

/// Things that are measured in turns: A B C, A B C, and so on.
#[derive(Default)]
pub(crate) struct Turns<'a> {
    cases: Vec<Case<'a>>,
}

type Case<'a> = Box<dyn FnMut() -> Result<Sample> + 'a>;

/// What came of one turn.
pub(crate) enum Sample {
    Value(f64),
    /// It cannot be had here, and why.
    Absent(String),
}

/// Which of the things: the key to its samples.
#[derive(Clone, Copy)]
pub(crate) struct Id(usize);

/// The samples of all.
pub(crate) struct Measured(Vec<Samples>);

/// The samples of one thing.
#[derive(Clone, Debug, Default)]
pub(crate) struct Samples {
    values: Vec<f64>,
    /// Why there are none.
    pub(crate) absent: Option<String>,
}

impl<'a> Turns<'a> {
    /// Adds something that always can be measured.
    pub(crate) fn add(&mut self, mut case: impl FnMut() -> Result<f64> + 'a) -> Id {
        self.add_if(move || case().map(Sample::Value))
    }

    /// Adds something that may be missing here.
    pub(crate) fn add_if(&mut self, case: impl FnMut() -> Result<Sample> + 'a) -> Id {
        self.cases.push(Box::new(case));
        Id(self.cases.len() - 1)
    }

    /// One turn that is thrown away, then `rounds` that count.
    pub(crate) fn run(self, rounds: usize) -> Result<Measured> {
        self.run_from(rounds, 1)
    }

    /// As [`run`](Self::run) without a turn to warm up: for what is cold each time.
    pub(crate) fn run_cold(self, rounds: usize) -> Result<Measured> {
        self.run_from(rounds, 0)
    }

    fn run_from(mut self, rounds: usize, thrown_away: usize) -> Result<Measured> {
        let mut measured = vec![Samples::default(); self.cases.len()];
        for round in 0..rounds + thrown_away {
            for (case, samples) in self.cases.iter_mut().zip(&mut measured) {
                if samples.absent.is_some() {
                    continue;
                }
                match case()? {
                    Sample::Value(value) if round >= thrown_away => samples.values.push(value),
                    Sample::Value(_) => {}
                    Sample::Absent(why) => samples.absent = Some(why),
                }
            }
        }
        Ok(Measured(measured))
    }
}

impl Measured {
    pub(crate) fn take(&mut self, id: Id) -> Samples {
        self.0.get_mut(id.0).map(std::mem::take).unwrap_or_default()
    }
}

impl Samples {
    /// Sorted on the way.
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Self {
        Self { values: values.into_iter().collect(), absent: None }
    }

    /// There are none, and why.
    pub(crate) fn absent(why: impl Into<String>) -> Self {
        Self { values: Vec::new(), absent: Some(why.into()) }
    }

    pub(crate) fn values(&self) -> &[f64] {
        &self.values
    }

    pub(crate) fn map(&self, change: impl Fn(f64) -> f64) -> Self {
        Self { values: self.values.iter().copied().map(change).collect(), absent: self.absent.clone() }
    }

    pub(crate) fn median(&self) -> Option<f64> {
        let sorted = self.sorted();
        let (low, high) = (sorted.get(sorted.len().checked_sub(1)? / 2)?, sorted.get(sorted.len() / 2)?);
        Some((low + high) / 2.0)
    }

    pub(crate) fn min(&self) -> Option<f64> {
        self.sorted().first().copied()
    }

    pub(crate) fn max(&self) -> Option<f64> {
        self.sorted().last().copied()
    }

    /// The value that this share of the samples does not exceed.
    pub(crate) fn quantile(&self, share: f64) -> Option<f64> {
        let sorted = self.sorted();
        let last = sorted.len().checked_sub(1)?;
        sorted.get((share * last as f64).ceil() as usize).copied()
    }

    fn sorted(&self) -> Vec<f64> {
        let mut sorted = self.values.clone();
        sorted.sort_by(f64::total_cmp);
        sorted
    }
}

/// How long `work` takes, in seconds.
pub(crate) fn seconds(work: impl FnOnce() -> Result<()>) -> Result<f64> {
    let start = Instant::now();
    work()?;
    Ok(start.elapsed().as_secs_f64())
}

/// How long one of `n` takes when they are done one after the other, in microseconds.
pub(crate) fn micros_each(n: usize, mut one: impl FnMut() -> Result<()>) -> Result<f64> {
    let all = seconds(|| (0..n).try_for_each(|_| one()))?;
    Ok(all * 1e6 / n as f64)
}

/// The exponent of the power of x by which y grows: the slope of the line through the logarithms.
pub(crate) fn exponent(points: &[(f64, f64)]) -> Option<f64> {
    let logs: Vec<(f64, f64)> = points.iter().map(|(x, y)| (x.ln(), y.ln())).collect();
    let n = logs.len() as f64;
    let mean = |values: &dyn Fn(&(f64, f64)) -> f64| logs.iter().map(values).sum::<f64>() / n;
    let (mean_x, mean_y) = (mean(&|point| point.0), mean(&|point| point.1));
    let spread: f64 = logs.iter().map(|(x, _)| (x - mean_x).powi(2)).sum();
    let slope = logs.iter().map(|(x, y)| (x - mean_x) * (y - mean_y)).sum::<f64>() / spread;
    slope.is_finite().then_some(slope)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_turns_are_interleaved_and_the_first_is_thrown_away() {
        let order = std::cell::RefCell::new(String::new());
        let mut turns = Turns::default();
        let [a, b] = ["a", "b"].map(|name| {
            turns.add(|| {
                order.borrow_mut().push_str(name);
                Ok(order.borrow().len() as f64)
            })
        });
        let mut measured = turns.run(2).unwrap();
        assert_eq!(*order.borrow(), "ababab");
        assert_eq!(measured.take(a).values(), [3.0, 5.0]);
        assert_eq!(measured.take(b).values(), [4.0, 6.0]);
    }

    #[test]
    fn what_is_absent_is_asked_once_and_says_why() {
        let mut asked = 0;
        let mut turns = Turns::default();
        let id = turns.add_if(|| {
            asked += 1;
            Ok(Sample::Absent("not installed".into()))
        });
        let samples = turns.run(5).unwrap().take(id);
        assert_eq!((samples.absent.as_deref(), samples.median(), asked), (Some("not installed"), None, 1));
    }

    #[test]
    fn the_median_of_an_even_number_lies_between_the_middle_two() {
        assert_eq!(Samples::of([4.0, 1.0, 3.0, 2.0]).median(), Some(2.5));
        assert_eq!(Samples::of([3.0, 1.0, 2.0]).median(), Some(2.0));
    }

    #[test]
    fn a_square_has_the_exponent_two() {
        let points = [1.0, 10.0, 100.0_f64].map(|x| (x, 3.0 * x * x));
        assert!((exponent(&points).unwrap() - 2.0).abs() < 1e-9);
    }
}
