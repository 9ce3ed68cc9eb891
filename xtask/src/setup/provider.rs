//! Builds of ONNX Runtime with other execution providers, and what they are linked to, out of
//! PyPI's wheels: one folder a build, next to the one for the CPU.

use std::{fs, path::Path};

use anyhow::{Context, Result, bail};

use super::{
    onnxruntime,
    pinned::{self, sha256_of},
    report,
};

/// Execution providers that need another ONNX Runtime than the CPU's.
#[derive(Clone, Copy, clap::ValueEnum)]
pub enum Provider {
    /// Intel's and AMD's CPUs, Intel's GPUs: 84 MB
    #[value(name = "openvino")]
    OpenVino,
    /// NVIDIA's GPUs: 1.6 GB
    Cuda,
    /// NVIDIA's GPUs, with TensorRT, which has to be fetched from NVIDIA
    #[value(name = "tensorrt")]
    TensorRt,
}

/// A wheel and what is taken out of it.
struct Wheel {
    requirement: &'static str,
    sha256: &'static str,
    folder: &'static str,
    files: &'static [&'static str],
}

struct Build {
    title: &'static str,
    /// Of the wheels.
    megabytes: u32,
    /// In `.setup`.
    folder: &'static str,
    library: &'static str,
    wheels: &'static [Wheel],
}

const OPENVINO: Build = Build {
    title: "ONNX Runtime 1.24.1 with OpenVINO 2025.4",
    megabytes: 84,
    folder: "openvino",
    library: "libonnxruntime.so.1.24.1",
    wheels: &[Wheel {
        requirement: "onnxruntime-openvino==1.24.1",
        sha256: "3007c803634cc69c6d52af1dea7ce729d9bb62b9a11070fd2f959119199007a8",
        folder: "onnxruntime/capi",
        files: &[
            "libonnxruntime.so.1.24.1",
            "libonnxruntime_providers_openvino.so",
            "libonnxruntime_providers_shared.so",
            "libopenvino.so.2541",
            "libopenvino_auto_plugin.so",
            "libopenvino_hetero_plugin.so",
            "libopenvino_intel_cpu_plugin.so",
            "libopenvino_intel_gpu_plugin.so",
            "libopenvino_onnx_frontend.so.2541",
            "libtbb.so.12",
            "libtbbmalloc.so",
        ],
    }],
};

/// TensorRT's provider comes along; TensorRT itself does not.
const CUDA: Build = Build {
    title: "ONNX Runtime 1.31.1 with CUDA 13 and cuDNN 9",
    megabytes: 1566,
    folder: "cuda",
    library: "libonnxruntime.so.1.31.1",
    wheels: &[
        Wheel {
            requirement: "onnxruntime-gpu==1.31.1",
            sha256: "e26c475fe361b2015f45b4b824bd13f0bb20204e59b62814e6f0acd5f3d491a6",
            folder: "onnxruntime/capi",
            files: &[
                "libonnxruntime.so.1.31.1",
                "libonnxruntime_providers_cuda.so",
                "libonnxruntime_providers_shared.so",
                "libonnxruntime_providers_tensorrt.so",
            ],
        },
        Wheel {
            requirement: "nvidia-cuda-runtime==13.5.37",
            sha256: "df2b79a8852f10d1fef8c848489c49eebb5754051bf870202a862831412b179d",
            folder: "nvidia/cu13/lib",
            files: &["libcudart.so.13"],
        },
        Wheel {
            requirement: "nvidia-cuda-nvrtc==13.5.37",
            sha256: "86b4d68058807988b7d9af5b44917a0601e9c337f35ccd657bfb3c759ff8d8bc",
            folder: "nvidia/cu13/lib",
            files: &["libnvrtc.so.13", "libnvrtc-builtins.so.13.5"],
        },
        Wheel {
            requirement: "nvidia-nvjitlink==13.5.37",
            sha256: "280d7cb9649704145f074b8dbde500de04ce02d0872e066e20a83c17bcaa93eb",
            folder: "nvidia/cu13/lib",
            files: &["libnvJitLink.so.13"],
        },
        Wheel {
            requirement: "nvidia-cublas==13.10.0.20",
            sha256: "dcc6d63884c53d07e267ce7e6feac17b2538cebaafec5db865736c3e28e4dc84",
            folder: "nvidia/cu13/lib",
            files: &["libcublas.so.13", "libcublasLt.so.13"],
        },
        Wheel {
            requirement: "nvidia-cufft==12.5.0.14",
            sha256: "b8be26837a5abad2b5b74f3e92dd29f622a42934b355be0961a48712cbba23ad",
            folder: "nvidia/cu13/lib",
            files: &["libcufft.so.12"],
        },
        Wheel {
            requirement: "nvidia-curand==10.4.5.25",
            sha256: "22bb226a857e5888fe6b54ae465fc4371296bcff13a35f79e19691bcf454f529",
            folder: "nvidia/cu13/lib",
            files: &["libcurand.so.10"],
        },
        Wheel {
            requirement: "nvidia-cudnn-cu13==9.28.0.42",
            sha256: "7358353c75bb121a58e5f7712fe6d588883dc1df8ba00f428237e44e97543c4d",
            folder: "nvidia/cudnn/lib",
            files: &[
                "libcudnn.so.9",
                "libcudnn_adv.so.9",
                "libcudnn_cnn.so.9",
                "libcudnn_engines_precompiled.so.9",
                "libcudnn_engines_runtime_compiled.so.9",
                "libcudnn_engines_tensor_ir.so.9",
                "libcudnn_ext.so.9",
                "libcudnn_graph.so.9",
                "libcudnn_heuristic.so.9",
                "libcudnn_ops.so.9",
            ],
        },
    ],
};

