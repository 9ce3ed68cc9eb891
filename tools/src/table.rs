//! Tables: as text, in Markdown and in HTML.

/// Rows of cells under a head.
pub struct Table {
    /// One letter a column: `l` begins at the left, `r` ends at the right. The last one stands for
    /// all that follow.
    align: &'static str,
    head: Vec<String>,
    rows: Vec<Row>,
}

struct Row {
    /// CSS class in HTML.
    class: &'static str,
    cells: Vec<String>,
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
        let cells = cells.into_iter().map(Into::into).collect();
        self.rows.push(Row { class, cells });
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// How each column is aligned.
    fn columns(&self) -> impl Iterator<Item = char> {
        let last = self.align.chars().last().unwrap_or('l');
        let all = self.align.chars().chain(std::iter::repeat(last));
        all.take(self.head.len())
    }

    /// Columns as wide as their longest cell, two spaces apart.
    pub fn text(&self) -> String {
        let lines = || {
            let rows = self.rows.iter().map(|row| &row.cells);
            std::iter::once(&self.head).chain(rows)
        };
        let mut widths = vec![0; self.head.len()];
        for line in lines() {
            for (width, cell) in widths.iter_mut().zip(line) {
                *width = cell.chars().count().max(*width);
            }
        }
        let written = |line: &Vec<String>| {
            let cells = line.iter().zip(self.columns()).zip(&widths);
            let cells = cells.map(|((cell, align), width)| match align {
                'r' => format!("{cell:>width$}"),
                _ => format!("{cell:<width$}"),
            });
            cells.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
        };
        let lines = lines().map(written);
        lines.skip_while(|line| line.trim().is_empty()).collect()
    }

    pub fn markdown(&self) -> String {
        let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
        let rules = self.columns().map(|align| match align {
            'r' => "---:".to_owned(),
            _ => "---".to_owned(),
        });
        let head = line(&self.head) + &line(&rules.collect::<Vec<_>>());
        head + &self
            .rows
            .iter()
            .map(|row| line(&row.cells))
            .collect::<String>()
    }

    pub fn html(&self) -> String {
        let escaped = |text: &str| text.replace('&', "&amp;").replace('<', "&lt;");
        let line = |tag: &str, cells: &[String]| -> String {
            cells
                .iter()
                .map(|cell| format!("<{tag}>{}", escaped(cell)))
                .collect()
        };
        let rows = self.rows.iter().map(|row| {
            let (class, cells) = (row.class, line("td", &row.cells));
            format!("<tr class=\"{class}\">{cells}</tr>\n")
        });
        let head = line("th", &self.head);
        format!(
            "<table><tr>{head}</tr>\n{}</table>\n",
            rows.collect::<String>()
        )
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
        assert_eq!(
            table.text(),
            "what       ms\nnetwork  4.30\na < b       1\n"
        );
        let markdown = "| what | ms |\n| --- | ---: |\n| network | 4.30 |\n| a < b | 1 |\n";
        assert_eq!(table.markdown(), markdown);
        assert!(
            table
                .html()
                .contains("<tr class=\"good\"><td>a &lt; b<td>1</tr>")
        );
    }

    #[test]
    fn a_table_without_a_head_has_no_empty_line() {
        let mut table = Table::new("ll", ["", ""]);
        assert!(table.is_empty());
        table.row(["a", ""]);
        assert_eq!(table.text(), "a\n");
    }
}
