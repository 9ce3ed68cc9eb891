//! What a user says of servers: addresses, the model's name there, certificates and tokens.
//!
//! None of it ever comes from a model's manifest but the model's name.

use std::{fs, net::IpAddr, path::Path, time::Duration};

use crate::inference::Options;

/// Where Triton and others listen for gRPC.
const PORT: u16 = 8001;
/// Where a token is expected, unless `token-header` names another header.
const AUTHORIZATION: &str = "authorization";
/// What `provider-options` may hold.
const KEYS: [&str; 9] = [
    "model",
    "model-version",
    "ca",
    "cert",
    "key",
    "token-file",
    "token-header",
    "shared-memory",
    "batching",
];
/// Streams that may go in one call: as many as fill any GPU.
const BATCHING_MAX: usize = 256;

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Settings {
    pub servers: Vec<Address>,
    /// The model's name on the servers, where it is said.
    pub model: Option<String>,
    /// Empty: the highest.
    pub version: String,
    pub access: Access,
    pub timeout: Duration,
    pub sharing: Sharing,
    /// Rows that may go in one call, of several networks together.
    pub batching: usize,
}

/// Which servers are offered memory that both see.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Sharing {
    /// Those of this machine, as far as their addresses say.
    #[default]
    Auto,
    Yes,
    No,
}

impl Sharing {
    pub fn includes(self, address: &Address) -> bool {
        match self {
            Self::Auto => address.is_here(),
            Self::Yes => true,
            Self::No => false,
        }
    }
}

/// One server.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Address {
    /// As it was given, for messages.
    pub given: String,
    pub is_tls: bool,
    /// `HOST:PORT`.
    pub authority: String,
}

impl Address {
    /// Whether it is this machine's own.
    fn is_here(&self) -> bool {
        let host = self.authority.rsplit_once(':').map_or("", |(host, _)| host);
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let is_loopback = |address: IpAddr| address.is_loopback();
        host.eq_ignore_ascii_case("localhost") || host.parse().is_ok_and(is_loopback)
    }
}

/// What servers want to see, and how they prove who they are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Access {
    /// PEM: authorities that sign servers' certificates; without, the system's.
    pub ca: Option<String>,
    /// PEM: certificate and key to show.
    pub identity: Option<[String; 2]>,
    pub token: Option<Token>,
}

/// A secret that goes with every call.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Token {
    pub file: String,
    pub header: String,
}

impl Token {
    /// As the file has it now: tokens are renewed. The name of the header and what it holds.
    pub fn read(&self) -> Result<String, String> {
        let text = read("token-file", &self.file)?;
        let token = text.trim();
        Ok(match self.header.as_str() {
            AUTHORIZATION if !token.contains(' ') => format!("Bearer {token}"),
            _ => token.to_owned(),
        })
    }
}

impl Settings {
    /// Reads certificates. The error says what was found and expected.
    pub fn new(options: &Options) -> Result<Self, String> {
        let values = match &options.provider_options {
            Some(given) if given.provider != "remote" => {
                return Err(format!(
                    "`provider-options` are for `{}`; remote is expected",
                    given.provider
                ));
            }
            Some(given) => given.values.as_slice(),
            None => &[],
        };
        if let Some((key, _)) = values.iter().find(|(key, _)| !KEYS.contains(&key.as_str())) {
            return Err(format!(
                "`provider-options` has `{key}`; expected: {}",
                KEYS.join(", ")
            ));
        }
        let value = |name: &str| {
            let mut found = values
                .iter()
                .filter(|(key, value)| key == name && !value.is_empty());
            found.next().map(|(_, value)| value.as_str())
        };
        let file = |name| value(name).map(|path| read(name, path)).transpose();
        let identity = match [file("cert")?, file("key")?] {
            [Some(cert), Some(key)] => Some([cert, key]),
            [None, None] => None,
            [Some(_), None] => return Err("`cert` is there, its `key` is expected too".into()),
            [None, Some(_)] => return Err("`key` is there, its `cert` is expected too".into()),
        };
        let token = match [value("token-file"), value("token-header")] {
            [Some(file), header] => Some(Token {
                file: file.to_owned(),
                header: header.unwrap_or(AUTHORIZATION).to_ascii_lowercase(),
            }),
            [None, Some(_)] => {
                return Err("`token-header` is there, a `token-file` is expected too".into());
            }
            [None, None] => None,
        };
        if let Some(token) = &token {
            token.read()?;
        }
        let sharing = match value("shared-memory") {
            None | Some("auto") => Sharing::Auto,
            Some("yes" | "true") => Sharing::Yes,
            Some("no" | "false") => Sharing::No,
            Some(other) => {
                return Err(format!(
                    "`shared-memory` is `{other}`; expected: auto, yes or no"
                ));
            }
        };
        let batching = match value("batching") {
            None => 1,
            Some(text) => (text.parse().ok())
                .filter(|count| (1..=BATCHING_MAX).contains(count))
                .ok_or_else(|| {
                    format!("`batching` is `{text}`; expected: a number from 1 to {BATCHING_MAX}")
                })?,
        };
        Ok(Self {
            servers: addresses(&options.server.addresses)?,
            model: value("model").map(str::to_owned),
            version: value("model-version").unwrap_or_default().to_owned(),
            access: Access {
                ca: file("ca")?,
                identity,
                token,
            },
            timeout: options.server.timeout,
            sharing,
            batching,
        })
    }
}

