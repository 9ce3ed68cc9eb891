//! One server for one network: whether it serves the model, and when it is back after it was
//! lost. That it is lost is seen where it is called, in `network.rs`, and while it is opened, in
//! `mod.rs`.
//!
//! Must not know which of several is chosen.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::task::{AbortHandle, JoinHandle};
use tonic::Code;

use super::{
    address::Sharing,
    connection::{Connection, Fault},
    messages::{
        MODEL_CONFIG, MODEL_METADATA, MODEL_READY, ModelConfigResponse, ModelMetadataResponse,
        ModelReadyResponse, ModelRequest,
    },
    route::Route,
    runtime,
    same_model::Probe,
    served::{self, Misfit, Served, Signature},
};
use crate::inference::Calls;

/// The first run of a model may take longer than all others.
const FIRST_RUN: Duration = Duration::from_secs(10);
/// A lost server is looked at after this long, then after twice as long, and so on.
const SOON: Duration = Duration::from_millis(250);
const AT_LAST: Duration = Duration::from_secs(4);
/// A server that was not lost for this long is trusted again.
const TRUSTED: Duration = Duration::from_secs(30);
/// A late call is not waited for any longer: it does not come.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// What a server has to serve. `probe` holds what the network that was read makes of fixed inputs.
pub(super) struct Expected {
    pub model: String,
    pub version: String,
    pub timeout: Duration,
    pub signature: Signature,
    pub probe: Probe,
    pub calls: Calls,
    pub sharing: Sharing,
    pub batching: usize,
}

/// What a server draws with, and how it is asked.
pub(super) struct Serving {
    pub served: Served,
    pub route: Route,
}

/// Why a server cannot draw.
#[derive(Clone, Debug)]
pub(super) enum Refusal {
    Away(Fault),
    /// It serves another model.
    Misfit(Misfit),
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        Self::Away(fault)
    }
}

impl Refusal {
    pub fn reason(&self) -> String {
        match self {
            Self::Away(fault) => fault.reason.clone(),
            Self::Misfit(Misfit { found, expected }) => {
                format!("it serves another model. Found: {found}. Expected: {expected}")
            }
        }
    }
}

/// See the module.
pub(super) struct Replica {
    pub connection: Arc<Connection>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// There while the server draws.
    serving: Option<Arc<Serving>>,
    /// What to wait before it is looked at, and since when it is trusted.
    wait: Duration,
    lost: Option<Instant>,
    /// A late call, and who waits for the server to be back.
    tasks: Vec<AbortHandle>,
}

impl Replica {
    pub fn new(connection: Arc<Connection>) -> Self {
        Self {
            connection,
            state: Mutex::default(),
        }
    }

    pub fn server(&self) -> &str {
        &self.connection.address.given
    }

    /// There while it draws.
    pub fn serving(&self) -> Option<Arc<Serving>> {
        self.state().serving.clone()
    }

    /// From here on it draws.
    pub fn serve(&self, serving: Serving) {
        self.state().serving = Some(Arc::new(serving));
    }

    /// A call for which nobody waits any more ends with the network, if not before.
    pub fn let_run(&self, call: &JoinHandle<()>) {
        let mut state = self.state();
        state.tasks.retain(|task| !task.is_finished());
        state.tasks.push(call.abort_handle());
    }

    /// From here on it does not, until it is found again. A `late` call is let run to its end:
    /// the server computes it anyway, and gets nothing else until then.
    pub fn lose(
        self: &Arc<Self>,
        expected: &Arc<Expected>,
        reason: &str,
        late: Option<JoinHandle<()>>,
    ) {
        let mut state = self.state();
        let drew = state.serving.take();
        let is_trusted = state.lost.is_none_or(|lost| lost.elapsed() > TRUSTED);
        state.wait = match is_trusted {
            true => SOON,
            false => (state.wait * 2).min(AT_LAST),
        };
        state.lost = Some(Instant::now());
        let Ok(runtime) = runtime::handle() else {
            return;
        };
        state.tasks.retain(|task| !task.is_finished());
        state
            .tasks
            .extend(late.as_ref().map(JoinHandle::abort_handle));
        let (replica, expected_there, wait) = (self.clone(), expected.clone(), state.wait);
        let drew_before = drew.is_some();
        let watch = runtime.spawn(async move {
            // Not in the thread that waits for frames: what it shares is given back.
            drop(drew);
            watch(replica, expected_there, late, wait).await;
        });
        state.tasks.push(watch.abort_handle());
        drop(state);
        expected.calls.lost(self.server(), reason, drew_before);
    }

