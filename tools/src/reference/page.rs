//! One element as a page of the documentation: the text of its source, its pads and properties.

use std::fmt::Write;

use anyhow::{Context, Result};
use gst::{glib, prelude::*};

use super::{ELEMENTS, Element, direction, presence, property};

const HEAD: &str =
    "<!-- Made by `cargo xtask docs` from the element itself and the text in its source. -->\n\n";

/// The page; `source` is that of the element, with its text behind `SECTION:`.
pub fn text(element: &Element, source: &str) -> Result<String> {
    let name = element.factory.name();
    let mut page = String::from(HEAD);
    write!(page, "# {name}\n\n{}.\n\n", element.metadata("description"))?;
    page.push_str(&section(&name, source).with_context(|| format!("{name} has no text"))?);
    writeln!(page, "\n## Pads\n")?;
    for pad in element.pads() {
        write!(
            page,
            "`{}`, {}, {}:\n\n```\n",
            pad.name_template(),
            direction(&pad),
            presence(&pad)
        )?;
        caps(&pad.caps(), &mut page)?;
        page.push_str("```\n\n");
    }
    writeln!(page, "## Properties")?;
    for spec in element.properties() {
        of_property(&spec, &mut page)?;
    }
    Ok(page)
}

/// The element's text as Markdown, out of a comment for gtk-doc.
fn section(name: &str, source: &str) -> Option<String> {
    let head = format!(" * SECTION:element-{name}\n");
    let (_, text) = source.split_once(&head)?;
    let (text, _) = text.split_once("\n */")?;
    let lines = text
        .lines()
        .map(|line| line.strip_prefix(" *").unwrap_or(line));
    let lines = lines.map(|line| line.strip_prefix(' ').unwrap_or(line));
    let mut page = String::new();
    for line in lines.skip_while(|line| line.starts_with('@') || line.is_empty()) {
        match line {
            "|[" => page.push_str("```sh"),
            "]|" => page.push_str("```"),
            _ => page.push_str(&linked(name, line)),
        }
        page.push('\n');
    }
    Some(page)
}

/// `#name` is another element.
fn linked(own: &str, line: &str) -> String {
    // A heading begins with it too, before a blank.
    let mut parts = line.split('#');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part
            .find(|letter: char| !letter.is_ascii_alphanumeric())
            .unwrap_or(part.len());
        let (name, rest) = part.split_at(end);
        match name {
            "" => text.push('#'),
            _ if name != own && ELEMENTS.iter().any(|(other, _)| *other == name) => {
                text.push_str(&format!("[{name}]({name}.md)"));
            }
            _ => text.push_str(&format!("`{name}`")),
        }
        text.push_str(rest);
    }
    text
}

/// As gst-inspect-1.0 shows them.
fn caps(caps: &gst::CapsRef, page: &mut String) -> Result<()> {
    for (structure, features) in caps.iter_with_features() {
        match features.is_equal(gst::CAPS_FEATURES_MEMORY_SYSTEM_MEMORY.as_ref()) {
            true => writeln!(page, "{}", structure.name())?,
            false => writeln!(page, "{}({features})", structure.name())?,
        }
        for (field, value) in structure.iter() {
            let value = value.serialize()?;
            writeln!(page, "  {field}: {}", value.replace("(string)", ""))?;
        }
    }
    Ok(())
}

fn of_property(spec: &glib::ParamSpec, page: &mut String) -> Result<()> {
    let flags = spec.flags();
    write!(
        page,
        "\n### `{}`\n\n{}\n\n",
        spec.name(),
        escaped(spec.blurb().unwrap_or_default())
    )?;
    let mut facts = vec![format!("`{}`", spec.value_type().name())];
    if flags.contains(glib::ParamFlags::WRITABLE) {
        facts.push(format!("default `{}`", property::default(spec)));
        if let Some((least, most)) = property::range(spec) {
            facts.push(format!("{least} to {most}"));
        }
        facts.push(match property::mutable(spec) {
            "null" => "set in NULL".into(),
            state => format!("set up to {}", state.to_uppercase()),
        });
        if property::is_controllable(spec) {
            facts.push("controllable".into());
        }
    } else {
        facts.push("read-only".into());
    }
    writeln!(page, "{}.", facts.join(", "))?;
    let values = property::values(spec);
    if !values.is_empty() {
        page.push('\n');
    }
    for (nick, _, meaning) in values {
        writeln!(page, "- `{nick}`: {}", escaped(&meaning))?;
    }
    Ok(())
}

/// Markdown takes what looks like a tag for one.
fn escaped(text: &str) -> String {
    text.replace('<', "&lt;").replace('_', "\\_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comment_for_gtk_doc_becomes_markdown() {
        let source = "/**\n * SECTION:element-lipsync\n * @title: lipsync\n *\n * See #lipsyncbin, #playbin, #lipsync.\n *\n \
                      * ## More\n *\n * |[\n * gst-launch-1.0 a ! b\n * ]|\n */\nuse gst;\n";
        assert_eq!(
            section("lipsync", source).unwrap(),
            "See [lipsyncbin](lipsyncbin.md), `playbin`, `lipsync`.\n\n## More\n\n```sh\ngst-launch-1.0 a ! b\n```\n"
        );
        assert!(section("other", source).is_none());
    }
}
