//! Tensors in the host's memory that a session reads and writes in place, and floats for those
//! whose numbers are others.
//!
//! Must not know models.

use std::{
    ptr::{self, NonNull},
    slice,
};

use half::slice::HalfFloatSliceExt as _;
use half::{bf16, f16};
use ort::AsPointer as _;
use ort::memory::{AllocationDevice, Allocator, AllocatorType, MemoryInfo, MemoryType};
use ort::session::Session;
use ort::value::{DynTensor, Outlet, PrimitiveTensorElementType, TensorElementType};

use crate::inference::Element;

/// The numbers that a tensor of a session is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Numbers {
    F32,
    /// As networks for GPUs are exported.
    F16,
    Bf16,
    F64,
    I32,
    I64,
}

impl Numbers {
    const ALL: [Self; 6] = [
        Self::F32,
        Self::F16,
        Self::Bf16,
        Self::F64,
        Self::I32,
        Self::I64,
    ];

    /// `None` for what this room knows nothing of.
    pub fn of(outlet: &Outlet) -> Option<Self> {
        let found = outlet.dtype().tensor_type()?;
        Self::ALL
            .into_iter()
            .find(|numbers| numbers.data_type() == found)
    }

    /// What a network is filled with and read as.
    pub fn element(self) -> Element {
        match self {
            Self::F32 | Self::F16 | Self::Bf16 | Self::F64 => Element::F32,
            Self::I32 => Element::I32,
            Self::I64 => Element::I64,
        }
    }

    fn data_type(self) -> TensorElementType {
        match self {
            Self::F32 => TensorElementType::Float32,
            Self::F16 => TensorElementType::Float16,
            Self::Bf16 => TensorElementType::Bfloat16,
            Self::F64 => TensorElementType::Float64,
            Self::I32 => TensorElementType::Int32,
            Self::I64 => TensorElementType::Int64,
        }
    }
}

/// Ordinary memory.
pub(super) fn pageable() -> Allocator {
    Allocator::default()
}

/// Memory that a GPU reads without a copy by the CPU; ordinary one where there is none.
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
impl Number for f16 {}
impl Number for bf16 {}
impl Number for f64 {}
impl Number for i32 {}
impl Number for i64 {}

/// A tensor of zeros in the memory of [`pageable`] or [`pinned`].
pub(super) fn tensor(
    allocator: &Allocator,
    numbers: Numbers,
    shape: &[usize],
) -> ort::Result<DynTensor> {
    fn clear<T: Number>(tensor: &mut DynTensor) {
        values_mut(tensor).fill(T::default());
    }
    let mut tensor = uninitialized(allocator, numbers, shape)?;
    match numbers {
        Numbers::F32 => clear::<f32>(&mut tensor),
        Numbers::F16 => clear::<f16>(&mut tensor),
        Numbers::Bf16 => clear::<bf16>(&mut tensor),
        Numbers::F64 => clear::<f64>(&mut tensor),
        Numbers::I32 => clear::<i32>(&mut tensor),
        Numbers::I64 => clear::<i64>(&mut tensor),
    }
    Ok(tensor)
}

/// A tensor in the memory of any allocator, with anything in it.
pub(super) fn uninitialized(
    allocator: &Allocator,
    numbers: Numbers,
    shape: &[usize],
) -> ort::Result<DynTensor> {
    DynTensor::new(allocator, numbers.data_type(), shape)
}

/// Gives a tensor of other floats the values `from`, as many as it has, rounded to what it can
/// hold.
pub(super) fn cast_in(numbers: Numbers, from: &[f32], tensor: &mut DynTensor) {
    match numbers {
        Numbers::F16 => values_mut::<f16>(tensor).convert_from_f32_slice(from),
        Numbers::Bf16 => values_mut::<bf16>(tensor).convert_from_f32_slice(from),
        Numbers::F64 => {
            for (to, from) in values_mut::<f64>(tensor).iter_mut().zip(from) {
                *to = f64::from(*from);
            }
        }
        Numbers::F32 | Numbers::I32 | Numbers::I64 => (),
    }
}

/// Reads the values of a tensor of other floats into `to`, which has as many.
pub(super) fn cast_out(numbers: Numbers, tensor: &DynTensor, to: &mut [f32]) {
    match numbers {
        Numbers::F16 => values::<f16>(tensor).convert_to_f32_slice(to),
        Numbers::Bf16 => values::<bf16>(tensor).convert_to_f32_slice(to),
        Numbers::F64 => {
            for (to, from) in to.iter_mut().zip(values::<f64>(tensor)) {
                *to = *from as f32;
            }
        }
        Numbers::F32 | Numbers::I32 | Numbers::I64 => (),
    }
}

/// The same memory once more, told to ONNX Runtime to be the CPU's own: a session with CUDA
/// would take pinned memory for the GPU's, refuse outputs there (1.31), and copy neither.
///
/// # Safety
/// `tensor` lives at least as long as the result.
pub(super) unsafe fn as_pageable(
    tensor: &mut DynTensor,
    numbers: Numbers,
) -> ort::Result<DynTensor> {
    let shape: Vec<_> = tensor.shape().iter().map(|&side| side as usize).collect();
    // SAFETY: as the caller promises.
    unsafe { view(tensor, &MemoryInfo::default(), numbers, &shape) }
}

/// The same memory once more, in a shape of as many numbers and told to lie in `place`.
///
/// # Safety
/// `tensor` lives at least as long as the result, and whoever uses one of them keeps others from the other
/// meanwhile.
pub(super) unsafe fn view(
    tensor: &DynTensor,
    place: &MemoryInfo,
    numbers: Numbers,
    shape: &[usize],
) -> ort::Result<DynTensor> {
    debug_assert_eq!(
        shape.iter().product::<usize>(),
        tensor.shape().num_elements()
    );
    let shape: Vec<_> = shape.iter().map(|&side| side as i64).collect();
    let mut value = ptr::null_mut();
    // SAFETY: as much memory as the type and the shape say, which the host may use; ONNX Runtime
    // copies the shape.
    unsafe {
        ort::Error::result_from_status((ort::api().CreateTensorWithDataAsOrtValue)(
            place.ptr(),
            tensor.data_ptr().cast_mut(),
            bytes(tensor),
            shape.as_ptr(),
            shape.len(),
            numbers.data_type().into(),
            &mut value,
        ))?;
    }
    let value = NonNull::new(value).ok_or_else(|| ort::Error::new("no tensor was made"))?;
    // SAFETY: a tensor that nobody else has. `ort` wants an allocator to keep; the memory is `tensor`'s.
    Ok(unsafe { DynTensor::from_ptr(value, Some(&pageable())) })
}

/// Size of a tensor of [`Numbers`].
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
    // kind of memory, but takes pinned memory for the GPU's own with ONNX Runtime 1.23 and newer.)
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