/// A text file that an option names.
fn read(option: &str, path: &str) -> Result<String, String> {
    fs::read_to_string(Path::new(path))
        .map_err(|error| format!("`{option}` is `{path}`, which cannot be read: {error}"))
}

fn addresses(text: &str) -> Result<Vec<Address>, String> {
    let parts = text.split(',').map(str::trim);
    let servers: Vec<_> = parts
        .filter(|part| !part.is_empty())
        .map(address)
        .collect::<Result<_, _>>()?;
    if servers.is_empty() {
        return Err(
            "`server` is empty; expected: grpc://HOST:PORT or, with TLS, grpcs://HOST:PORT".into(),
        );
    }
    Ok(servers)
}

fn address(given: &str) -> Result<Address, String> {
    let refused = || {
        format!(
            "`server` has `{given}`; expected: grpc://HOST:PORT or, with TLS, grpcs://HOST:PORT"
        )
    };
    let (is_tls, rest) = match given.split_once("://") {
        Some(("grpc", rest)) => (false, rest),
        Some(("grpcs", rest)) => (true, rest),
        _ => return Err(refused()),
    };
    let authority: tonic::codegen::http::uri::Authority =
        rest.trim_end_matches('/').parse().map_err(|_| refused())?;
    let authority = match (authority.host(), authority.port()) {
        ("", _) => return Err(refused()),
        (host, None) if host == authority.as_str() => format!("{authority}:{PORT}"),
        (host, Some(port)) if authority.as_str() == format!("{host}:{port}") => {
            authority.to_string()
        }
        _ => return Err(refused()),
    };
    Ok(Address {
        given: given.to_owned(),
        is_tls,
        authority,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inference::{ProviderOptions, Server};

    fn settings(addresses: &str, values: &[(&str, &str)]) -> Result<Settings, String> {
        let values = values.iter();
        Settings::new(&Options {
            server: Server {
                addresses: addresses.into(),
                ..Server::default()
            },
            provider_options: Some(ProviderOptions {
                provider: "remote".into(),
                values: values
                    .map(|(k, v)| (k.to_string(), v.to_string()))
                    .collect(),
            }),
            ..Options::default()
        })
    }

    #[test]
    fn servers_are_named_with_or_without_port_and_tls() {
        let found = settings("grpc://one, grpcs://two:443/,grpc://[::1]:8002", &[]).unwrap();
        let found: Vec<_> = found
            .servers
            .iter()
            .map(|server| (server.authority.as_str(), server.is_tls))
            .collect();
        assert_eq!(
            found,
            [
                ("one:8001", false),
                ("two:443", true),
                ("[::1]:8002", false)
            ]
        );
        for wrong in [
            "",
            " , ",
            "one:8001",
            "http://one",
            "grpc://",
            "grpc://a b",
            "grpc://a:b",
            "grpc://user@host",
            "grpc://host/path",
        ] {
            let message = settings(wrong, &[]).unwrap_err();
            assert!(message.contains("expected: grpc://HOST:PORT"), "{message}");
        }
    }

    #[test]
    fn memory_is_shared_with_this_machine_unless_it_is_said() {
        let shared = |server: &str, values: &[(&str, &str)]| {
            let settings = settings(server, values).unwrap();
            settings.sharing.includes(&settings.servers[0])
        };
        for here in ["grpc://127.0.0.1", "grpc://[::1]:8001", "grpcs://LocalHost"] {
            assert!(shared(here, &[]), "{here}");
            assert!(!shared(here, &[("shared-memory", "no")]), "{here}");
        }
        assert!(!shared("grpc://localhost.example", &[]));
        assert!(shared("grpc://gpu-host", &[("shared-memory", "yes")]));
    }

    #[test]
    fn options_that_cannot_be_used_are_refused() {
        let one = |key, value| settings("grpc://one", &[(key, value)]);
        assert_eq!(one("model", "face").unwrap().model.as_deref(), Some("face"));
        for (key, value, expected) in [
            ("modell", "face", "expected: model, model-version"),
            ("ca", "/no/such/file", "`ca` is `/no/such/file`"),
            ("cert", file!(), "`key`"),
            ("token-header", "x-token", "`token-file`"),
            ("token-file", "/no/such/file", "`token-file` is"),
            ("shared-memory", "maybe", "auto, yes or no"),
            ("batching", "0", "from 1 to 256"),
            ("batching", "many", "from 1 to 256"),
        ] {
            let file = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
            let value = if value == file!() { file } else { value };
            let message = one(key, value).unwrap_err();
            assert!(message.contains(expected), "{message}");
        }
    }
}
