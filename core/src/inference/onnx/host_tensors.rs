//! Tensors in the host's memory that a session reads and writes in place.
//!
//! Must not know models.

use std::{
    ptr::{self, NonNull},
    slice,
};

use ort::AsPointer as _;
use ort::memory::{AllocationDevice, Allocator, AllocatorType, MemoryInfo, MemoryType};
use ort::session::Session;
use ort::value::{DynTensor, PrimitiveTensorElementType};

use crate::inference::Element;

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

/// What tensors here are made of: any bits are a value.
pub(super) trait Number: PrimitiveTensorElementType + Copy + Default {}
impl Number for f32 {}
impl Number for i32 {}
impl Number for i64 {}

/// A tensor of zeros in the memory of [`pageable`] or [`pinned`].
pub(super) fn tensor(
    allocator: &Allocator,
    element: Element,
    shape: &[usize],
) -> ort::Result<DynTensor> {
    let mut tensor = DynTensor::new(allocator, element.data_type(), shape)?;
    match element {
        Element::F32 => values_mut::<f32>(&mut tensor).fill(0.0),
        Element::I32 => values_mut::<i32>(&mut tensor).fill(0),
        Element::I64 => values_mut::<i64>(&mut tensor).fill(0),
    }
    Ok(tensor)
}

/// The same memory once more, told to ONNX Runtime to be the processor's own: a session with CUDA
/// would take pinned memory for the card's, refuse outputs there (1.31), and copy neither.
///
/// # Safety
/// `tensor` lives at least as long as the result.
pub(super) unsafe fn as_pageable(
    tensor: &mut DynTensor,
    element: Element,
) -> ort::Result<DynTensor> {
    let info = MemoryInfo::default();
    let shape = tensor.shape().to_vec();
    let mut value = ptr::null_mut();
    // SAFETY: as much memory as the type and the shape say, which the host may use; ONNX Runtime
    // copies the shape.
    unsafe {
        ort::Error::result_from_status((ort::api().CreateTensorWithDataAsOrtValue)(
            info.ptr(),
            tensor.data_ptr_mut(),
            bytes(tensor),
            shape.as_ptr(),
            shape.len(),
            element.data_type().into(),
            &mut value,
        ))?;
    }
    let value = NonNull::new(value).ok_or_else(|| ort::Error::new("no tensor was made"))?;
    // SAFETY: a tensor that nobody else has. `ort` wants an allocator to keep; the memory is `tensor`'s.
    Ok(unsafe { DynTensor::from_ptr(value, Some(&pageable())) })
}

/// Size of a tensor of [`Element`]s.
pub(super) fn bytes(tensor: &DynTensor) -> usize {
    let numbers = tensor.shape().num_elements();
    tensor.data_type().byte_size(numbers).unwrap_or_default()
}

/// The values of a tensor that [`tensor`] made. Panics when they are of another type.
pub(super) fn values<T: Number>(tensor: &DynTensor) -> &[T] {
    let length = length::<T>(tensor);
    if length == 0 {
        return &[];
    }
    let pointer = tensor.data_ptr().cast::<T>();
    // SAFETY: a tensor of `length` values of this type, aligned and initialised by `tensor`, in
    // memory that the host may read: both allocators give nothing else. (`ort` would tell by the
    // kind of memory, but takes pinned memory for the card's own with ONNX Runtime 1.23 and newer.)
    unsafe { slice::from_raw_parts(pointer, length) }
}

/// The values of a tensor that [`tensor`] made, to be changed. Panics when they are of another
/// type.
pub(super) fn values_mut<T: Number>(tensor: &mut DynTensor) -> &mut [T] {
    let length = length::<T>(tensor);
    if length == 0 {
        return &mut [];
    }
    let pointer = tensor.data_ptr_mut().cast::<T>();
    // SAFETY: as in `values`, and `&mut` lets nobody else see them. Called on a new tensor before
    // it is initialised only to fill it: any bits are a number.
    unsafe { slice::from_raw_parts_mut(pointer, length) }
}

fn length<T: Number>(tensor: &DynTensor) -> usize {
    assert_eq!(*tensor.data_type(), T::into_tensor_element_type());
    tensor.shape().num_elements()
}
