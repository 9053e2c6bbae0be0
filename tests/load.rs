//! The load generator against the real server: what it pushes as docker, containerd, skopeo and crane is there afterwards, byte by byte, what
//! it pulls is what was pushed, and its reads count what is there.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is a failed test"
)]

use std::fs;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use strata_benches::clients::{self, Kind};
use strata_benches::content::{Blob, Image, Noise};
use strata_benches::fill::{Place, REPOSITORY};
use strata_benches::get::{self, Reading};
use strata_benches::push::{self, Shape};
use strata_benches::secure;
use strata_benches::swarm::Bodies;
use strata_benches::traffic::{self, Mix};
use strata_benches::wire::{Server, make_certificate};
use strata_harness::{Repository, TestRegistry, registry};

/// Long enough for a few requests, and the tests do not depend on how many.
const SPAN: Duration = Duration::from_millis(100);

fn run<T>(work: impl Future<Output = io::Result<T>>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(work).expect("the load goes through")
}

fn server(registry: &TestRegistry) -> Arc<Server> {
    Arc::new(Server::plain(registry.endpoint().address))
}

/// Asserts that a blob is there with exactly this content.
#[track_caller]
fn expect_blob(repository: &Repository, blob: &Blob) {
    let response = repository.endpoint.get(repository.blob(&blob.digest)).expect(200);
    assert_eq!(response.body, blob.parts.concat(), "{}", blob.digest);
}

/// Asserts that an image is there under a tag, whole.
#[track_caller]
fn expect_image(repository: &Repository, tag: &str, image: &Image) {
    let manifest = repository.endpoint.get(repository.manifest(tag)).expect(200);
    assert_eq!(manifest.body, image.manifest.parts.concat());
    for blob in image.layers.iter().chain([&image.config]) {
        expect_blob(repository, blob);
    }
}

/// How many tags a repository has; none if it is not there.
fn tags(repository: &Repository) -> usize {
    let response = repository.endpoint.get(repository.target("tags/list"));
    if response.status == 404 {
        0
    } else {
        response.expect(200).json()["tags"].as_array().map_or(0, Vec::len)
    }
}

#[test]
fn every_client_pushes_whole_images_and_pulls_them_back() {
    let registry = registry!().start();
    for (number, kind) in Kind::ALL.into_iter().enumerate() {
        let name = format!("load/{}", kind.name());
        let mut noise = Noise::new(number as u64);
        // Layers on both sides of every threshold: empty of content, small, chunked, and with pieces.
        let sizes = [1, 5_000, 70_000, 300_000, (5 << 20) + 7];
        let image = Image::of(sizes.into_iter().map(|size| Blob::noise(&mut noise, size)).collect());
        let bytes = run(async {
            let server = server(&registry);
            clients::push(kind, &kind.client(&server), &name, "v1", &image).await?;
            // A second push finds everything there.
            clients::push(kind, &kind.client(&server), &name, "v2", &image).await?;
            clients::pull(kind, &kind.client(&server).verifying(true), &name, "v2").await
        });
        assert_eq!(bytes, image.bytes() + image.config.length as u64, "{name}");
        let repository = registry.repository(&name);
        expect_image(&repository, "v1", &image);
        expect_image(&repository, "v2", &image);
    }
}

#[test]
fn a_storm_leaves_every_image_it_counted() {
    let registry = registry!().start();
    let shape = Shape { layers: 2, layer_bytes: 2_000 };
    let record = run(push::images(&server(&registry), Kind::Containerd, 3, shape, SPAN));
    let tags: usize = (0..3).map(|client| tags(&registry.repository(&format!("bench/push-{client}")))).sum();
    assert!(tags >= 3);
    assert_eq!(record.latencies.count(), tags as u64);
    assert_eq!(record.bytes, 4_000 * tags as u64);
}

#[test]
fn large_blobs_go_side_by_side() {
    let registry = registry!().start();
    for kind in [Kind::Docker, Kind::Containerd] {
        let record = run(push::blobs(&server(&registry), kind, 3, (9 << 20) + 1));
        assert_eq!((record.latencies.count(), record.bytes), (3, 3 * ((9 << 20) + 1)));
    }
    assert_eq!(registry.blob_files().len(), 6);
}

