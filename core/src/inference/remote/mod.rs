//! Networks that a server runs, by the Open Inference Protocol (KServe v2) over gRPC: Triton,
//! OpenVINO Model Server, KServe, MLServer.
//!
//! The `.onnx` file is read all the same: names, shapes and what to expect come from it, and it
//! draws while no server can.
//!
//! Must not know what a network is for.

mod address;
mod connection;
mod joined;
pub mod messages;
mod network;
mod route;
mod runtime;
mod same_model;
mod served;
mod server_health;
mod shared_memory;
mod tensors;

use std::{
    sync::{Arc, mpsc},
    time::Duration,
};

use super::{Backend, Model, OnUnreachable, OpenNetwork, Options, Provider, onnx::OnnxRuntime};
use crate::Error;
use address::Settings;
use connection::{Connection, Fault};
use network::RemoteNetwork;
use same_model::Probe;
use served::Signature;
use server_health::{Expected, Refusal, Replica, Serving};

/// Servers that the options name, and ONNX Runtime in this process while none of them can draw.
#[derive(Clone, Copy, Debug)]
pub struct Remote;

impl Backend for Remote {
    fn check(&self, options: &Options) -> Result<(), Error> {
        OnnxRuntime.check(&options.local())?;
        settings(options).map(|_| ())
    }

    fn open(
        &self,
        model: &Model,
        options: &Options,
        shapes: &[(&str, &[usize])],
    ) -> Result<OpenNetwork, Error> {
        let settings = settings(options)?;
        let connections = connections(&settings)?;
        let name = settings
            .model
            .clone()
            .unwrap_or_else(|| model.served_name());
        let batch = options.batch.max(1);
        let most = most_at_once(&connections, &name, &settings);
        let local = Options {
            batch: most.map_or(batch, |most| most.min(batch)),
            ..options.local()
        };
        let mut local = OnnxRuntime.open(model, &local, shapes)?;
        let expected = Arc::new(Expected {
            model: name,
            version: settings.version.clone(),
            timeout: settings.timeout,
            signature: Signature {
                inputs: local.network.inputs().to_vec(),
                outputs: local.network.outputs().to_vec(),
                views: model.views,
            },
            probe: Probe::new(&mut *local.network, model.views.as_ref())?,
            calls: options.calls.clone(),
            sharing: settings.sharing,
            batching: settings.batching,
        });
        let verified = on_all(&connections, {
            let expected = expected.clone();
            move |connection| {
                let expected = expected.clone();
                async move { server_health::verify(&connection, &expected).await }
            }
        });
        let reason = judge(&connections, &verified, &expected, batch, options)?;
        let replicas: Vec<_> = (connections.into_iter())
            .map(|connection| Arc::new(Replica::new(connection)))
            .collect();
        let mut away = Vec::new();
        for (replica, verified) in replicas.iter().zip(verified) {
            match verified {
                Ok(serving) => {
                    expected.calls.gained(replica.server(), false);
                    replica.serve(serving);
                }
                Err(refusal) => away.push((replica, refusal)),
            }
        }
        // With each it is told how many are left.
        for (replica, refusal) in away {
            replica.lose(&expected, &refusal.reason(), None);
        }
        let falls_back = options.server.on_unreachable == OnUnreachable::Local;
        Ok(OpenNetwork {
            network: Box::new(RemoteNetwork::new(
                local.network.name().to_owned(),
                expected,
                replicas,
                falls_back.then_some(local.network),
                options.interrupt.clone(),
                reason,
            )),
            active: Provider::Remote,
            fallbacks: Vec::new(),
        })
    }

    fn opens_in_parallel(&self, options: &Options) -> bool {
        OnnxRuntime.opens_in_parallel(&options.local())
    }

    fn leaves_a_cpu(&self, _provider: Provider) -> bool {
        true
    }
}

fn settings(options: &Options) -> Result<Settings, Error> {
    Settings::new(options).map_err(|reason| Provider::Remote.unavailable(reason))
}

fn connections(settings: &Settings) -> Result<Vec<Arc<Connection>>, Error> {
    let servers = settings.servers.iter();
    let open = servers
        .map(|address| Connection::get(address, &settings.access, settings.timeout))
        .collect::<Result<_, _>>();
    open.map_err(|reason| Provider::Remote.unavailable(reason))
}

/// How many things the servers take at once, as far as they say.
fn most_at_once(
    connections: &[Arc<Connection>],
    model: &str,
    settings: &Settings,
) -> Option<usize> {
    let (model, version) = (model.to_owned(), settings.version.clone());
    let limit = settings.timeout;
    let described = on_all(connections, move |connection| {
        let (model, version) = (model.clone(), version.clone());
        async move { server_health::describe(&connection, &model, &version, limit).await }
    });
    let limits = described.into_iter().flatten().filter_map(|(_, most)| most);
    limits.min()
}

/// Fails where a server serves another model, takes fewer at once, or none can draw and that is to
/// be an error. Otherwise gives why one cannot.
fn judge(
    connections: &[Arc<Connection>],
    verified: &[Result<Serving, Refusal>],
    expected: &Expected,
    batch: usize,
    options: &Options,
) -> Result<String, Error> {
    let mut reasons = Vec::new();
    for (connection, verified) in connections.iter().zip(verified) {
        let server = &connection.address.given;
        match verified {
            Ok(_) => (),
            Err(Refusal::Misfit(misfit)) => {
                return Err(Error::ModelMismatch {
                    name: format!("{} on {server}", expected.model),
                    found: misfit.found.clone(),
                    expected: misfit.expected.clone(),
                });
            }
            Err(Refusal::Away(fault))
                if batch > 1 && fault.code == tonic::Code::InvalidArgument =>
            {
                return Err(Error::Inference {
                    name: format!("{} on {server}", expected.model),
                    reason: fault.reason.clone(),
                });
            }
            Err(Refusal::Away(fault)) => reasons.push(format!("{server}: {fault}")),
        }
    }
    let reason = reasons.join("; ");
    let is_error = options.server.on_unreachable == OnUnreachable::Error;
    match verified.iter().all(Result::is_err) && is_error {
        true => Err(Error::Unreachable { reason }),
        false => Ok(reason),
    }
}

/// A longer opening than that is given up.
const OPENING: Duration = Duration::from_secs(60);

/// Does the same with all servers at once, on the threads for that, and waits for the answers.
fn on_all<T, F, E>(
    connections: &[Arc<Connection>],
    work: impl Fn(Arc<Connection>) -> F,
) -> Vec<Result<T, E>>
where
    T: Send + 'static,
    E: From<Fault> + Send + 'static,
    F: Future<Output = Result<T, E>> + Send + 'static,
{
    let waiting = connections.iter().map(|connection| {
        let (done, result) = mpsc::sync_channel(1);
        let work = work(connection.clone());
        if let Ok(runtime) = runtime::handle() {
            runtime.spawn(async move {
                // Nobody waits any more.
                let _ = done.send(work.await);
            });
        }
        result
    });
    let waiting: Vec<_> = waiting.collect();
    let results = waiting.into_iter().map(|result| {
        let result = result.recv_timeout(OPENING);
        result.unwrap_or_else(|_| Err(Fault::timed_out(OPENING).into()))
    });
    results.collect()
}
