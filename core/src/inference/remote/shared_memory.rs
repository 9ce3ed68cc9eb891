//! Memory that this process and a server of the same machine both see: tensors lie there, and calls
//! only say where. Triton's extension of the protocol.
//!
//! Must not know which tensors there are.

use std::{
    collections::HashMap,
    fs::{self, File, OpenOptions},
    hash::{BuildHasher as _, RandomState},
    io,
    os::unix::fs::{FileExt as _, OpenOptionsExt as _},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    time::Duration,
};

use prost::bytes::Bytes;
use tokio::runtime::Handle;

use super::{
    connection::{Connection, Fault},
    messages::{
        Choice, Empty, MODEL_INFER, ModelInferRequest, ModelInferResponse, Parameter,
        SHARED_MEMORY_REGISTER, SHARED_MEMORY_UNREGISTER, SharedMemoryRegisterRequest,
        SharedMemoryUnregisterRequest,
    },
    runtime,
};

/// Where Linux has memory by name.
const FOLDER: &str = "/dev/shm";
/// A server that does not let go of a region by then is not waited for.
const GOODBYE: Duration = Duration::from_millis(250);
/// What is written at once where a region is made.
static ZEROS: [u8; 1 << 16] = [0; 1 << 16];

/// Where a tensor lies: its first byte, and how many.
pub(super) type Place = (usize, usize);

/// Room for the tensors of one call at a time.
pub(super) struct Region {
    name: String,
    memory: File,
    inputs: Vec<Place>,
    outputs: Vec<Place>,
    /// A call was made whose answer has not come: the server may still read and write.
    is_taken: AtomicBool,
    connection: Arc<Connection>,
}

impl Region {
    /// Makes one for tensors of so many bytes and has the server open it. Fails where there is no
    /// such memory, and where the server does not see it or does not want it.
    pub async fn offer(
        connection: &Arc<Connection>,
        inputs: &[usize],
        outputs: &[usize],
        limit: Duration,
    ) -> Result<Self, Fault> {
        let name = format!("lipsync-{:016x}", RandomState::new().hash_one(0));
        let mut end = 0;
        let mut places = |lengths: &[usize]| -> Vec<Place> {
            let lengths = lengths.iter();
            lengths
                .map(|&length| {
                    let start = end;
                    end += length;
                    (start, length)
                })
                .collect()
        };
        let (inputs, outputs) = (places(inputs), places(outputs));
        let (memory, named) = create(&name, end)
            .map_err(|error| Fault::answer(format!("{FOLDER}/{name} cannot be made: {error}")))?;
        let ask = SharedMemoryRegisterRequest {
            name: name.clone(),
            key: format!("/{name}"),
            offset: 0,
            byte_size: end as u64,
        };
        let answer = connection.ask::<_, Empty>(SHARED_MEMORY_REGISTER, ask, limit);
        answer.await?;
        // The server has it open: whatever becomes of this process, nothing is left of it.
        drop(named);
        Ok(Self {
            name,
            memory,
            inputs,
            outputs,
            is_taken: AtomicBool::new(false),
            connection: connection.clone(),
        })
    }

    /// Whether a call may be made. Not while a call is under way that nobody waits for any more.
    pub fn is_free(&self) -> bool {
        !self.is_taken.load(Ordering::Acquire)
    }

    /// The call with its tensors in the region, and the answer as if it had brought them. `most` is
    /// what an answer without tensors may have.
    pub async fn call(
        &self,
        mut request: ModelInferRequest,
        most: usize,
    ) -> Result<ModelInferResponse, Fault> {
        self.is_taken.store(true, Ordering::Release);
        let lost = |error: io::Error| Fault::answer(format!("shared memory: {error}"));
        for (raw, place) in request.raw_input_contents.drain(..).zip(&self.inputs) {
            let fits = raw.len() == place.1;
            let written = fits.then(|| self.memory.write_all_at(&raw, place.0 as u64));
            written
                .unwrap_or_else(|| Err(io::ErrorKind::InvalidInput.into()))
                .map_err(lost)?;
        }
        for (input, place) in request.inputs.iter_mut().zip(&self.inputs) {
            input.parameters = self.parameters(*place);
        }
        for (output, place) in request.outputs.iter_mut().zip(&self.outputs) {
            output.parameters = self.parameters(*place);
        }
        let asked: Vec<_> = (request.outputs.iter())
            .map(|output| output.name.clone())
            .collect();
        let call = self.connection.call(MODEL_INFER, request, most);
        let mut answer: ModelInferResponse = call.await?;
        // Outputs come in the server's order.
        answer.raw_output_contents.clear();
        for output in &answer.outputs {
            let place = asked.iter().position(|name| *name == output.name);
            let place = place.and_then(|index| self.outputs.get(index));
            let mut raw = vec![0; place.map_or(0, |place| place.1)];
            if let Some(place) = place {
                (self.memory.read_exact_at(&mut raw, place.0 as u64)).map_err(lost)?;
            }
            answer.raw_output_contents.push(Bytes::from(raw));
        }
        self.is_taken.store(false, Ordering::Release);
        Ok(answer)
    }

    fn parameters(&self, (offset, length): Place) -> HashMap<String, Parameter> {
        let values = [
            ("shared_memory_region", Choice::Text(self.name.clone())),
            ("shared_memory_offset", Choice::Integer(offset as i64)),
            ("shared_memory_byte_size", Choice::Integer(length as i64)),
        ];
        let parameter = |choice| Parameter {
            choice: Some(choice),
        };
        let values = values.into_iter();
        values
            .map(|(key, choice)| (key.to_owned(), parameter(choice)))
            .collect()
    }
}

impl Drop for Region {
    /// Has the server let go of it, or its memory would grow with every stream.
    fn drop(&mut self) {
        let Ok(runtime) = runtime::handle() else {
            return;
        };
        let ask = SharedMemoryUnregisterRequest {
            name: self.name.clone(),
        };
        let connection = self.connection.clone();
        let (done, answer) = mpsc::sync_channel(1);
        runtime.spawn(async move {
            let limit = Duration::from_secs(1);
            let asked = connection.ask::<_, Empty>(SHARED_MEMORY_UNREGISTER, ask, limit);
            let _ = asked.await;
            let _ = done.send(());
        });
        // The process may end next, and the call with it.
        if Handle::try_current().is_err() {
            let _ = answer.recv_timeout(GOODBYE);
        }
    }
}

/// The name of a region; dropped, it is gone, and who has it open keeps it.
struct Named(PathBuf);

impl Drop for Named {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// Memory that is there to the last byte: a server that writes where there is none dies.
fn create(name: &str, length: usize) -> io::Result<(File, Named)> {
    let path = PathBuf::from(FOLDER).join(name);
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true).mode(0o600);
    let memory = options.open(&path)?;
    let named = Named(path);
    for start in (0..length).step_by(ZEROS.len()) {
        let zeros = &ZEROS[..ZEROS.len().min(length - start)];
        memory.write_all_at(zeros, start as u64)?;
    }
    Ok((memory, named))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_has_no_name_once_it_is_open() {
        let (memory, named) = create("lipsync-test-of-names", 100_000).unwrap();
        let path = named.0.clone();
        assert_eq!(memory.metadata().unwrap().len(), 100_000);
        drop(named);
        assert!(!path.exists());
        memory.write_all_at(b"here", 99_996).unwrap();
    }
}
