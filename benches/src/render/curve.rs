//! A chart of latencies: how long the fastest half, nine of ten, 99 of 100 and so on took, one line for each run.

use super::paint::{Canvas, WIDTH};
use super::span;

/// One line.
#[derive(Debug, Clone)]
pub struct Series {
    /// What it is.
    pub label: String,
    /// `own`, `peer`, `other` or `bound`.
    pub class: &'static str,
    /// Shares of the requests (0 to 1) and the microseconds that they did not exceed.
    pub points: Vec<(f64, f64)>,
}

const LEFT: f64 = 80.0;
const RIGHT: f64 = 210.0;
const TOP: f64 = 66.0;
const BOTTOM: f64 = 300.0;
/// The shares that are named below the chart.
const NAMED: [(f64, &str); 6] =
    [(0.0, "0 %"), (0.5, "50 %"), (0.9, "90 %"), (0.99, "99 %"), (0.999, "99.9 %"), (1.0, "all")];

/// Where a share stands: every nine takes as much room as the one before.
fn across(share: f64) -> f64 {
    let nines = if share >= 1.0 { 4.0 } else { (-(1.0 - share).log10()).min(4.0) };
    LEFT + nines / 4.0 * (WIDTH - LEFT - RIGHT)
}

/// Paints them.
pub fn curve(title: &str, note: &str, series: &[Series]) -> String {
    let mut canvas = Canvas::new(title);
    canvas.text(16.0, 48.0, "quiet", "start", note);
    let values = || series.iter().flat_map(|one| &one.points).map(|(_, value)| value.max(1.0).log10());
    let (low, high) = (values().fold(f64::INFINITY, f64::min).floor(), values().fold(0.0, f64::max).ceil());
    let (low, high) = if low.is_finite() { (low, high.max(low + 1.0)) } else { (0.0, 1.0) };
    let down = |value: f64| BOTTOM - (value.max(1.0).log10() - low) / (high - low) * (BOTTOM - TOP);
    let mut decade = low;
    while decade <= high {
        let y = down(10_f64.powf(decade));
        canvas.line((LEFT, y), (WIDTH - RIGHT, y), "grid");
        canvas.text(LEFT - 8.0, y + 4.0, "quiet", "end", &span(10_f64.powf(decade)));
        decade += 1.0;
    }
    for (share, name) in NAMED {
        let x = across(share);
        canvas.line((x, TOP), (x, BOTTOM), "grid");
        canvas.text(x, BOTTOM + 20.0, "quiet", "middle", name);
    }
    // Names stand where their lines end, but not on each other.
    let mut free = f64::NEG_INFINITY;
    let mut ends: Vec<(f64, &Series)> =
        series.iter().filter_map(|one| one.points.last().map(|(_, value)| (down(*value), one))).collect();
    ends.sort_by(|one, other| one.0.total_cmp(&other.0));
    for (y, one) in ends {
        let points: Vec<(f64, f64)> =
            one.points.iter().map(|(share, value)| (across(*share), down(*value))).collect();
        canvas.path(&points, one.class);
        let y = y.max(free + 16.0);
        free = y;
        canvas.rectangle(WIDTH - RIGHT + 8.0, y - 4.0, 10.0, 10.0, one.class);
        canvas.text(WIDTH - RIGHT + 24.0, y + 5.0, "", "start", &one.label);
    }
    canvas.finish(BOTTOM + 40.0)
}
