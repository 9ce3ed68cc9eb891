//! `cargo xtask serve-model`: writes the networks of a model that draw as an inference server wants them, after the
//! examples in `examples/server/`.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use toml::{Table, Value};

/// Written into the repository.
const PYTHON: &str = include_str!("../../examples/server/triton-cpu/model.py");
const ON_CPU: &str = include_str!("../../examples/server/triton-cpu/config.pbtxt");
const ON_GPU: &str = include_str!("../../examples/server/triton-gpu/config.pbtxt");
/// The version of the model on the server.
const VERSION: &str = "1";
/// The network that draws, by the families' names for it, and those between faces and what that one draws.
const DRAWING: [&str; 2] = ["generator", "renderer"];
const IMAGE: [&str; 2] = ["image-encoder", "image-decoder"];

#[derive(clap::Args)]
pub struct Arguments {
    /// A manifest, a folder that holds one, or an .onnx file
    model: PathBuf,
    /// Triton's model repository, to which the model is added
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// For an NVIDIA GPU: Triton's own ONNX Runtime, which draws calls of several streams at once
    #[arg(long)]
    gpu: bool,
    /// Pictures come and go as bytes: a quarter of the traffic, and rounded
    #[arg(long)]
    bytes: bool,
    /// Other numbers come and go as 16-bit floats: half of the traffic
    #[arg(long)]
    half: bool,
}

pub fn run(arguments: &Arguments) -> Result<()> {
    let networks = Network::find(&arguments.model)?;
    for network in &networks {
        network.serve(arguments)?;
    }
    match &networks[..] {
        [network] => println!(
            "{} is in {}; the element finds it with provider-options=\"remote,model={}\"",
            network.path.display(),
            arguments.out.display(),
            network.name
        ),
        networks => {
            let names: Vec<_> = networks.iter().map(|network| &*network.name).collect();
            println!(
                "{} are in {}; the element finds all of them by these names, and needs no `model` in provider-options",
                names.join(", "),
                arguments.out.display()
            );
        }
    }
    Ok(())
}

impl Network {
    /// Adds it to the repository.
    fn serve(&self, arguments: &Arguments) -> Result<()> {
        let folder = arguments.out.join(&self.name);
        self.copy(&folder.join(VERSION))?;
        let parameters = self.parameters(arguments.bytes, arguments.half);
        // Triton's own ONNX Runtime has no place for what comes before and after.
        let is_python = !arguments.gpu || !parameters.is_empty();
        let config = match (arguments.gpu, is_python) {
            (false, _) => ON_CPU.to_owned(),
            (true, false) => ON_GPU.to_owned(),
            (true, true) => ON_GPU.replace("\"onnxruntime\"", "\"python\""),
        };
        write(&folder.join("config.pbtxt"), &(config + &parameters))?;
        if is_python {
            write(&folder.join(VERSION).join("model.py"), PYTHON)?;
        }
        Ok(())
    }
}

/// The file of a network, and those in which it keeps weights.
#[derive(Debug)]
struct Network {
    name: String,
    path: PathBuf,
    data: Vec<PathBuf>,
    /// Of one that sees a picture twice: in which order, and where the second is black.
    views: Option<[String; 2]>,
}

impl Network {
    /// Those of a model that draw, the one that `files.generator` names first.
    fn find(model: &Path) -> Result<Vec<Self>> {
        if model
            .extension()
            .is_some_and(|extension| extension == "onnx")
        {
            return Ok(vec![Self::new(model.to_path_buf(), None)?]);
        }
        let manifest = match model.is_dir() {
            true => model.join("manifest.toml"),
            false => model.to_path_buf(),
        };
        let text = fs::read_to_string(&manifest)
            .with_context(|| format!("cannot read {}", manifest.display()))?;
        let table: Option<Table> = text.parse().ok();
        let drawn = table
            .as_ref()
            .and_then(|table| Some((table, drawing(table)?)));
        let (table, files) =
            drawn.with_context(|| format!("{} is no manifest of a model", manifest.display()))?;
        let mut networks = files
            .into_iter()
            .map(|file| Self::named(&manifest, file))
            .collect::<Result<Vec<_>>>()?;
        networks[0].views = views(table);
        Ok(networks)
    }

