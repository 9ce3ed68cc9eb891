//! One connection to one server, shared by all networks of the process that ask the same of it.
//! It is made with the first call, and made anew after it broke.
//!
//! Must not know tensors.

use std::{
    collections::HashMap,
    error::Error as _,
    fmt,
    sync::{
        Arc, LazyLock, Mutex, PoisonError, Weak,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use prost::Message;
use tonic::{
    Code, Request, Status,
    client::Grpc,
    codegen::http::uri::PathAndQuery,
    metadata::{MetadataKey, MetadataValue},
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity},
};
use tonic_prost::ProstCodec;

use super::{
    address::{Access, Address},
    runtime,
};

/// A connection on which nothing has come for this long while calls are under way is tried with a
/// ping, which has as long to be answered: a frozen server is found within a second. Servers take
/// pings ill that come without need: not before half of the time that a call may take.
const SILENCE: Duration = Duration::from_millis(500);
/// A server that does not even accept a connection by then is none.
const CONNECT: Duration = Duration::from_secs(1);
/// Answers without tensors.
const SMALL: usize = 4 << 20;

/// What makes two connections the same.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Key {
    address: Address,
    access: Access,
    keep_alive: Duration,
}

static OPEN: LazyLock<Mutex<HashMap<Key, Weak<Connection>>>> = LazyLock::new(Default::default);

/// See the module.
pub(super) struct Connection {
    pub address: Address,
    access: Access,
    channel: Channel,
    under_way: AtomicUsize,
}

/// Why a server did not answer as expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub code: Code,
    pub reason: String,
}

impl Fault {
    /// The answer was of no use.
    pub fn answer(reason: String) -> Self {
        Self {
            code: Code::DataLoss,
            reason,
        }
    }

    pub fn timed_out(limit: Duration) -> Self {
        Self {
            code: Code::DeadlineExceeded,
            reason: format!("no answer within {limit:?}"),
        }
    }

    /// Whether the server itself said that time was up: it may say either.
    pub fn is_timeout(&self) -> bool {
        matches!(self.code, Code::DeadlineExceeded | Code::Cancelled)
    }

    /// Whether the same may be taken in another form.
    pub fn is_refusal(&self) -> bool {
        !self.is_timeout() && self.code != Code::Unavailable
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl From<Status> for Fault {
    /// A status hides in its sources what has gone wrong on the way.
    fn from(status: Status) -> Self {
        let mut reason = format!("{:?}: {}", status.code(), status.message());
        let mut source = status.source();
        while let Some(error) = source {
            let text = error.to_string();
            if !reason.contains(&text) {
                reason = format!("{reason}: {text}");
            }
            source = error.source();
        }
        if reason.contains("CaUsedAsEndEntity") {
            reason.push_str(
                ". The server shows an authority's certificate, as `openssl req -x509` makes it; \
                 expected: one with basicConstraints=CA:FALSE",
            );
        }
        Self {
            code: status.code(),
            reason,
        }
    }
}

impl Connection {
    /// The one that is open already, or a new one. Does not reach for the server yet. The error
    /// says which certificate cannot be used.
    pub fn get(address: &Address, access: &Access, timeout: Duration) -> Result<Arc<Self>, String> {
        let key = Key {
            address: address.clone(),
            access: access.clone(),
            keep_alive: SILENCE.max(timeout / 2),
        };
        let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|_, connection| connection.strong_count() > 0);
        if let Some(connection) = open.get(&key).and_then(Weak::upgrade) {
            return Ok(connection);
        }
        let connection = Arc::new(Self {
            address: address.clone(),
            access: access.clone(),
            channel: channel(&key)?,
            under_way: AtomicUsize::new(0),
        });
        open.insert(key, Arc::downgrade(&connection));
        Ok(connection)
    }

    /// Calls that are under way or wait for one, of all networks.
    pub fn under_way(&self) -> usize {
        self.under_way.load(Ordering::Relaxed)
    }

    /// Counts a call for as long as what it gives lives.
    pub fn begin(&self) -> UnderWay<'_> {
        self.under_way.fetch_add(1, Ordering::Relaxed);
        UnderWay(&self.under_way)
    }

    /// Calls a method whose answer holds no tensors, for so long at most.
    pub async fn ask<Q, A>(&self, method: &'static str, ask: Q, limit: Duration) -> Result<A, Fault>
    where
        Q: Message + 'static,
        A: Message + Default + 'static,
    {
        match tokio::time::timeout(limit, self.call(method, ask, SMALL)).await {
            Ok(answer) => answer,
            Err(_) => Err(Fault::timed_out(limit)),
        }
    }

    /// Calls a method whose answer has at most `most` bytes.
    pub async fn call<Q, A>(&self, method: &'static str, ask: Q, most: usize) -> Result<A, Fault>
    where
        Q: Message + 'static,
        A: Message + Default + 'static,
    {
        let mut request = Request::new(ask);
        if let Some(token) = &self.access.token {
            let unusable = |what| Fault {
                code: Code::Unauthenticated,
                reason: format!("the token {what} cannot be sent in a header"),
            };
            let value = token.read().map_err(|reason| Fault {
                code: Code::Unauthenticated,
                reason,
            })?;
            let key: MetadataKey<_> =
                (token.header.parse()).map_err(|_| unusable("header's name"))?;
            let mut value: MetadataValue<_> = value.parse().map_err(|_| unusable("itself"))?;
            value.set_sensitive(true);
            request.metadata_mut().insert(key, value);
        }
        let _under_way = self.begin();
        let mut client = Grpc::new(self.channel.clone())
            .max_decoding_message_size(most)
            .max_encoding_message_size(usize::MAX);
        client
            .ready()
            .await
            .map_err(|error| Fault::from(Status::from_error(error.into())))?;
        let path = PathAndQuery::from_static(method);
        let answer = client.unary(request, path, ProstCodec::default()).await?;
        Ok(answer.into_inner())
    }
}

/// A call that is counted for as long as it is under way, also when nobody waits to its end.
pub(super) struct UnderWay<'a>(&'a AtomicUsize);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn channel(key: &Key) -> Result<Channel, String> {
    let Key {
        address,
        access,
        keep_alive,
    } = key;
    let scheme = match address.is_tls {
        true => "https",
        false => "http",
    };
    let uri = format!("{scheme}://{}", address.authority);
    let unusable = |error: tonic::transport::Error| {
        let source = error.source().map(ToString::to_string);
        format!(
            "`{}` cannot be used: {error}: {}",
            address.given,
            source.unwrap_or_default()
        )
    };
    let mut endpoint = Endpoint::from_shared(uri)
        .map_err(unusable)?
        .connect_timeout(CONNECT)
        .http2_keep_alive_interval(*keep_alive)
        .keep_alive_timeout(SILENCE);
    if address.is_tls {
        let mut tls = ClientTlsConfig::new();
        tls = match &access.ca {
            Some(ca) => tls.ca_certificate(Certificate::from_pem(ca)),
            None => tls.with_native_roots(),
        };
        if let Some([cert, key]) = &access.identity {
            tls = tls.identity(Identity::from_pem(cert, key));
        }
        endpoint = endpoint.tls_config(tls).map_err(unusable)?;
    }
    // The channel has a task of its own.
    let _inside = runtime::handle()?.enter();
    Ok(endpoint.connect_lazy())
}
