//! Calls of several networks of this process as one: what comes while a call is under way goes
//! together in the next. Nothing waits for others to come.
//!
//! Must not know what tensors hold.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use prost::bytes::Bytes;
use tokio::{sync::oneshot, time};

use super::{
    connection::{Connection, Fault},
    messages::{InferTensor, MODEL_INFER, ModelInferRequest, ModelInferResponse},
    server_health::PATIENCE,
};

type Answer = Result<ModelInferResponse, Fault>;

static OPEN: Mutex<Vec<Weak<Lane>>> = Mutex::new(Vec::new());

/// Calls of one model of one server.
pub(super) struct Lane {
    connection: Arc<Connection>,
    model: String,
    version: String,
    state: Mutex<State>,
}

struct State {
    /// Rows that go in one call at most.
    most: usize,
    waiting: VecDeque<Waiting>,
    is_busy: bool,
}

struct Waiting {
    request: ModelInferRequest,
    rows: usize,
    /// Bytes that the answer may have.
    most: usize,
    done: oneshot::Sender<Answer>,
}

impl Lane {
    /// The one that there is already for the model, or a new one, for so many rows in a call.
    pub fn get(connection: &Arc<Connection>, model: &str, version: &str, most: usize) -> Arc<Self> {
        let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|lane| lane.strong_count() > 0);
        let is_this = |lane: &Arc<Self>| {
            Arc::ptr_eq(&lane.connection, connection)
                && (lane.model.as_str(), lane.version.as_str()) == (model, version)
        };
        if let Some(lane) = open.iter().filter_map(Weak::upgrade).find(is_this) {
            lane.state().most = most;
            return lane;
        }
        let lane = Arc::new(Self {
            connection: connection.clone(),
            model: model.to_owned(),
            version: version.to_owned(),
            state: Mutex::new(State {
                most,
                waiting: VecDeque::new(),
                is_busy: false,
            }),
        });
        open.push(Arc::downgrade(&lane));
        lane
    }

    /// As [`Connection::call`], once the call that is under way has ended.
    pub async fn call(self: &Arc<Self>, request: ModelInferRequest, most: usize) -> Answer {
        let _under_way = self.connection.begin();
        let (done, answer) = oneshot::channel();
        let is_first = self.queue(Waiting {
            rows: rows(&request.inputs),
            request,
            most,
            done,
        });
        if is_first {
            tokio::spawn(work(self.clone()));
        }
        let given_up = |_| Err(Fault::answer("the call was given up".into()));
        answer.await.unwrap_or_else(given_up)
    }

    /// Whether nobody works yet.
    fn queue(&self, waiting: Waiting) -> bool {
        let mut state = self.state();
        state.waiting.push_back(waiting);
        !std::mem::replace(&mut state.is_busy, true)
    }

    /// Those that go in the next call; none, and nobody works any more, where nobody waits.
    fn next(&self) -> Vec<Waiting> {
        let mut state = self.state();
        let most = state.most;
        let mut together = Vec::<Waiting>::new();
        let mut total = 0;
        let mut others = VecDeque::new();
        for waiting in state.waiting.drain(..) {
            if waiting.done.is_closed() {
                continue;
            }
            let fits = together.first().is_none_or(|first| {
                total + waiting.rows <= most && is_alike(&first.request, &waiting.request)
            });
            match fits {
                true => {
                    total += waiting.rows;
                    together.push(waiting);
                }
                false => others.push_back(waiting),
            }
        }
        state.waiting = others;
        state.is_busy = !together.is_empty();
        together
    }

    async fn send(&self, together: Vec<Waiting>) {
        let request = join(&together);
        let total = rows(&request.inputs);
        let most = together.iter().map(|waiting| waiting.most).sum();
        let call = time::timeout(PATIENCE, self.connection.call(MODEL_INFER, request, most));
        let answer: Answer = call
            .await
            .unwrap_or_else(|_| Err(Fault::timed_out(PATIENCE)));
        let parts = match &answer {
            Ok(answer) => split(answer, &together),
            Err(_) => None,
        };
        let is_refused = match &answer {
            Ok(_) => parts.is_none(),
            Err(fault) => fault.is_refusal(),
        };
        if is_refused && together.len() > 1 {
            self.take_back(together, total / 2);
            return;
        }
        for (index, waiting) in together.into_iter().enumerate() {
            let part = match &parts {
                Some(parts) => Ok(parts[index].clone()),
                None => answer.clone(),
            };
            // Nobody waits any more.
            let _ = waiting.done.send(part);
        }
    }

    /// They were too many at once: fewer from here on.
    fn take_back(&self, together: Vec<Waiting>, most: usize) {
        let mut state = self.state();
        state.most = most.max(1);
        for waiting in together.into_iter().rev() {
            state.waiting.push_front(waiting);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing in here panics half-way.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn work(lane: Arc<Lane>) {
    loop {
        let together = lane.next();
        if together.is_empty() {
            return;
        }
        lane.send(together).await;
    }
}

/// The first dimension, which is the same in all tensors that are joined.
fn rows(tensors: &[InferTensor]) -> usize {
    let first = tensors.first().and_then(|tensor| tensor.shape.first());
    first.map_or(0, |rows| usize::try_from(*rows).unwrap_or(0))
}

/// Whether both ask the same, of any number of rows.
fn is_alike(one: &ModelInferRequest, other: &ModelInferRequest) -> bool {
    let is_alike = |(one, other): (&InferTensor, &InferTensor)| {
        (&one.name, &one.datatype) == (&other.name, &other.datatype)
            && one.shape.get(1..) == other.shape.get(1..)
    };
    one.inputs.len() == other.inputs.len()
        && one.inputs.iter().zip(&other.inputs).all(is_alike)
        && one.outputs == other.outputs
}

fn join(together: &[Waiting]) -> ModelInferRequest {
    let mut joined = together[0].request.clone();
    if let [_] = together {
        return joined;
    }
    let total: usize = together.iter().map(|waiting| waiting.rows).sum();
    for (index, input) in joined.inputs.iter_mut().enumerate() {
        input.shape[0] = total as i64;
        let raw = together.iter();
        let raw: Vec<_> = raw
            .map(|waiting| &waiting.request.raw_input_contents[index][..])
            .collect();
        joined.raw_input_contents[index] = raw.concat().into();
    }
    joined
}

/// Each its rows; `None` where they are not as expected.
fn split(answer: &ModelInferResponse, together: &[Waiting]) -> Option<Vec<ModelInferResponse>> {
    let total: usize = together.iter().map(|waiting| waiting.rows).sum();
    let is_whole = |(output, raw): (&InferTensor, &Bytes)| {
        output.shape.first() == Some(&(total as i64)) && raw.len() % total == 0
    };
    let raw = &answer.raw_output_contents;
    if raw.len() != answer.outputs.len() || !answer.outputs.iter().zip(raw).all(is_whole) {
        return None;
    }
    let mut begin = 0;
    let parts = together.iter().map(|waiting| {
        let rows = begin..begin + waiting.rows;
        begin = rows.end;
        let mut part = answer.clone();
        for output in &mut part.outputs {
            output.shape[0] = waiting.rows as i64;
        }
        for raw in &mut part.raw_output_contents {
            let row = raw.len() / total;
            *raw = raw.slice(rows.start * row..rows.end * row);
        }
        part
    });
    Some(parts.collect())
}
