//! Small plots of the last hour and day: bars in SVG, drawn by the server.

use maud::{Markup, html};

use crate::core::activity::{Bucket, Happening};
use crate::core::time::UnixMs;

const WIDTH: u32 = 480;
const HEIGHT: u32 = 64;

/// A row of bars: successes, and failures above them.
pub(super) struct Plot<'p> {
    /// What is plotted, for those who cannot see it.
    pub(super) title: &'p str,
    /// The buckets, oldest first; those in which nothing happened may be missing.
    pub(super) buckets: &'p [Bucket],
    /// How long each is, in milliseconds.
    pub(super) step_ms: u64,
    /// How many to draw.
    pub(super) steps: u32,
    /// The successes.
    pub(super) good: &'p [Happening],
    /// The failures.
    pub(super) bad: &'p [Happening],
}

impl Plot<'_> {
    /// The plot, up to now.
    pub(super) fn draw(&self, now: UnixMs) -> Markup {
        let step = i64::try_from(self.step_ms).unwrap_or(i64::MAX);
        let newest = now.0 - now.0.rem_euclid(step);
        let bars: Vec<(u64, u64)> = (0..self.steps)
            .map(|n| {
                let from = UnixMs(newest - step * i64::from(self.steps - 1 - n));
                let bucket = self.buckets.iter().find(|bucket| bucket.from == from);
                bucket.map_or((0, 0), |bucket| (bucket.count(self.good), bucket.count(self.bad)))
            })
            .collect();
        let most = bars.iter().map(|(good, bad)| good + bad).max().unwrap_or(0);
        let sum: u64 = bars.iter().map(|(good, bad)| good + bad).sum();
        html! {
            figure .plot {
                figcaption { (self.title) span .quiet { " " (sum) " in all, at most " (most) " in one bar" } }
                svg viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } role="img" aria-label={ (self.title) ": " (sum) " in all" } preserveAspectRatio="none" {
                    line class="axis" x1="0" x2=(WIDTH) y1={ (HEIGHT) } y2={ (HEIGHT) } {}
                    @for (place, (good, bad)) in (0_u32..).zip(&bars) { (self.bar(place, *good, *bad, most)) }
                }
            }
        }
    }

    fn bar(&self, place: u32, good: u64, bad: u64, most: u64) -> Markup {
        let slot = WIDTH / self.steps.max(1);
        let (good_h, bad_h) = (height(good, most), height(bad, most));
        let (x, width) = (place * slot, slot.saturating_sub(1).max(1));
        html! {
            @if good_h > 0 { rect class="good" x=(x) y=(HEIGHT - good_h) width=(width) height=(good_h) {} }
            @if bad_h > 0 { rect class="bad" x=(x) y=(HEIGHT.saturating_sub(good_h + bad_h)) width=(width) height=(bad_h) {} }
        }
    }
}

/// At least 1 if there is anything at all.
fn height(n: u64, most: u64) -> u32 {
    if n == 0 || most == 0 {
        return 0;
    }
    let scaled = n.saturating_mul(u64::from(HEIGHT - 2)) / most;
    u32::try_from(scaled).unwrap_or(HEIGHT).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::activity::Counts;

    #[test]
    fn a_bar_is_as_high_as_its_share_and_never_invisible() {
        assert_eq!((height(0, 10), height(10, 10), height(1, 1_000_000)), (0, HEIGHT - 2, 1));
    }

    #[test]
    fn a_plot_gives_its_total_to_screen_readers() {
        let bucket =
            Bucket { from: UnixMs(60_000), counts: Counts::from([(Happening::Served, 7), (Happening::Failed, 1)]) };
        let plot = Plot {
            title: "Calls",
            buckets: &[bucket],
            step_ms: 60_000,
            steps: 60,
            good: &[Happening::Served],
            bad: &[Happening::Failed],
        };
        let drawn = plot.draw(UnixMs(90_000)).into_string();
        assert!(drawn.contains("Calls: 8 in all") && drawn.matches("<rect").count() == 2, "{drawn}");
    }
}
