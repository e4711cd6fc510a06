#!/usr/bin/env bash
# Writes the lock files anew from pyproject.toml (needs uv), with the hashes of every release's files.
# Torch is locked apart, for tools/environment.sh chooses its build. The builds without CUDA are in
# an index of PyTorch's own: their hashes in locks/torch-cpu.lock are kept by hand.
set -euo pipefail
cd "$(dirname "$0")/.."
without_torch=(--no-emit-package torch)
for package in triton cuda-bindings cuda-pathfinder cuda-toolkit nvidia-{cublas,cuda-cupti} \
  nvidia-{cuda-nvrtc,cuda-runtime,cudnn-cu13,cufft,cufile,curand,cusolver,cusparse} \
  nvidia-{cusparselt-cu13,nccl-cu13,nvjitlink,nvshmem-cu13,nvtx}; do
  without_torch+=(--no-emit-package "$package")
done
compile() {
  uv pip compile "$@" --quiet --universal --fork-strategy fewest --python-version 3.10 \
    --generate-hashes --no-annotate --custom-compile-command tools/lock.sh
}
compile pyproject.toml "${without_torch[@]}" --extra build --output-file locks/recipe.lock
compile pyproject.toml "${without_torch[@]}" --extra build --extra test \
  --constraint locks/recipe.lock --output-file locks/test.lock
compile pyproject.toml "${without_torch[@]}" --extra build --extra benchmark \
  --constraint locks/recipe.lock --output-file locks/benchmark.lock
grep -o '"torch==[^"]*"' pyproject.toml | tr -d '"' |
  compile - --constraint locks/recipe.lock --output-file locks/torch-cuda.lock
