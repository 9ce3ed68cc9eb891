//! What a model consists of beside the network that draws: other networks, and pictures.
//!
//! Must not know how a network is run.

use std::path::Path;

use crate::{
    Error,
    families::redraw::{
        Contract,
        cutout::Rgb,
        drawing::VIEWS,
        open_sizes, picture_file,
        recipe::{self, Recipe},
    },
    inference::{Model, OpenNetwork, Opener, Options, Snapshot},
    manifest::{File, Named},
};

/// See the module.
pub struct Companions {
    audio_encoder: Option<Model<'static>>,
    /// The face in other frames, and the files that these were.
    others: (Vec<Rgb>, Snapshot),
    /// From a face to latents, and back.
    image: Option<[Model<'static>; 2]>,
}

impl Companions {
    /// Those that the recipe of `path` names.
    ///
    /// # Errors
    /// [`Error::ModelNotFound`]; [`Error::ModelUnreadable`], also where one is missing.
    pub fn read(contract: &Contract, recipe: &Recipe, path: &Path) -> Result<Self, Error> {
        let read = |file: &File| Named::find(path, file)?.read();
        let files = &recipe.files;
        let unreadable = |reason: String| Error::ModelUnreadable {
            path: path.to_owned(),
            reason,
        };
        contract.check_planes(&recipe.image).map_err(unreadable)?;
        let image = match (&files.image_encoder, &files.image_decoder) {
            (Some(encoder), Some(decoder)) if contract.in_latents => {
                Some([read(encoder)?, read(decoder)?])
            }
            (encoder, _) if contract.in_latents => {
                let missing = match encoder {
                    None => ["image-encoder", "vae_encoder"],
                    Some(_) => ["image-decoder", "vae_decoder"],
                };
                return Err(unreadable(missing_image(missing)));
            }
            (None, None) => None,
            _ => {
                return Err(unreadable(format!(
                    "[files] image-encoder or image-decoder is named; networks of the family `{}` \
                     draw faces themselves",
                    contract.name
                )));
            }
        };
        Ok(Self {
            audio_encoder: files.audio_encoder.as_ref().map(read).transpose()?,
            others: contract.read_others(&files.others, path)?,
            image,
        })
    }

    pub fn others(&self) -> &[Rgb] {
        &self.others.0
    }

    pub fn files(&self) -> Snapshot {
        let mut files = self.others.1.clone();
        let models = self.audio_encoder.iter().chain(self.image.iter().flatten());
        for model in models {
            files.extend(model.files().clone());
        }
        files
    }

    pub fn open_audio(
        &self,
        recipe: &Recipe,
        opener: &Opener,
    ) -> Result<Option<OpenNetwork>, Error> {
        let open = |model| opener.single(model, &open_sizes::of_encoder(model, recipe));
        self.audio_encoder.as_ref().map(open).transpose()
    }

    pub fn open_image(&self, opener: &Opener) -> Result<Option<[OpenNetwork; 2]>, Error> {
        let Some([encoder, decoder]) = &self.image else {
            return Ok(None);
        };
        // All views of all faces at once.
        let options = Options {
            batch: VIEWS * opener.options.batch.max(1),
            ..opener.options.clone()
        };
        let of_views = Opener {
            options: &options,
            ..*opener
        };
        Ok(Some([
            of_views.batched(encoder, &[])?,
            opener.batched(decoder, &[])?,
        ]))
    }
}

fn missing_image([key, name]: [&str; 2]) -> String {
    format!(
        "this network draws in latents and needs [files] {key} or, for a bare network, `{name}.onnx` \
         or `NAME-{name}.onnx` beside `NAME.onnx`; training/export_musetalk.py writes it"
    )
}

impl Contract {
    /// Whether a manifest fills all channels of the network, and no more.
    fn check_planes(&self, image: &recipe::Image) -> Result<(), String> {
        let (planes, channels) = (image.planes.len(), 3 * image.planes.len());
        let (expected, whose) = match self.in_latents {
            true => (6, "two views, of which latents are made"),
            false => (self.channels, "the face that the network sees"),
        };
        if channels == expected {
            return Ok(());
        }
        Err(format!(
            "[image] planes has {planes} {}, {channels} channels; {expected} are expected of `{}`: \
             {whose}",
            if planes == 1 { "entry" } else { "entries" },
            self.name,
        ))
    }

    /// The face in other frames, from files beside `path`.
    ///
    /// # Errors
    /// [`Error::ModelNotFound`], [`Error::ModelUnreadable`].
    fn read_others(&self, files: &[File], path: &Path) -> Result<(Vec<Rgb>, Snapshot), Error> {
        if !files.is_empty() && files.len() != self.others {
            return Err(Error::ModelUnreadable {
                path: path.to_owned(),
                reason: format!(
                    "[files] others names {} pictures, {} are expected of the family `{}`, or none",
                    files.len(),
                    self.others,
                    self.name
                ),
            });
        }
        let mut snapshot = Snapshot::default();
        let pictures = files.iter().map(|file| {
            let bytes = Named::find(path, file)?.bytes(&mut snapshot)?;
            picture_file::decode(&bytes).map_err(|reason| Error::ModelUnreadable {
                path: path.with_file_name(&file.path),
                reason,
            })
        });
        let pictures = pictures.collect::<Result<_, _>>()?;
        Ok((pictures, snapshot))
    }
}
