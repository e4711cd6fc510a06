#!/usr/bin/env bash
# A Debian with Python and git alone, where an ordinary user tries the README's commands. For root.
#   bash tools/debian_chroot.sh make SUITE DIR [ARCH]  makes DIR, with a clone of this HEAD
#   bash tools/debian_chroot.sh run DIR COMMAND...     runs COMMAND in that clone, as the user
# Debian's mirror, certificates, proxies, pip's settings and OMP_NUM_THREADS are the caller's. For
# arm64 on x86-64, qemu-user-static is needed, too.
set -euo pipefail
here=$(CDPATH= cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
packages=python3,python3-venv,git,ca-certificates

stop() { echo "error: $*" >&2; exit 2; }

make() {
  local suite=$1 folder mirror authorities=/usr/local/share/ca-certificates
  folder=$(realpath -m -- "$2")
  [ ! -e "$folder" ] || stop "$folder exists already"
  command -v mmdebstrap >/dev/null || stop "mmdebstrap is not installed; apt install mmdebstrap"
  mirror=$(apt-get indextargets --format '$(REPO_URI)' | grep -m1 '/debian/*$') ||
    stop "apt knows no archive of Debian's here"
  trap "rm -rf --one-file-system -- ${folder@Q}" EXIT  # Until all is well.
  mmdebstrap --quiet --mode=root --variant=minbase --include="$packages" \
    --architectures="${3:-$(dpkg --print-architecture)}" \
    --aptopt=<(apt-config dump Acquire) "$suite" "$folder" "$mirror"
  ! [ -d "$authorities" ] || cp -R "$authorities/." "$folder$authorities"
  chroot "$folder" update-ca-certificates >/dev/null 2>&1
  chroot "$folder" useradd --create-home --shell /bin/bash user
  git -C "$here/.." bundle create --quiet "$folder/home/user/kit.bundle" HEAD
  inside "$folder" /home/user \
    git -c init.defaultBranch=main -c advice.detachedHead=false clone --quiet kit.bundle kit
  trap - EXIT
}

inside() {  # $1 = folder, $2 = working folder in it, the rest = command
  local folder=$1 there=$2 name settings=()
  for name in $(compgen -e); do
    case $name in PIP_* | *_proxy | *_PROXY | TORCH_INDEX | OMP_NUM_THREADS)
      settings+=("$name=${!name}") ;;
    esac
  done
  shift 2
  # The mounts and all processes vanish with the command.
  unshare --mount --pid --fork --kill-child bash -euc '
    mount -t proc proc "$1/proc"
    for name in dev sys; do mount --rbind "/$name" "$1/$name"; done
    cat /etc/resolv.conf >"$1/etc/resolv.conf"
    for wheels in ${PIP_FIND_LINKS-}; do
      ! [ -d "$wheels" ] || { mkdir -p "$1$wheels" && mount --bind "$wheels" "$1$wheels"; }
    done
    folder=$1; shift
    # Not in the place of this shell: signals do not end the first process of a namespace.
    chroot --userspec=user:user "$folder" "$@" || exit' - "$folder" \
    env -i --chdir="$there" HOME=/home/user USER=user PATH=/usr/local/bin:/usr/bin:/bin \
    "${settings[@]}" "$@"
}

[ "$(id -u)" = 0 ] || stop "a chroot needs root"
case $#-${1-} in
  [34]-make) make "${@:2}" ;;
  *-make | [0-2]-*) stop "usage: debian_chroot.sh make SUITE DIR [ARCH] | run DIR COMMAND..." ;;
  *-run) [ -d "$2/home/user/kit" ] || stop "$2: make has not made it"
         inside "$2" /home/user/kit "${@:3}" ;;
  *) stop "$1: neither make nor run" ;;
esac
