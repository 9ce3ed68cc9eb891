//! Which tensor of a network that draws is which, by their shapes.
//!
//! Must not know how a network is run.

use crate::{
    families::redraw::recipe::Tensors,
    inference::{Element, Network, TensorInfo},
    rect::Size,
};

/// Which tensor is which, and the size of the picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ports {
    pub sound: usize,
    pub image: usize,
    /// Takes the face in other frames, where the network does.
    pub others: Option<usize>,
    /// How strongly to move the lips, where the network has an input for it.
    pub weight: Option<usize>,
    pub output: usize,
    pub size: Size,
    /// Faces that it draws at once.
    pub batch: usize,
}

/// The sound, which `hears` tells by its shape, a face of so many channels and a size that `fits`, and
/// the drawn face of its size.
pub fn ports(
    network: &dyn Network,
    names: &Tensors,
    channels: usize,
    fits: impl Fn(Size) -> bool,
    hears: impl Fn(&[usize]) -> bool,
) -> Option<Ports> {
    let (inputs, outputs) = (network.inputs(), network.outputs());
    let image = find(inputs, &names.image, |shape| {
        picture(shape, channels).is_some_and(&fits)
    })?;
    let size = picture(&inputs[image].shape, channels)?;
    let sound = find(inputs, &names.sound, |shape| {
        shape != inputs[image].shape && hears(shape)
    })?;
    let output = find(outputs, &names.output, |shape| {
        picture(shape, 3) == Some(size)
    })?;
    Some(Ports {
        sound,
        image,
        others: None,
        weight: None,
        output,
        size,
        batch: (inputs[image].shape[0].min(inputs[sound].shape[0])).min(outputs[output].shape[0]),
    })
}

/// The size of pictures `[N, channels, height, width]`.
pub fn picture(shape: &[usize], channels: usize) -> Option<Size> {
    match *shape {
        [_, depth, height, width] if depth == channels => Some(Size { width, height }),
        _ => None,
    }
}

pub fn is_square(size: Size) -> bool {
    size.width == size.height
}

/// The only tensor of that name, if one is given, and of a shape that fits.
pub fn find(
    tensors: &[TensorInfo],
    name: &Option<String>,
    fits: impl Fn(&[usize]) -> bool,
) -> Option<usize> {
    let mut fitting = tensors.iter().enumerate().filter(|(_, tensor)| {
        tensor.element == Element::F32
            && fits(&tensor.shape)
            && name.as_ref().is_none_or(|name| *name == tensor.name)
    });
    let (index, _) = fitting.next()?;
    // Two that fit are told apart by name, or not at all.
    fitting.next().is_none().then_some(index)
}
