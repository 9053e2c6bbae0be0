//! Lists for people: columns that stand under one another, and things with their parts line by line. What came from elsewhere cannot move
//! the cursor of the terminal.

use std::fmt::Write as _;

/// Two blanks between columns.
const GAP: usize = 2;

/// A table of texts, its first row the heads of its columns.
#[derive(Debug)]
pub(super) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these columns and no row yet.
    pub(super) fn new(heads: &[&str]) -> Table {
        Table { rows: vec![heads.iter().map(|head| (*head).to_owned()).collect()] }
    }

    /// One more row.
    pub(super) fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(cells.into_iter().map(|cell| plain(&cell)).collect());
    }

    /// The table, or `nothing` where it has no row.
    pub(super) fn text(&self, nothing: &str) -> String {
        if self.rows.len() == 1 { format!("{nothing}\n") } else { aligned(&self.rows) }
    }
}

/// `name:  value` for each part that there is.
pub(super) fn parts(parts: &[(&str, Option<String>)]) -> String {
    let rows: Vec<Vec<String>> = parts
        .iter()
        .filter_map(|(name, value)| Some(vec![format!("{name}:"), plain(value.as_deref()?)]))
        .collect();
    aligned(&rows)
}

fn aligned(rows: &[Vec<String>]) -> String {
    let mut widths: Vec<usize> = Vec::new();
    for row in rows {
        widths.resize(widths.len().max(row.len()), 0);
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (width, cell) in widths.iter().zip(row) {
            // Writing to a string cannot fail.
            let _ = write!(line, "{cell:<width$}", width = width + GAP);
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// The text without what a terminal would take for an order.
pub(super) fn plain(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for char in text.chars() {
        if char.is_control() { shown.extend(char.escape_default()) } else { shown.push(char) }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_under_one_another() {
        let mut table = Table::new(&["NAME", "SIZE", "NOTE"]);
        assert_eq!(table.text("there is none"), "there is none\n");
        table.row(["a".into(), "1 B".into(), String::new()]);
        table.row(["größer".into(), "10 MiB".into(), "x\u{1b}[2Jy\n".into()]);
        assert_eq!(
            table.text("there is none"),
            "NAME    SIZE    NOTE\na       1 B\ngrößer  10 MiB  x\\u{1b}[2Jy\\n\n"
        );
    }

    #[test]
    fn parts_that_are_not_there_are_left_out() {
        let text = parts(&[("name", Some("a".into())), ("mail", None), ("created", Some("b".into()))]);
        assert_eq!(text, "name:     a\ncreated:  b\n");
    }
}