/// What TensorRT's provider is linked to.
const TENSORRT: [&str; 2] = ["libnvinfer.so.10", "libnvonnxparser.so.10"];
/// Says which wheels a folder was made of; written last.
const STAMP: &str = "wheels.txt";

/// Fetches what the provider needs, unless it is there.
pub fn ensure(setup: &Path, provider: Provider) -> Result<()> {
    match provider {
        Provider::OpenVino => OPENVINO.ensure(setup),
        Provider::Cuda => CUDA.ensure(setup),
        Provider::TensorRt => {
            CUDA.ensure(setup)?;
            check_tensorrt(&setup.join(CUDA.folder))
        }
    }
}

/// PyPI's TensorRT packages hold no libraries, so there is nothing to fetch with a known hash.
fn check_tensorrt(folder: &Path) -> Result<()> {
    if TENSORRT.iter().all(|name| folder.join(name).exists()) {
        report("TensorRT", "present");
        return Ok(());
    }
    bail!(
        "TensorRT 10 for CUDA 13 comes from NVIDIA only (its archive, or `tensorrt-cu13-libs` of \
         NVIDIA's own package index). Copy or link {} and the libnvinfer_*.so.10 beside them into \
         {}",
        TENSORRT.join(", "),
        folder.display()
    )
}

impl Build {
    fn ensure(&self, setup: &Path) -> Result<()> {
        if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
            bail!("{} is known here for Linux on x86_64 only", self.title);
        }
        let folder = setup.join(self.folder);
        if fs::read_to_string(folder.join(STAMP)).is_ok_and(|found| found == self.stamp()) {
            report(self.title, "present");
            return Ok(());
        }
        report(
            self.title,
            &format!("downloading with pip ({} MB)", self.megabytes),
        );
        let download = setup.join(format!("{}.download", self.folder));
        let unfinished = setup.join(format!("{}.part", self.folder));
        pinned::fresh_folder(&unfinished)?;
        for wheel in self.wheels {
            pinned::fresh_folder(&download)?;
            wheel.fetch(&download, &unfinished)?;
        }
        onnxruntime::link(&unfinished, self.library)?;
        fs::write(unfinished.join(STAMP), self.stamp())
            .and_then(|()| fs::remove_dir_all(&download))
            .context("cannot finish the download")?;
        if folder.exists() {
            fs::remove_dir_all(&folder)
                .with_context(|| format!("cannot replace {}", folder.display()))?;
        }
        fs::rename(&unfinished, &folder)
            .with_context(|| format!("cannot create {}", folder.display()))?;
        report(self.title, &format!("installed in .setup/{}", self.folder));
        Ok(())
    }

    fn stamp(&self) -> String {
        let lines = self.wheels.iter();
        lines
            .map(|wheel| format!("{} {}\n", wheel.sha256, wheel.requirement))
            .collect()
    }
}

impl Wheel {
    fn fetch(&self, download: &Path, target: &Path) -> Result<()> {
        let wheel = pinned::wheel(self.requirement, download)?;
        let found = sha256_of(&wheel)?;
        if found != self.sha256 {
            bail!(
                "{} is not the wheel that was expected.\n  sha256 found:    {found}\n  sha256 expected: {}",
                wheel.display(),
                self.sha256
            );
        }
        let members = self.files.iter();
        let members: Vec<_> = members
            .map(|file| format!("{}/{file}", self.folder))
            .collect();
        pinned::unzip_flat(&wheel, &members, target)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_build_holds_the_library_that_it_is_named_for() {
        for build in [&OPENVINO, &CUDA] {
            let mut files = build.wheels.iter().flat_map(|wheel| wheel.files);
            assert!(files.any(|file| *file == build.library));
            assert_eq!(build.stamp().lines().count(), build.wheels.len());
            assert!(build.wheels.iter().all(|wheel| wheel.sha256.len() == 64));
        }
    }

    #[test]
    fn missing_tensorrt_says_where_it_comes_from() {
        let error = check_tensorrt(Path::new("nowhere"))
            .unwrap_err()
            .to_string();
        assert!(error.contains("libnvinfer.so.10"), "{error}");
        assert!(error.contains("nowhere"), "{error}");
    }
}