    /// The one of which a manifest says this.
    fn named(manifest: &Path, file: &Table) -> Result<Self> {
        let path = |file: &Table| {
            let path = file.get("path").and_then(Value::as_str)?;
            Some(manifest.with_file_name(path))
        };
        let data = file.get("data").and_then(Value::as_array);
        let data = data.into_iter().flatten().filter_map(Value::as_table);
        let served_as = file.get("served-as").and_then(Value::as_str);
        let found = path(file).context("the network's `path` is expected")?;
        Ok(Self {
            data: data.filter_map(path).collect(),
            ..Self::new(found, served_as)?
        })
    }

    fn new(path: PathBuf, served_as: Option<&str>) -> Result<Self> {
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        let name = served_as.map_or_else(|| stem.into_owned(), str::to_owned);
        let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
        if name.is_empty() || name.starts_with('.') || !name.chars().all(is_plain) {
            bail!(
                "`{name}` cannot be a model's name on a server: letters, digits, -, _ and . are expected"
            );
        }
        Ok(Self {
            name,
            path,
            data: Vec::new(),
            views: None,
        })
    }

    /// What model.py is told of numbers that are sent.
    fn parameters(&self, bytes: bool, half: bool) -> String {
        let numbers = [(bytes, "bytes"), (half, "half")].into_iter();
        let numbers = numbers.filter_map(|(is_sent, name)| is_sent.then_some((name, "yes")));
        let mut parameters: Vec<_> = numbers.collect();
        if let Some([views, mask]) = &self.views
            && !parameters.is_empty()
        {
            parameters.extend([("views", views.as_str()), ("mask", mask.as_str())]);
        }
        let lines = parameters.into_iter().map(|(key, value)| {
            format!("parameters {{ key: \"{key}\" value {{ string_value: \"{value}\" }} }}\n")
        });
        lines.collect()
    }

    fn copy(&self, folder: &Path) -> Result<()> {
        let copy = |from: &Path, to: &Path| {
            let parent = to.parent().unwrap_or(folder);
            fs::create_dir_all(parent)
                .and_then(|()| fs::copy(from, to))
                .with_context(|| format!("cannot copy {} to {}", from.display(), to.display()))
        };
        copy(&self.path, &folder.join("model.onnx"))?;
        let beside = self.path.parent().unwrap_or(Path::new(""));
        for data in &self.data {
            // Where the network says, seen from its own folder.
            let inside = data.strip_prefix(beside).ok().filter(|path| {
                path.components()
                    .all(|part| matches!(part, std::path::Component::Normal(_)))
            });
            let Some(inside) = inside else {
                bail!(
                    "{} does not lie beside or below the network",
                    data.display()
                );
            };
            copy(data, &folder.join(inside))?;
        }
        Ok(())
    }
}

/// What a manifest says of the networks that draw, at least one.
fn drawing(manifest: &Table) -> Option<Vec<&Table>> {
    let files = manifest.get("files")?.as_table()?;
    let file = |name: &&str| files.get(*name)?.as_table();
    let first = DRAWING.iter().find_map(file)?;
    Some(
        [first]
            .into_iter()
            .chain(IMAGE.iter().filter_map(file))
            .collect(),
    )
}

