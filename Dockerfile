# A small image of Strata: Debian, one binary, a user of its own, data in /var/lib/strata.
#
#   docker build -t strata .                          compiles everything inside (RocksDB takes about ten minutes)
#   docker build -t strata-base --target runtime .    everything but the binary, for one built elsewhere (as dev/image does)
#
#   docker run -d -p 127.0.0.1:5000:5000 -v strata-data:/var/lib/strata strata
#
# Inside a container the server listens on every address and says --open, because a container's own address is never
# loopback. Who can reach it is decided by what you publish: `-p 127.0.0.1:5000:5000` keeps it on this machine,
# `-p 5000:5000` lets everyone who reaches the machine push, pull and delete.
ARG BASE=debian:bookworm-slim

FROM ${BASE} AS runtime
RUN useradd --system --uid 10001 --user-group --home-dir /var/lib/strata --shell /usr/sbin/nologin strata \
 && install -d -o strata -g strata -m 0750 /var/lib/strata
ENV STRATA_STORAGE_DATA=/var/lib/strata \
    STRATA_HTTP_LISTEN=0.0.0.0:5000 \
    STRATA_AUTH_OPEN_TO_NETWORK=true
USER strata
WORKDIR /var/lib/strata
VOLUME /var/lib/strata
EXPOSE 5000
# No HTTP client in the image: bash can speak enough of it.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s CMD ["bash", "-c", \
  "exec 3<>/dev/tcp/127.0.0.1/5000 && printf 'GET /healthz HTTP/1.0\\r\\nHost: localhost\\r\\n\\r\\n' >&3 && head -n 1 <&3 | grep -q ' 200 '"]
ENTRYPOINT ["strata"]
CMD ["serve"]

FROM ${BASE} AS build
RUN apt-get update \
 && apt-get install -y --no-install-recommends binutils ca-certificates curl g++ git libclang-dev make pkg-config \
 && rm -rf /var/lib/apt/lists/*
ENV PATH=/root/.cargo/bin:$PATH STRATA_CACHE=/cache CARGO_TARGET_DIR=/cache/target
RUN curl --proto '=https' --tlsv1.2 -sSf -o /tmp/rustup https://sh.rustup.rs \
 && sh /tmp/rustup -y --profile minimal --default-toolchain none
WORKDIR /src
COPY rust-toolchain.toml ./
RUN rustup toolchain install
# RocksDB on its own, so that a change of the sources does not compile it again.
COPY dev/rocksdb dev/rocksdb
RUN dev/rocksdb/build
COPY . .
RUN environment=$(dev/env) && eval "$environment" \
 && cargo build --release --locked --bin strata \
 && strip --strip-debug -o /strata "$STRATA_BIN"

FROM runtime
COPY --from=build /strata /usr/local/bin/strata
