//! NVIDIA's Triton, where `cargo xtask setup --server` has put it: started for one test, with models as
//! `examples/server/triton-cpu` serves them.
//!
//! Not every test file uses everything here.
#![allow(dead_code)]

use std::{
    fs,
    net::TcpStream,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use prost::Message;
use tonic::{Request, client::Grpc, codegen::http::uri::PathAndQuery, transport::Endpoint};
use tonic_prost::ProstCodec;

use crate::stand_in_server::unused_port;

/// A server starts in four seconds on an idle machine.
pub const STARTING: Duration = Duration::from_secs(90);

const MODEL: &str = include_str!("../../examples/server/triton-cpu/model.py");
const CONFIG: &str = include_str!("../../examples/server/triton-cpu/config.pbtxt");

/// A running server. Dropped, it is killed.
pub struct Triton {
    folder: PathBuf,
    arguments: Vec<String>,
    port: u16,
    process: Option<Child>,
}

/// A model to serve.
pub struct Served<'a> {
    pub name: &'a str,
    pub network: &'a [u8],
    /// Parameters of its configuration, such as `bytes`.
    pub parameters: &'a [(&'a str, &'a str)],
    /// More of its configuration.
    pub config: &'a str,
}

/// `RepositoryModelLoadRequest` and `RepositoryModelUnloadRequest`.
#[derive(Clone, PartialEq, Message)]
struct ModelOfRepository {
    #[prost(string, tag = "2")]
    model_name: String,
}

/// The names of regions that `SystemSharedMemoryStatus` has are keys of a map.
#[derive(Clone, PartialEq, Message)]
struct MemoryStatus {
    #[prost(map = "string, bytes", tag = "1")]
    regions: std::collections::HashMap<String, Vec<u8>>,
}

#[derive(Clone, PartialEq, Message)]
struct Nothing {}

/// `ModelStatisticsRequest` and its answer, as far as they are used.
#[derive(Clone, PartialEq, Message)]
struct StatisticsRequest {
    #[prost(string, tag = "1")]
    name: String,
}

#[derive(Clone, PartialEq, Message)]
struct StatisticsResponse {
    #[prost(message, repeated, tag = "1")]
    models: Vec<ModelStatistics>,
}

#[derive(Clone, PartialEq, Message)]
pub struct ModelStatistics {
    /// Runs; several calls may be one.
    #[prost(uint64, tag = "5")]
    pub executions: u64,
    #[prost(message, optional, tag = "6")]
    pub calls: Option<CallStatistics>,
}

impl ModelStatistics {
    /// Of all calls that succeeded.
    pub fn success_ns(&self) -> u64 {
        let success = self.calls.as_ref().and_then(|calls| calls.success.as_ref());
        success.map_or(0, |sum| sum.ns)
    }
}

/// `InferStatistics`.
#[derive(Clone, PartialEq, Message)]
pub struct CallStatistics {
    /// Of calls that succeeded: from when they have come to when the answer is there.
    #[prost(message, optional, tag = "1")]
    pub success: Option<Duration64>,
}

/// `StatisticDuration`: a sum.
#[derive(Clone, PartialEq, Message)]
pub struct Duration64 {
    #[prost(uint64, tag = "1")]
    pub count: u64,
    #[prost(uint64, tag = "2")]
    pub ns: u64,
}

impl Triton {
    /// `None`, with the reason printed, where it is not installed. `arguments` are the server's own.
    pub fn start(test: &str, models: &[Served], arguments: &[&str]) -> Option<Self> {
        let site = site();
        let server = site.join("pytriton/tritonserver/bin/tritonserver");
        if !server.is_file() {
            println!(
                "skipped: {} is not there, run `cargo xtask setup --server`",
                server.display()
            );
            return None;
        }
        let folder = crate::opening::folder("triton", test);
        for model in models {
            let of_model = folder.join("models").join(model.name);
            fs::create_dir_all(of_model.join("1")).unwrap();
            fs::write(of_model.join("1/model.onnx"), model.network).unwrap();
            fs::write(of_model.join("1/model.py"), MODEL).unwrap();
            let parameters = model.parameters.iter().map(|(key, value)| {
                format!("parameters {{ key: \"{key}\" value {{ string_value: \"{value}\" }} }}\n")
            });
            let parameters: String = parameters.collect();
            let config = format!("{CONFIG}{parameters}{}", model.config);
            fs::write(of_model.join("config.pbtxt"), config).unwrap();
        }
        let mut triton = Self {
            folder,
            arguments: arguments
                .iter()
                .map(|argument| argument.to_string())
                .collect(),
            port: unused_port(),
            process: None,
        };
        triton.restart();
        Some(triton)
    }

    pub fn address(&self) -> String {
        format!("grpc://127.0.0.1:{}", self.port)
    }

    /// With TLS, by the name that certificates have.
    pub fn tls_address(&self) -> String {
        format!("grpcs://localhost:{}", self.port)
    }