    /// Nobody needs it any more.
    pub fn close(&self, calls: &Calls) {
        let mut state = self.state();
        state.tasks.drain(..).for_each(|task| task.abort());
        let drew = state.serving.take();
        drop(state);
        if drew.is_some() {
            calls.closed();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing in here panics half-way.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits for a lost server to be back.
async fn watch(
    replica: Arc<Replica>,
    expected: Arc<Expected>,
    late: Option<JoinHandle<()>>,
    mut wait: Duration,
) {
    if let Some(mut late) = late
        && tokio::time::timeout(PATIENCE, &mut late).await.is_err()
    {
        late.abort();
    }
    loop {
        tokio::time::sleep(wait).await;
        match verify(&replica.connection, &expected).await {
            Ok(serving) => {
                // Before it may be lost again.
                expected.calls.gained(replica.server(), true);
                replica.serve(serving);
                return;
            }
            Err(_) => wait = (wait * 2).min(AT_LAST),
        }
    }
}

/// What a server says of a model: its description, and how many things it takes at once where
/// that is limited.
pub(super) async fn describe(
    connection: &Connection,
    model: &str,
    version: &str,
    limit: Duration,
) -> Result<(ModelMetadataResponse, Option<usize>), Fault> {
    let ask = || ModelRequest {
        name: model.to_owned(),
        version: version.to_owned(),
    };
    let ready = connection.ask::<_, ModelReadyResponse>(MODEL_READY, ask(), limit);
    match ready.await {
        Ok(answer) if !answer.ready => {
            return Err(Fault {
                code: Code::Unavailable,
                reason: format!("the model `{model}` is not ready"),
            });
        }
        // A dialect without it.
        Err(fault) if fault.code == Code::Unimplemented => (),
        ready => {
            ready?;
        }
    }
    let mut metadata: ModelMetadataResponse = connection.ask(MODEL_METADATA, ask(), limit).await?;
    metadata.name = model.to_owned();
    let most = served::first_dimension(&metadata);
    // Only Triton has it.
    let config = connection.ask::<_, ModelConfigResponse>(MODEL_CONFIG, ask(), limit);
    let config = config.await.ok().and_then(|answer| answer.config);
    let limit = config.and_then(|config| usize::try_from(config.max_batch_size).ok());
    let limit = limit.filter(|limit| *limit > 0);
    Ok((metadata, most.into_iter().chain(limit).min()))
}

/// Whether a server serves the model: its tensors agree, and it makes the same of the probes, the
/// last of them in the time that a call has.
pub(super) async fn verify(
    connection: &Arc<Connection>,
    expected: &Expected,
) -> Result<Serving, Refusal> {
    let Expected {
        model,
        version,
        timeout,
        ..
    } = expected;
    let (metadata, most) = describe(connection, model, version, *timeout).await?;
    let served = Served::new(&metadata, version, &expected.signature).map_err(Refusal::Misfit)?;
    let route = Route::find(connection, &served, most, expected).await;
    let mut took = Duration::ZERO;
    for case in &expected.probe.cases {
        let started = Instant::now();
        let limit = FIRST_RUN.max(*timeout);
        let request = served.request(&case.inputs);
        let call = route.call(request, served.most(), expected);
        let answer = tokio::time::timeout(limit, call).await;
        let answer = answer.unwrap_or_else(|_| Err(Fault::timed_out(limit)))?;
        let mut outputs = case.outputs();
        served
            .read(&answer.tensors, &mut outputs)
            .map_err(Fault::answer)?;
        let name = |index: usize| expected.signature.outputs[index].name.clone();
        case.compare(&outputs, name).map_err(Refusal::Misfit)?;
        took = started.elapsed();
    }
    match took > *timeout {
        false => Ok(Serving { served, route }),
        true => Err(Refusal::Away(Fault {
            code: Code::DeadlineExceeded,
            reason: format!("a run takes {took:?}, and `remote-timeout` is {timeout:?}"),
        })),
    }
}
