# The image of scim-bridge: docs/container.md. Both of Docker's builders can build it (no `RUN --mount`).
# Base images are pinned by tag: pin by digest (`rust:1.95-slim-trixie@sha256:…`) in your own registry's copy.

FROM rust:1.95-slim-trixie AS dependencies
SHELL ["/bin/bash", "-euo", "pipefail", "-c"]
WORKDIR /build
# The allocator is built by make, of whichever version the base image's Debian has.
# hadolint ignore=DL3008
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends make && rm -rf /var/lib/apt/lists/*
COPY Cargo.toml Cargo.lock ./
COPY .cargo .cargo
# Compiled with empty sources, so that this layer stays until Cargo.toml or Cargo.lock changes.
# Cargo wants the benches' files to be there, too.
RUN mkdir src benches \
 && echo '//! Empty.' > src/lib.rs \
 && printf '//! Empty.\nfn main() {}\n' > src/main.rs \
 && sed -n '/^\[\[bench\]\]/,/^name/s|^name = "\(.*\)"|benches/\1.rs|p' Cargo.toml | xargs touch \
 && cargo build --locked --release

FROM dependencies AS binary
SHELL ["/bin/bash", "-euo", "pipefail", "-c"]
COPY config config
COPY build.rs ./
COPY src src
# For `--version`: there is no git here.
ARG REVISION=
# Cargo goes by time, and the sources may be older than what stood in for them.
RUN touch src/lib.rs src/main.rs \
 && SCIM_BRIDGE_REVISION=$REVISION cargo build --locked --release --bin scim-bridge
COPY LICENSE ./
# Everything that the image holds, put together here: the binary, the libraries that it is linked with (glibc
# and libgcc), the CA certificates, and
# - /etc/nsswitch.conf: without it glibc asks DNS before /etc/hosts, where engines and Kubernetes put names;
# - what Debian's packages say of themselves: their licences, and which versions they are, in the place where
#   scanners look in an image without a package manager.
RUN root=/image \
 && install -D --target-directory="$root/usr/local/bin" target/release/scim-bridge \
 && install -D --mode=644 LICENSE "$root/usr/share/doc/scim-bridge/LICENSE" \
 && ldd target/release/scim-bridge | grep -o '/[^ ]*' | xargs cp --parents --dereference --target-directory="$root" \
 && install -D --mode=644 --target-directory="$root/etc/ssl/certs" /etc/ssl/certs/ca-certificates.crt \
 && echo 'hosts: files dns' > "$root/etc/nsswitch.conf" \
 && cp --dereference /etc/os-release "$root/etc/os-release" \
 && mkdir -p "$root/var/lib/dpkg/status.d" \
 && for package in libc6 libgcc-s1 ca-certificates; do \
      dpkg-query --status "$package" > "$root/var/lib/dpkg/status.d/$package"; \
      install -D --mode=644 "/usr/share/doc/$package/copyright" "$root/usr/share/doc/$package/copyright"; \
    done \
 && mkdir --mode=1777 "$root/tmp" \
 && mkdir --parents /owned && mkdir --mode=700 /owned/data

# On `scratch` and not on distroless/cc: that brings OpenSSL, libstdc++, libgomp and time zones, which nothing
# here loads, at four times the size, and would be a second base image to trust and to keep up to date.
FROM scratch
COPY --from=binary /image /
COPY --from=binary --chown=65532:65532 /owned /
ENV PATH=/usr/local/bin \
    SCIM_BRIDGE__SERVER__LISTEN=0.0.0.0:8080 \
    SCIM_BRIDGE__SERVER__ADMIN_LISTEN=0.0.0.0:9090 \
    SCIM_BRIDGE__STORE__URL=embedded:/data
USER 65532:65532
WORKDIR /
# No VOLUME: an engine would make one that can be written to, on a read-only root and with Redis as well.
EXPOSE 8080 9090
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 CMD ["/usr/local/bin/scim-bridge", "healthcheck"]
ENTRYPOINT ["/usr/local/bin/scim-bridge"]
CMD ["serve"]
# Last, because they change with every build.
ARG VERSION=0.1.0
ARG REVISION=unknown
ARG CREATED=unknown
LABEL org.opencontainers.image.title="scim-bridge" \
      org.opencontainers.image.description="Signed HR webhooks in, a Postman team kept up to date over SCIM 2.0." \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}"
