//! Tensors in the host's memory that a session reads and writes in place.
//!
//! Must not know models.

use std::slice;

use ort::memory::{AllocationDevice, Allocator, AllocatorType, MemoryInfo, MemoryType};
use ort::session::Session;
use ort::value::Tensor;

/// Ordinary memory.
pub(super) fn pageable() -> Allocator {
    Allocator::default()
}

/// Memory that a card reads without a copy by the processor; ordinary one where there is none.
pub(super) fn pinned(session: &Session, device_id: u32) -> Allocator {
    let device = i32::try_from(device_id).unwrap_or(0);
    MemoryInfo::new(
        AllocationDevice::CUDA_PINNED,
        device,
        AllocatorType::Device,
        MemoryType::CPUInput,
    )
    .and_then(|info| Allocator::new(session, info))
    .unwrap_or_default()
}

/// A tensor of zeros in the memory of [`pageable`] or [`pinned`].
pub(super) fn tensor(allocator: &Allocator, shape: &[usize]) -> ort::Result<Tensor<f32>> {
    let mut tensor = Tensor::<f32>::new(allocator, shape)?;
    values_mut(&mut tensor).fill(0.0);
    Ok(tensor)
}

/// The values of a tensor that [`tensor`] made.
pub(super) fn values(tensor: &Tensor<f32>) -> &[f32] {
    let (pointer, length) = (
        tensor.data_ptr().cast::<f32>(),
        tensor.shape().num_elements(),
    );
    if length == 0 {
        return &[];
    }
    // SAFETY: a tensor of `length` floats, aligned and initialised by `tensor`, in memory that the
    // host may read: both allocators give nothing else. (`ort` would tell by the kind of memory,
    // but takes pinned memory for the card's own with ONNX Runtime 1.23 and newer.)
    unsafe { slice::from_raw_parts(pointer, length) }
}

/// The values of a tensor that [`tensor`] made, to be changed.
pub(super) fn values_mut(tensor: &mut Tensor<f32>) -> &mut [f32] {
    let length = tensor.shape().num_elements();
    if length == 0 {
        return &mut [];
    }
    let pointer = tensor.data_ptr_mut().cast::<f32>();
    // SAFETY: as in `values`, and `&mut` lets nobody else see them. Called on a new tensor before
    // it is initialised only to fill it: any bits are a float.
    unsafe { slice::from_raw_parts_mut(pointer, length) }
}