/// The order of the views that a network of these families sees, and the rectangle that is black in one of them: as the
/// manifest says, or as they have it.
fn views(manifest: &Table) -> Option<[String; 2]> {
    let family = manifest.get("family")?.as_str()?;
    let image = manifest.get("image").and_then(Value::as_table);
    let usual = match family {
        "wav2lip" => "masked,reference",
        "unet" => "reference,masked",
        _ => return None,
    };
    let list = |key: &str| {
        let values = image?.get(key)?.as_array()?.iter();
        let words = values.map(|value| match value {
            Value::Integer(number) => number.to_string(),
            value => value.as_str().unwrap_or_default().to_owned(),
        });
        Some(words.collect::<Vec<_>>().join(","))
    };
    let planes = list("planes").unwrap_or_else(|| usual.to_owned());
    let is_known = ["masked,reference", "reference,masked"].contains(&planes.as_str());
    is_known.then(|| [planes, list("mask").unwrap_or_else(|| family.to_owned())])
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::setup;

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("xtask-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        folder
    }

    fn serve(model: &Path, out: &Path, gpu: bool, bytes: bool) -> Result<()> {
        run(&Arguments {
            model: model.to_path_buf(),
            out: out.to_path_buf(),
            gpu,
            bytes,
            half: bytes,
        })
    }

    #[test]
    fn the_built_in_model_is_served_by_its_renderers_name() {
        let out = folder("serve-builtin");
        let model = setup::root().join("models/builtin");
        serve(&model, &out, false, true).unwrap();
        let served = out.join("renderer");
        assert_eq!(
            fs::read(served.join("1/model.onnx")).unwrap(),
            fs::read(model.join("renderer.onnx")).unwrap()
        );
        assert!(served.join("1/model.py").is_file());
        let config = fs::read_to_string(served.join("config.pbtxt")).unwrap();
        assert!(config.contains("backend: \"python\"") && config.contains("\"bytes\""));
        assert!(config.contains("\"half\""));
        serve(&model.join("renderer.onnx"), &out.join("gpu"), true, false).unwrap();
        let config = fs::read_to_string(out.join("gpu/renderer/config.pbtxt")).unwrap();
        assert!(config.contains("onnxruntime") && config.contains("dynamic_batching"));
        assert!(!out.join("gpu/renderer/1/model.py").exists());
        serve(&model.join("renderer.onnx"), &out.join("gpu"), true, true).unwrap();
        let config = fs::read_to_string(out.join("gpu/renderer/config.pbtxt")).unwrap();
        assert!(config.contains("backend: \"python\"") && config.contains("KIND_GPU"));
        assert!(out.join("gpu/renderer/1/model.py").is_file());
        fs::remove_dir_all(out).unwrap();
    }

    #[test]
    fn all_networks_are_served_that_draw() {
        let out = folder("serve-chain");
        let model = setup::root().join("tests/data/musetalk");
        serve(&model, &out, false, true).unwrap();
        for name in ["unet", "vae_encoder", "vae_decoder"] {
            assert_eq!(
                fs::read(out.join(name).join("1/model.onnx")).unwrap(),
                fs::read(model.join(format!("{name}.onnx"))).unwrap()
            );
        }
        // What hears stays with the element.
        assert!(!out.join("whisper").exists());
        fs::remove_dir_all(out).unwrap();
    }

    #[test]
    fn views_are_the_manifests_or_the_familys() {
        for (text, expected) in [
            ("family = \"builtin\"", None),
            ("family = \"unet\"", Some(["reference,masked", "unet"])),
            (
                "family = \"wav2lip\"",
                Some(["masked,reference", "wav2lip"]),
            ),
            (
                "family = \"wav2lip\"\nimage.mask = [4, 48, 88, 40]\nimage.planes = [\"reference\", \"masked\"]",
                Some(["reference,masked", "4,48,88,40"]),
            ),
            ("family = \"wav2lip\"\nimage.planes = [\"reference\"]", None),
        ] {
            let expected = expected.map(|views| views.map(str::to_owned));
            assert_eq!(views(&text.parse().unwrap()), expected, "{text}");
        }
    }

    #[test]
    fn weights_in_other_files_come_along_and_names_stay_in_the_repository() {
        let out = folder("serve-weights");
        let model = out.join("model");
        fs::create_dir_all(model.join("net/weights")).unwrap();
        fs::write(model.join("net/net.onnx"), "network").unwrap();
        fs::write(model.join("net/weights/0"), "weights").unwrap();
        let manifest = |served_as: &str| {
            let text = format!(
                "[files.generator]\npath = \"net/net.onnx\"\nserved-as = \"{served_as}\"\n\
                 data = [{{ path = \"net/weights/0\", sha256 = \"\" }}]"
            );
            fs::write(model.join("manifest.toml"), text).unwrap();
        };
        manifest("face");
        serve(&model, &out.join("to"), false, false).unwrap();
        assert!(out.join("to/face/1/weights/0").is_file());
        for name in ["../face", "", ".face", "a/b"] {
            manifest(name);
            let error = serve(&model, &out.join("to"), false, false).unwrap_err();
            assert!(
                error.to_string().contains("cannot be a model's name"),
                "{error}"
            );
        }
        fs::remove_dir_all(out).unwrap();
    }
}
