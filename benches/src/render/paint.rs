//! What all charts share: the frame, the colours for light and dark surroundings, and text that cannot break the file.

use std::fmt::Write as _;

/// The width of every chart.
pub(super) const WIDTH: f64 = 780.0;

/// Colours by role. The reader's surroundings choose: charts are shown as images, and those know whether it is dark.
const STYLE: &str = "
  text { font: 13px system-ui, -apple-system, 'Segoe UI', sans-serif; fill: #1f2328 }
  .title { font-size: 16px; font-weight: 600 }
  .head { font-weight: 600 }
  .quiet { fill: #59636e; font-size: 12px }
  .ground { fill: #ffffff }
  .own { fill: #0550ae; stroke: #0550ae }
  .peer { fill: #8c959f; stroke: #8c959f }
  .bound { fill: #2da44e; stroke: #2da44e }
  .other { fill: #bc4c00; stroke: #bc4c00 }
  .grid { stroke: #d1d9e0; stroke-width: 1 }
  .range { stroke: #1f2328; stroke-width: 1.5; opacity: 0.6 }
  .line { fill: none; stroke-width: 2.5 }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 }
    .quiet { fill: #9198a1 }
    .ground { fill: #0d1117 }
    .own { fill: #58a6ff; stroke: #58a6ff }
    .peer { fill: #6e7681; stroke: #6e7681 }
    .bound { fill: #3fb950; stroke: #3fb950 }
    .other { fill: #f0883e; stroke: #f0883e }
    .grid { stroke: #30363d }
    .range { stroke: #e6edf3 }
    .line { fill: none }
  }
";

/// A chart being painted.
pub(super) struct Canvas {
    body: String,
}

impl Canvas {
    /// An empty one with a title.
    pub(super) fn new(title: &str) -> Canvas {
        let mut canvas = Canvas { body: String::new() };
        canvas.text(16.0, 28.0, "title", "start", title);
        canvas
    }

    /// Text at a point; `anchor` is start, middle or end.
    pub(super) fn text(&mut self, x: f64, y: f64, class: &str, anchor: &str, text: &str) {
        let text = escape(text);
        let _ = writeln!(
            self.body,
            r#"<text x="{x:.1}" y="{y:.1}" class="{class}" text-anchor="{anchor}">{text}</text>"#
        );
    }

    /// A filled rectangle.
    pub(super) fn rectangle(&mut self, x: f64, y: f64, width: f64, height: f64, class: &str) {
        let _ = writeln!(
            self.body,
            r#"<rect x="{x:.1}" y="{y:.1}" width="{width:.1}" height="{height:.1}" rx="2" class="{class}" stroke="none"/>"#
        );
    }

    /// A straight line.
    pub(super) fn line(&mut self, from: (f64, f64), to: (f64, f64), class: &str) {
        let ((x1, y1), (x2, y2)) = (from, to);
        let _ = writeln!(
            self.body,
            r#"<line x1="{x1:.1}" y1="{y1:.1}" x2="{x2:.1}" y2="{y2:.1}" class="{class}"/>"#
        );
    }

    /// A line through points.
    pub(super) fn path(&mut self, points: &[(f64, f64)], class: &str) {
        let list: Vec<String> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        let _ = writeln!(self.body, r#"<polyline points="{}" class="{class} line"/>"#, list.join(" "));
    }

    /// The file, so high.
    pub(super) fn finish(self, height: f64) -> String {
        let body = self.body;
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height:.0}\" width=\"{WIDTH}\" height=\"{height:.0}\" role=\"img\">\n\
             <style>{STYLE}</style>\n<rect width=\"100%\" height=\"100%\" class=\"ground\"/>\n{body}</svg>\n"
        )
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