    /// Starts it where it was, and waits until it listens, which it does once its models are ready.
    pub fn restart(&mut self) {
        let site = site();
        let home = site.join("pytriton/tritonserver");
        let log = fs::File::create(self.folder.join("log")).unwrap();
        let process = Command::new(home.join("bin/tritonserver"))
            .current_dir(&home)
            .arg(option("--model-repository", &self.folder.join("models")))
            .arg(option("--backend-directory", &home.join("backends")))
            .arg("--model-control-mode=explicit")
            .arg("--load-model=*")
            .args(["--allow-http=false", "--allow-metrics=false"])
            .arg("--grpc-address=127.0.0.1")
            .arg(format!("--grpc-port={}", self.port))
            .args(&self.arguments)
            .arg(format!(
                "--backend-config=python,shm-region-prefix-name={}",
                self.region()
            ))
            // With the programs that run its models, which outlive a server that is killed.
            .process_group(0)
            .env("LD_LIBRARY_PATH", site.join("nvidia_pytriton.libs"))
            .env("LIPSYNC_PYTHONPATH", &site)
            .stdin(Stdio::null())
            .stderr(log.try_clone().unwrap())
            .stdout(log)
            .spawn()
            .unwrap();
        self.process = Some(process);
        let start = Instant::now();
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            let ended = self.process.as_mut().unwrap().try_wait().unwrap();
            let log = || fs::read_to_string(self.folder.join("log")).unwrap_or_default();
            assert!(ended.is_none(), "{}", log());
            assert!(start.elapsed() < STARTING, "{}", log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Takes a model out of service, and back.
    pub fn unload(&self, model: &str) {
        let model_name = model.to_owned();
        let ask = ModelOfRepository { model_name };
        let _: Nothing = self.ask("RepositoryModelUnload", ask);
    }

    pub fn load(&self, model: &str) {
        let model_name = model.to_owned();
        let ask = ModelOfRepository { model_name };
        let _: Nothing = self.ask("RepositoryModelLoad", ask);
    }

    /// Regions of shared memory that it has open for its clients.
    pub fn regions(&self) -> usize {
        let status: MemoryStatus = self.ask("SystemSharedMemoryStatus", Nothing {});
        status.regions.len()
    }

    /// What it has counted of a model.
    pub fn statistics(&self, model: &str) -> ModelStatistics {
        let name = model.to_owned();
        let answer: StatisticsResponse = self.ask("ModelStatistics", StatisticsRequest { name });
        answer.models[0].clone()
    }

    pub fn executions(&self, model: &str) -> u64 {
        self.statistics(model).executions
    }

    /// Calls a method of the protocol.
    pub fn ask<Q, A>(&self, method: &str, ask: Q) -> A
    where
        Q: Message + 'static,
        A: Message + Default + 'static,
    {
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = runtime.worker_threads(1).enable_all().build().unwrap();
        runtime.block_on(async {
            let address = format!("http://127.0.0.1:{}", self.port);
            let channel = Endpoint::from_shared(address).unwrap().connect().await;
            let mut client = Grpc::new(channel.unwrap());
            client.ready().await.unwrap();
            let path = format!("/inference.GRPCInferenceService/{method}");
            let path = PathAndQuery::from_maybe_shared(path).unwrap();
            let codec = ProstCodec::default();
            let answer = client.unary(Request::new(ask), path, codec).await;
            answer.unwrap().into_inner()
        })
    }

    /// SIGSTOP or SIGCONT, as `STOP` or `CONT`.
    pub fn signal(&self, name: &str) {
        let process = self.process.as_ref().unwrap().id().to_string();
        let sent = Command::new("kill").args(["-s", name, &process]).status();
        assert!(sent.unwrap().success());
    }

    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            let group = format!("-{}", process.id());
            let _ = Command::new("kill")
                .args(["-s", "KILL", "--", &group])
                .status();
            let _ = process.wait();
        }
        let regions = fs::read_dir("/dev/shm").into_iter().flatten().flatten();
        for region in regions {
            if region
                .file_name()
                .to_string_lossy()
                .starts_with(&self.region())
            {
                let _ = fs::remove_file(region.path());
            }
        }
    }

    /// Of the memory that it shares with the programs that run its models.
    fn region(&self) -> String {
        format!("lipsync-triton-{}-", self.port)
    }
}

impl Drop for Triton {
    fn drop(&mut self) {
        self.kill();
    }
}

/// What setup has unpacked.
fn site() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(".setup/server")
}

fn option(name: &str, path: &Path) -> String {
    format!("{name}={}", path.display())
}

/// A certificate for `localhost`, signed by an authority of its own, in files `server.pem`, `server.key` and `ca.pem`; `None`,
/// with the reason printed, where there is no `openssl`.
pub fn certificates(folder: &Path) -> Option<()> {
    let script = "set -e
        for name in ca other; do openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=$name -keyout $name.key -out $name.pem; done
        openssl req -newkey rsa:2048 -nodes -subj /CN=localhost -keyout server.key -out server.csr
        printf 'subjectAltName=DNS:localhost\\nbasicConstraints=CA:FALSE\\n' > extensions
        openssl x509 -req -days 2 -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -extfile extensions -out server.pem";
    let made = Command::new("sh")
        .args(["-c", script])
        .current_dir(folder)
        .output()
        .ok()?;
    if !made.status.success() {
        println!("skipped: {}", String::from_utf8_lossy(&made.stderr));
        return None;
    }
    Some(())
}