#[test]
fn reads_are_verified_counted_and_the_same_from_a_folder() {
    let registry = registry!().start();
    let address = registry.endpoint().address;
    let folder = registry.directory().join("files");
    let (paths, files) = run(async {
        let (served, filed) = (Place::of(&address.to_string()), Place::of(folder.to_str().expect("UTF-8")));
        let mut paths = [served.image("v1", 8, 100_000).await?, filed.image("v1", 8, 100_000).await?];
        paths[0].extend(served.blobs(4096, 4).await?);
        paths[1].extend(filed.blobs(4096, 4).await?);
        Ok((paths[0].clone(), paths[1].clone()))
    });
    assert_eq!(paths, files);
    for path in &paths {
        let file = fs::read(folder.join(path.trim_start_matches('/'))).expect("the file is there");
        assert_eq!(registry.endpoint().get(path.as_str()).expect(200).body, file, "{path}");
    }
    let image = &paths[..10];
    let herd = get::herd(address, image, 20, 3, Bodies::Verify, Duration::from_mins(1)).expect("a herd");
    let manifest = registry.endpoint().get(paths[0].as_str()).body.len() as u64;
    let config = registry.endpoint().get(paths[1].as_str()).body.len() as u64;
    assert_eq!((herd.latencies.count(), herd.bytes), (20, 20 * (800_000 + config + manifest)));
    for (method, rate, skew, fresh) in
        [("GET", None, Some(0.9), false), ("GET", Some(500.0), None, true), ("HEAD", None, None, false)]
    {
        let how = Reading {
            method: method.to_owned(),
            connections: 4,
            fresh,
            rate,
            spin: SPAN / 100,
            skew,
            bodies: Bodies::Verify,
            token: None,
            span: SPAN,
        };
        let record = get::paths(address, &paths, &[], &how).expect("reads");
        assert!(record.latencies.count() > 0);
        assert_eq!(record.bytes == 0, method == "HEAD");
    }
}

#[test]
fn mixed_traffic_reads_and_pushes() {
    let registry = registry!().start();
    let server = server(&registry);
    let record = run(async {
        let place = Place::of(&server.address.to_string());
        let mut paths = place.image("v1", 1, 1000).await?;
        paths.truncate(1);
        paths.extend(place.blobs(2000, 5).await?);
        let mix = Mix { clients: 4, writes: 0.5, skew: 0.9, push_bytes_max: 50_000, span: SPAN };
        traffic::mixed(&server, paths, mix).await
    });
    let pushes = record.more["pushes"].as_u64().expect("a count");
    assert!(record.latencies.count() > 0);
    assert_eq!(record.bytes, 2000 * record.latencies.count());
    let tagged: usize =
        (0..4).map(|client| tags(&registry.repository(&format!("bench/mixed-{client}")))).sum();
    assert_eq!(pushes, tagged as u64);
    let pulled = run(traffic::pulls(&server, Kind::Crane, (REPOSITORY, "v1"), 2, true, SPAN));
    assert!(pulled.latencies.count() >= 2);
}

#[test]
fn reads_over_tls_by_both_protocols() {
    let folder = tempfile::tempdir().expect("a folder");
    make_certificate(folder.path()).expect("a certificate");
    let pem = |name: &str| folder.path().join(name).to_str().expect("UTF-8").to_owned();
    let config = format!(
        "[[http.listener]]\naddress = \"127.0.0.1:0\"\n\n[[http.listener]]\naddress = \"127.0.0.1:0\"\ncertificate = \"{}\"\nkey = \"{}\"\n",
        pem("certificate.pem"),
        pem("key.pem")
    );
    let registry = registry!().config(&config).listen_by_config().listeners(2).start();
    let [plain, secured] = registry.endpoints() else { panic!("two listeners") };
    let paths = run(async { Place::of(&plain.address.to_string()).blobs(100_000, 3).await });
    for http2 in [false, true] {
        let protocol = if http2 { "h2" } else { "http/1.1" };
        let server =
            Server::tls(secured.address, &folder.path().join("certificate.pem"), protocol).expect("a client");
        let how = secure::Reading { connections: 2, streams: 2, http2, span: SPAN };
        let started = Instant::now();
        let record = run(secure::paths(&Arc::new(server), paths.clone(), how));
        assert!(record.latencies.count() >= 2 && record.elapsed <= started.elapsed());
        assert_eq!(record.bytes, 100_000 * record.latencies.count(), "{protocol}");
    }
}
