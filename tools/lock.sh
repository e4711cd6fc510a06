#!/usr/bin/env bash
# Writes the lock files anew from pyproject.toml (needs uv). Torch's CUDA packages stay out:
# tools/environment.sh installs torch by itself, without CUDA where there is no GPU.
set -euo pipefail
cd "$(dirname "$0")/.."
without_cuda=()
for package in triton cuda-bindings cuda-pathfinder cuda-toolkit nvidia-{cublas,cuda-cupti} \
  nvidia-{cuda-nvrtc,cuda-runtime,cudnn-cu13,cufft,cufile,curand,cusolver,cusparse} \
  nvidia-{cusparselt-cu13,nccl-cu13,nvjitlink,nvshmem-cu13,nvtx}; do
  without_cuda+=(--no-emit-package "$package")
done
compile() {
  uv pip compile pyproject.toml --quiet --universal --fork-strategy fewest --python-version 3.10 \
    --no-annotate --custom-compile-command tools/lock.sh "${without_cuda[@]}" "$@"
}
compile --extra build --output-file requirements.lock
compile --extra build --extra test --constraint requirements.lock --output-file requirements-test.lock
compile --extra build --extra benchmark --constraint requirements.lock --output-file requirements-benchmark.lock
