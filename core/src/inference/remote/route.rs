//! How the calls of one network go to its server: with their tensors, with their tensors in memory
//! that both see, or together with those of others.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use super::{
    connection::{Connection, Fault},
    joined::Lane,
    messages::{MODEL_INFER, ModelInferRequest, ModelInferResponse},
    served::Served,
    server_health::Expected,
    shared_memory::Region,
};

/// See the module.
pub(super) struct Route {
    connection: Arc<Connection>,
    way: Way,
}

enum Way {
    Plain,
    Shared {
        region: Region,
        is_refused: AtomicBool,
    },
    Joined(Arc<Lane>),
}

/// What a call has brought.
pub(super) struct Answer {
    pub tensors: ModelInferResponse,
    /// Whether the tensors have not gone over the network.
    pub is_shared: bool,
}

impl Route {
    /// The best that the user allows and the server takes, which takes `most` rows at once, where
    /// that is known.
    pub async fn find(
        connection: &Arc<Connection>,
        served: &Served,
        most: Option<usize>,
        expected: &Expected,
    ) -> Self {
        let way = match served.rows() {
            Some(rows) if expected.batching > rows && most.is_none_or(|most| most > rows) => {
                let most = most.map_or(expected.batching, |most| most.min(expected.batching));
                let (model, version) = (&expected.model, &expected.version);
                Way::Joined(Lane::get(connection, model, version, most))
            }
            _ if expected.sharing.includes(&connection.address) => {
                let [inputs, outputs] = served.lengths();
                let region = Region::offer(connection, &inputs, &outputs, expected.timeout);
                match region.await {
                    Ok(region) => Way::Shared {
                        region,
                        is_refused: AtomicBool::new(false),
                    },
                    Err(fault) => {
                        let server = &connection.address.given;
                        expected.calls.not_shared(server, &fault.reason);
                        Way::Plain
                    }
                }
            }
            _ => Way::Plain,
        };
        Self {
            connection: connection.clone(),
            way,
        }
    }

    /// An answer has at most `most` bytes.
    pub async fn call(
        &self,
        request: ModelInferRequest,
        most: usize,
        expected: &Expected,
    ) -> Result<Answer, Fault> {
        if let Way::Shared { region, is_refused } = &self.way
            && !is_refused.load(Ordering::Relaxed)
            && region.is_free()
        {
            match region.call(request.clone(), most).await {
                // Another server behind one address, say, which has not opened it.
                Err(fault) if fault.is_refusal() => {
                    is_refused.store(true, Ordering::Relaxed);
                    let server = &self.connection.address.given;
                    expected.calls.not_shared(server, &fault.reason);
                }
                result => {
                    return result.map(|tensors| Answer {
                        tensors,
                        is_shared: true,
                    });
                }
            }
        }
        let tensors = match &self.way {
            Way::Joined(lane) => lane.call(request, most).await,
            _ => self.connection.call(MODEL_INFER, request, most).await,
        };
        tensors.map(|tensors| Answer {
            tensors,
            is_shared: false,
        })
    }
}
