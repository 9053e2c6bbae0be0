//! A chart of bars: a panel for each workload, a bar for each server, each panel in its own scale.

use super::paint::{Canvas, WIDTH};

/// One bar.
#[derive(Debug, Clone)]
pub struct Bar {
    /// Whose it is.
    pub label: String,
    /// `own`, `peer`, `other` or `bound`.
    pub class: &'static str,
    /// Smallest, median, largest; nothing if there is no figure.
    pub values: Option<[f64; 3]>,
    /// What is written beside it: the figure with its unit, or why there is none.
    pub text: String,
}

/// One workload.
#[derive(Debug, Clone)]
pub struct Panel {
    /// Its title.
    pub title: String,
    /// Its bars.
    pub bars: Vec<Bar>,
}

const LEFT: f64 = 170.0;
const LONGEST: f64 = 380.0;
const THICK: f64 = 16.0;
const STEP: f64 = 23.0;

/// Paints them. `note` says what longer means.
#[expect(clippy::cast_sign_loss, reason = "there is room to the right of every bar")]
pub fn bars(title: &str, note: &str, panels: &[Panel]) -> String {
    let mut canvas = Canvas::new(title);
    canvas.text(16.0, 48.0, "quiet", "start", note);
    let mut y = 80.0;
    for panel in panels {
        canvas.text(16.0, y, "head", "start", &panel.title);
        y += 12.0;
        let most =
            panel.bars.iter().filter_map(|bar| bar.values).map(|[_, _, largest]| largest).fold(0.0, f64::max);
        for bar in &panel.bars {
            canvas.text(LEFT - 10.0, y + THICK - 3.0, "", "end", &bar.label);
            let scale =
                |value: f64| if most > 0.0 { (value / most * LONGEST).clamp(0.0, LONGEST) } else { 0.0 };
            let mut end = LEFT;
            if let Some([smallest, median, largest]) = bar.values {
                canvas.rectangle(LEFT, y, scale(median).max(1.0), THICK, bar.class);
                let middle = y + THICK / 2.0;
                if largest > smallest {
                    canvas.line((LEFT + scale(smallest), middle), (LEFT + scale(largest), middle), "range");
                }
                end = LEFT + scale(largest.max(median));
            }
            let class = if bar.values.is_some() { "" } else { "quiet" };
            canvas.text(
                end + 8.0,
                y + THICK - 3.0,
                class,
                "start",
                &shorten(&bar.text, ((WIDTH - end) / 6.6) as usize),
            );
            y += STEP;
        }
        y += 26.0;
    }
    canvas.finish(y - 10.0)
}

/// A reason may be long; the table has all of it.
fn shorten(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        text.to_owned()
    } else {
        text.chars().take(most.saturating_sub(1)).chain(['…']).collect()
    }
}
