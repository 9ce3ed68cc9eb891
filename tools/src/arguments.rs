//! `--name value` arguments.

use std::{collections::HashMap, ffi::OsString, path::PathBuf};

use anyhow::{Result, bail};

pub struct Arguments(HashMap<&'static str, OsString>);

impl Arguments {
    /// Reads the program's arguments, refusing names that are not in `known`.
    pub fn read(known: &[&'static str]) -> Result<Self> {
        let mut given = HashMap::new();
        let mut arguments = std::env::args_os().skip(1);
        while let Some(argument) = arguments.next() {
            let Some(name) = known.iter().find(|name| argument == **name) else {
                bail!(
                    "unknown argument {}; there are {}",
                    argument.display(),
                    known.join(" ")
                );
            };
            let Some(value) = arguments.next() else {
                bail!("{name} needs a value");
            };
            given.insert(*name, value);
        }
        Ok(Self(given))
    }

    pub fn path(&self, name: &str) -> Option<PathBuf> {
        self.0.get(name).map(PathBuf::from)
    }

    pub fn text(&self, name: &str) -> Option<String> {
        let value = self.0.get(name)?;
        Some(value.to_string_lossy().into_owned())
    }

    pub fn required_path(&self, name: &str) -> Result<PathBuf> {
        match self.path(name) {
            Some(path) => Ok(path),
            None => bail!("{name} is missing"),
        }
    }
}
