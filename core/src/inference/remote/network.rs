//! A network that a server runs, or the network that was read while none can.
//!
//! Must not know the protocol.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use tokio::task::JoinHandle;

use super::{
    connection::Fault,
    route::Answer,
    runtime,
    same_model::fill,
    server_health::{Expected, Replica, Serving},
    tensors::Values,
};
use crate::{
    Error,
    inference::{Interrupt, Network, TensorInfo, interrupt::WaitEnd},
};

/// See the module.
pub(super) struct RemoteNetwork {
    name: String,
    expected: Arc<Expected>,
    replicas: Vec<Arc<Replica>>,
    /// Takes over, where it is to.
    local: Option<Box<dyn Network>>,
    inputs: Vec<Values>,
    /// What a server drew.
    outputs: Vec<Vec<f32>>,
    is_drawn_here: bool,
    /// Why the server that was lost last was.
    reason: String,
    interrupt: Interrupt,
}

/// Why a call brought nothing.
enum CallEnd {
    Failed(Fault),
    /// It is still under way.
    Late(Fault, JoinHandle<()>),
    Interrupted,
}

impl RemoteNetwork {
    /// `reason` is why servers that do not draw yet cannot.
    pub fn new(
        name: String,
        expected: Arc<Expected>,
        replicas: Vec<Arc<Replica>>,
        local: Option<Box<dyn Network>>,
        interrupt: Interrupt,
        reason: String,
    ) -> Self {
        let signature = &expected.signature;
        let outputs = signature.outputs.iter();
        Self {
            name,
            inputs: signature.inputs.iter().map(Values::zeros).collect(),
            outputs: outputs
                .map(|tensor| vec![0.0; tensor.shape.iter().product()])
                .collect(),
            expected,
            replicas,
            local,
            is_drawn_here: false,
            reason,
            interrupt,
        }
    }

    /// Of the servers that draw, the one with the fewest calls under way.
    fn choose(&self) -> Option<(Arc<Replica>, Arc<Serving>)> {
        let serving = self.replicas.iter().filter_map(|replica| {
            let serving = replica.serving()?;
            Some((replica.clone(), serving))
        });
        serving.min_by_key(|(replica, _)| replica.connection.under_way())
    }

    /// Has the server draw, and waits as long as a call may take.
    fn call(&mut self, replica: &Replica, serving: Arc<Serving>) -> Result<(), CallEnd> {
        let started = Instant::now();
        let timeout = self.expected.timeout;
        let calls = &self.expected.calls;
        let request = serving.served.request(&self.inputs);
        let bytes_out = request.raw_input_contents.iter().map(|raw| raw.len()).sum();
        let answer = Arc::<Mutex<Option<Result<Answer, Fault>>>>::default();
        let failed = |fault: Fault, is_timeout: bool| {
            calls.failed(is_timeout);
            fault
        };
        let runtime = runtime::handle().map_err(|reason| CallEnd::Failed(Fault::answer(reason)))?;
        let call = runtime.spawn({
            let (serving, interrupt) = (serving.clone(), self.interrupt.clone());
            let (answer, expected) = (answer.clone(), self.expected.clone());
            async move {
                let most = serving.served.most();
                let result = serving.route.call(request, most, &expected).await;
                *answer.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
                interrupt.wake();
            }
        });
        let taken = || answer.lock().unwrap_or_else(PoisonError::into_inner).take();
        let result = match self.interrupt.wait_for(started + timeout, taken) {
            Ok(result) => result,
            Err(WaitEnd::TimedOut) => {
                return Err(CallEnd::Late(failed(Fault::timed_out(timeout), true), call));
            }
            Err(WaitEnd::Interrupted) => {
                replica.let_run(&call);
                return Err(CallEnd::Interrupted);
            }
        };
        let read = result.and_then(|answer| {
            let read = serving.served.read(&answer.tensors, &mut self.outputs);
            let bytes_in = read.map_err(Fault::answer)?;
            Ok(match answer.is_shared {
                true => (0, 0),
                false => (bytes_out, bytes_in),
            })
        });
        let (bytes_out, bytes_in) = read.map_err(|fault| {
            let is_timeout = fault.is_timeout();
            CallEnd::Failed(failed(fault, is_timeout))
        })?;
        calls.answered(started.elapsed(), bytes_out, bytes_in);
        Ok(())
    }

    fn run_here(&mut self) -> Result<(), Error> {
        let Some(local) = &mut self.local else {
            return Err(Error::Unreachable {
                reason: self.reason.clone(),
            });
        };
        fill(&mut **local, &self.inputs);
        local.run()
    }
}

impl Network for RemoteNetwork {
    fn name(&self) -> &str {
        &self.name
    }

    fn inputs(&self) -> &[TensorInfo] {
        &self.expected.signature.inputs
    }

    fn outputs(&self) -> &[TensorInfo] {
        &self.expected.signature.outputs
    }

    fn input(&mut self, index: usize) -> &mut [f32] {
        match &mut self.inputs[index] {
            Values::Floats(values) => values,
            Values::Integer(..) => panic!("input {index} is of integers"),
        }
    }

    fn set_integer(&mut self, index: usize, to: i64) {
        match &mut self.inputs[index] {
            Values::Integer(value, _) => *value = to,
            Values::Floats(_) => panic!("input {index} is of floats"),
        }
    }

    fn run(&mut self) -> Result<(), Error> {
        while let Some((replica, serving)) = self.choose() {
            let (fault, late) = match self.call(&replica, serving) {
                Ok(()) => {
                    self.is_drawn_here = false;
                    return Ok(());
                }
                Err(CallEnd::Failed(fault)) => (fault, None),
                Err(CallEnd::Late(fault, call)) => (fault, Some(call)),
                Err(CallEnd::Interrupted) => {
                    return Err(Error::Inference {
                        name: self.name.clone(),
                        reason: "nobody waits for it any more".into(),
                    });
                }
            };
            self.reason = format!("{}: {fault}", replica.server());
            replica.lose(&self.expected, &fault.reason, late);
        }
        self.is_drawn_here = true;
        self.run_here()
    }

    fn output(&self, index: usize) -> &[f32] {
        match &self.local {
            Some(local) if self.is_drawn_here => local.output(index),
            _ => &self.outputs[index],
        }
    }
}

impl Drop for RemoteNetwork {
    fn drop(&mut self) {
        for replica in &self.replicas {
            replica.close(&self.expected.calls);
        }
    }
}
