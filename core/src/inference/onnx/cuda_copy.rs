//! Copies between the host and tensors on NVIDIA's GPU that stay where they are.
//!
//! A CUDA graph replays a run on the addresses that it was recorded with. ONNX Runtime copies what
//! it is given on the host only in runs that it does not replay, so that the copies are made here,
//! by the CUDA runtime that the provider has brought into the process. Must not know models.

use std::ffi::{CStr, c_char, c_int, c_void};

use ort::memory::{AllocationDevice, Allocator, AllocatorType, MemoryInfo, MemoryType};
use ort::session::Session;
use ort::value::DynTensor;

use crate::inference::onnx::host_tensors;

/// The CUDA runtimes that providers are linked to, the newest first.
const RUNTIMES: [&CStr; 3] = [c"libcudart.so.13", c"libcudart.so.12", c"libcudart.so.11.0"];
/// `cudaMemcpyDefault`: the addresses say which way.
const EITHER_WAY: c_int = 4;

type SetDevice = unsafe extern "C" fn(c_int) -> c_int;
type Memcpy = unsafe extern "C" fn(*mut c_void, *const c_void, usize, c_int) -> c_int;
type ErrorString = unsafe extern "C" fn(c_int) -> *const c_char;

/// One GPU and the functions of the CUDA runtime, which stays loaded as the provider does.
pub(super) struct Gpu {
    device: c_int,
    set_device: SetDevice,
    memcpy: Memcpy,
    error_string: ErrorString,
}

impl Gpu {
    /// `None` where the process has no CUDA runtime.
    pub fn open(device_id: u32) -> Option<Self> {
        let runtime = RUNTIMES.iter().find_map(|name| {
            // SAFETY: a string that ends with 0; nothing is loaded that is not there.
            let handle = unsafe { libc::dlopen(name.as_ptr(), libc::RTLD_NOW | libc::RTLD_NOLOAD) };
            (!handle.is_null()).then_some(handle)
        })?;
        let find = |name: &CStr| {
            // SAFETY: a handle that `dlopen` gave and that is never closed.
            let function = unsafe { libc::dlsym(runtime, name.as_ptr()) };
            (!function.is_null()).then_some(function)
        };
        let set_device = find(c"cudaSetDevice")?;
        let memcpy = find(c"cudaMemcpy")?;
        let error_string = find(c"cudaGetErrorString")?;
        // SAFETY: the CUDA runtime declares its functions with these types, in all versions.
        unsafe {
            Some(Self {
                device: c_int::try_from(device_id).ok()?,
                set_device: std::mem::transmute::<*mut c_void, SetDevice>(set_device),
                memcpy: std::mem::transmute::<*mut c_void, Memcpy>(memcpy),
                error_string: std::mem::transmute::<*mut c_void, ErrorString>(error_string),
            })
        }
    }

    /// Memory on the GPU, for tensors that live as long as the session at most.
    ///
    /// # Errors
    /// Those of ONNX Runtime.
    pub fn allocator(&self, session: &Session) -> ort::Result<Allocator> {
        Allocator::new(session, on_device(self.device)?)
    }

    /// Copies all of a tensor to one of the same type and shape and waits until that is done; one of
    /// them is on this GPU, the other one on the host or there, too.
    ///
    /// # Errors
    /// What the CUDA runtime says.
    pub fn copy(&self, from: &DynTensor, to: &mut DynTensor) -> Result<(), String> {
        let (size, room) = (host_tensors::bytes(from), host_tensors::bytes(to));
        if size != room {
            return Err(format!("{size} bytes do not fill a tensor of {room}"));
        }
        // SAFETY: both tensors own memory of `size` bytes, and `&mut` lets nobody else see where
        // it is written. No run that uses them is under way: their network is borrowed.
        let status = unsafe {
            match (self.set_device)(self.device) {
                0 => (self.memcpy)(to.data_ptr_mut(), from.data_ptr(), size, EITHER_WAY),
                failed => failed,
            }
        };
        if status == 0 {
            return Ok(());
        }
        // SAFETY: gives a text that is never freed for any number.
        let text = unsafe { CStr::from_ptr((self.error_string)(status)) };
        Err(format!("CUDA error {status}, {}", text.to_string_lossy()))
    }
}

/// Memory of that GPU.
///
/// # Errors
/// Those of ONNX Runtime.
pub(super) fn memory(device_id: u32) -> ort::Result<MemoryInfo<'static>> {
    on_device(c_int::try_from(device_id).unwrap_or(0))
}

fn on_device(device: c_int) -> ort::Result<MemoryInfo<'static>> {
    MemoryInfo::new(
        AllocationDevice::CUDA,
        device,
        AllocatorType::Device,
        MemoryType::Default,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_provider_for_a_card_there_is_no_cuda_runtime() {
        assert!(Gpu::open(0).is_none());
    }
}
