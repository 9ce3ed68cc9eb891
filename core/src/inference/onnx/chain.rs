//! Networks of which one reads what another one writes, in the same memory: nothing is copied between their
//! runs, and on a GPU nothing leaves it.
//!
//! Must not know what the networks compute.

use std::sync::{Arc, Mutex};

use ort::memory::{Allocator, MemoryInfo};
use ort::value::DynTensor;

use crate::inference::onnx::{
    bound_network::{Bound, BoundNetwork},
    cuda_copy,
    host_tensors::{self, Numbers},
};

/// What networks hold while they run whose memory is shared: one of them at a time does.
pub(super) type Turn = Arc<Mutex<()>>;

/// Memory that an output and an input share.
pub(super) struct Memory {
    tensor: DynTensor,
    numbers: Numbers,
    /// Of a GPU; otherwise the host's.
    device: Option<u32>,
}

impl Memory {
    /// Of an output of that network.
    fn new(network: &BoundNetwork, output: usize) -> ort::Result<Self> {
        let (info, numbers) = network.shared.output(output);
        let device = network
            .shared
            .provider()
            .is_nvidia()
            .then_some(network.device_id);
        let tensor = match device {
            None => host_tensors::tensor(&host_tensors::pageable(), numbers, &info.shape)?,
            Some(device) => {
                let memory = cuda_copy::memory(device)?;
                let allocator = Allocator::new(network.shared.session(), memory)?;
                host_tensors::uninitialized(&allocator, numbers, &info.shape)?
            }
        };
        Ok(Self {
            tensor,
            numbers,
            device,
        })
    }

    /// The same memory in a shape of as many numbers.
    ///
    /// # Safety
    /// `self` lives at least as long as the result.
    unsafe fn view(&self, shape: &[usize]) -> ort::Result<DynTensor> {
        let place = match self.device {
            None => MemoryInfo::default(),
            Some(device) => cuda_copy::memory(device)?,
        };
        // SAFETY: as promised. Two networks see it, of which one at a time runs (`Turn`).
        unsafe { host_tensors::view(&self.tensor, &place, self.numbers, shape) }
    }
}

/// See [`Network::feed`](crate::inference::Network::feed).
pub(super) fn feed(
    from: &mut BoundNetwork,
    output: usize,
    to: &mut BoundNetwork,
    input: usize,
) -> ort::Result<bool> {
    let ((written, numbers), (read, others)) = (from.shared.output(output), to.shared.input(input));
    let [length, room] = [written, read].map(|info| info.shape.iter().product::<usize>());
    let is_beside =
        from.shared.provider() == to.shared.provider() && from.device_id == to.device_id;
    // What was recorded keeps the addresses that it was recorded with.
    let replays = from.gpu.is_some() || to.gpu.is_some();
    let turn = match (&from.turn, &to.turn) {
        (Some(_), Some(_)) => return Ok(false),
        (Some(turn), None) | (None, Some(turn)) => turn.clone(),
        (None, None) => Turn::default(),
    };
    if numbers != others || length != room || !is_beside || replays {
        return Ok(false);
    }
    let memory = Arc::new(Memory::new(from, output)?);
    // SAFETY: each is kept together with the memory, and dropped first.
    let (ahead, behind) = unsafe { (memory.view(&written.shape)?, memory.view(&read.shape)?) };
    let pointer = from.outputs[output].share(memory.clone(), ahead);
    from.pointers.outputs[output] = pointer;
    let pointer = to.inputs[input].share(memory, behind);
    to.pointers.inputs[input] = pointer;
    (from.turn, to.turn) = (Some(turn.clone()), Some(turn));
    Ok(true)
}

impl Bound {
    /// Has the session given that memory from here on.
    fn share(&mut self, memory: Arc<Memory>, view: DynTensor) -> *mut ort::sys::OrtValue {
        self.given = Some(view);
        self.memory = Some(memory);
        self.ptr_mut()
    }
}

#[cfg(test)]
mod tests {
    use ort::AsPointer as _;

    use crate::inference::{
        Model, ModelSource, Network as _, Options, Provider,
        onnx::bound_network::{BoundNetwork, bind},
        onnx::library,
    };

    fn network(data: &[u8], batch: usize) -> BoundNetwork {
        let options = Options {
            batch,
            ..Options::default()
        };
        let model = Model::read(ModelSource::Bytes { name: "a", data }).unwrap();
        let runtime = library::load(None, Provider::Cpu).unwrap();
        bind(&model, runtime, Provider::Cpu, &options, &[]).unwrap()
    }

    /// The file of one of MuseTalk's networks, tiny.
    macro_rules! file {
        ($name:literal) => {
            include_bytes!(concat!("../../../../tests/data/musetalk/", $name, ".onnx"))
        };
    }

    fn fill(values: &mut [f32]) {
        for (at, value) in values.iter_mut().enumerate() {
            *value = (at * 7_919 % 1_009) as f32 / 504.0 - 1.0;
        }
    }

    /// Two views of a face become the latents that one network takes of both.
    #[test]
    fn what_one_writes_another_reads_where_it_is() {
        let (mut encoder, mut unet) = (network(file!("vae_encoder"), 2), network(file!("unet"), 1));
        let heard = 1 - usize::from(unet.inputs()[0].shape.len() == 3);
        let latents = 1 - heard;
        fill(encoder.input(0));
        fill(unet.input(heard));
        encoder.run().unwrap();
        unet.input(latents).copy_from_slice(encoder.output(0));
        unet.run().unwrap();
        let expected = unet.output(0).to_vec();

        assert!(encoder.feed(0, &mut unet, latents));
        let written = encoder.outputs[0].given.as_ref().unwrap();
        let read = unet.inputs[latents].given.as_ref().unwrap();
        assert_eq!(written.data_ptr(), read.data_ptr());
        assert_ne!(written.ptr(), read.ptr());
        assert_ne!(written.shape(), read.shape());
        encoder.run().unwrap();
        unet.run().unwrap();
        assert_eq!(unet.output(0), expected);
        // Whoever reads keeps the memory.
        drop(encoder);
        unet.run().unwrap();
        assert_eq!(unet.output(0), expected);
    }

    #[test]
    fn what_does_not_fit_is_copied_as_before() {
        let (mut encoder, mut unet) = (network(file!("vae_encoder"), 1), network(file!("unet"), 1));
        let latents = usize::from(unet.inputs()[0].shape.len() == 3);
        assert!(!encoder.feed(0, &mut unet, latents));
        fill(encoder.input(0));
        encoder.run().unwrap();
        assert!(encoder.output(0).iter().any(|value| *value != 0.0));
        assert!(encoder.outputs[0].given.is_none());
    }
}
