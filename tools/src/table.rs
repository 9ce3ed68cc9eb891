//! Tables: as text, in Markdown and in HTML.

use std::iter::{once, repeat};

/// Rows of cells under a head.
pub struct Table {
    /// One letter a column: `l` begins at the left, `r` ends at the right. The last one stands for
    /// all that follow.
    align: &'static str,
    head: Vec<String>,
    /// With their CSS class in HTML.
    rows: Vec<(&'static str, Vec<String>)>,
}

impl Table {
    pub fn new<T: Into<String>>(align: &'static str, head: impl IntoIterator<Item = T>) -> Self {
        Self {
            align,
            head: head.into_iter().map(Into::into).collect(),
            rows: Vec::new(),
        }
    }

    pub fn row<T: Into<String>>(&mut self, cells: impl IntoIterator<Item = T>) {
        self.marked_row("", cells);
    }

    /// A row that a style sheet knows by its class.
    pub fn marked_row<T: Into<String>>(
        &mut self,
        class: &'static str,
        cells: impl IntoIterator<Item = T>,
    ) {
        self.rows
            .push((class, cells.into_iter().map(Into::into).collect()));
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Which columns end at the right.
    fn is_right(&self) -> impl Iterator<Item = bool> {
        let last = self.align.chars().last().unwrap_or('l');
        let all = self.align.chars().chain(repeat(last));
        all.take(self.head.len()).map(|align| align == 'r')
    }

    /// Columns as wide as their longest cell, two spaces apart.
    pub fn text(&self) -> String {
        let lines = || once(&self.head).chain(self.rows.iter().map(|(_, cells)| cells));
        let mut widths = vec![0; self.head.len()];
        for (column, cell) in lines().flat_map(|line| line.iter().enumerate()) {
            widths[column] = cell.chars().count().max(widths[column]);
        }
        let written = |line: &Vec<String>| {
            let cells = line.iter().zip(self.is_right()).zip(&widths);
            let cells = cells.map(|((cell, is_right), width)| match is_right {
                true => format!("{cell:>width$}"),
                false => format!("{cell:<width$}"),
            });
            cells.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
        };
        let lines = lines().map(written);
        lines.skip_while(|line| line.trim().is_empty()).collect()
    }

    pub fn markdown(&self) -> String {
        let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
        let rules = self.is_right().map(|is_right| match is_right {
            true => "---:".to_owned(),
            false => "---".to_owned(),
        });
        let head = line(&self.head) + &line(&rules.collect::<Vec<_>>());
        let rows = self.rows.iter().map(|(_, cells)| line(cells));
        once(head).chain(rows).collect()
    }

    pub fn html(&self) -> String {
        let line = |tag: &str, cells: &[String]| -> String {
            let escaped = |text: &str| text.replace('&', "&amp;").replace('<', "&lt;");
            let cells = cells.iter();
            cells
                .map(|cell| format!("<{tag}>{}", escaped(cell)))
                .collect()
        };
        let rows = self.rows.iter().map(|(class, cells)| {
            let cells = line("td", cells);
            format!("<tr class=\"{class}\">{cells}</tr>\n")
        });
        let (head, rows) = (line("th", &self.head), rows.collect::<String>());
        format!("<table><tr>{head}</tr>\n{rows}</table>\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_table_is_written_in_three_ways() {
        let mut table = Table::new("lr", ["what", "ms"]);
        table.row(["network", "4.30"]);
        table.marked_row("good", ["a < b", "1"]);
        let text = "what       ms\nnetwork  4.30\na < b       1\n";
        assert_eq!(table.text(), text);
        let markdown = "| what | ms |\n| --- | ---: |\n| network | 4.30 |\n| a < b | 1 |\n";
        assert_eq!(table.markdown(), markdown);
        let row = "<tr class=\"good\"><td>a &lt; b<td>1</tr>";
        assert!(table.html().contains(row));

        // Without a head there is no empty line.
        let mut table = Table::new("ll", ["", ""]);
        assert!(table.is_empty());
        table.row(["a", ""]);
        assert_eq!(table.text(), "a\n");
    }
}
