//! The table of roles through every use case that is about a repository: which of them each role is let into, and what the others are
//! told.

use crate::directory::{as_account, person, world};
use crate::world::{
    CONFIG_TYPE, IntoReference, World, body, bytes_of, described, digest_of_manifest, image_of, repo, sha256,
    tag,
};
use serde_json::Value;
use std::sync::Arc;
use strata_registry::{
    Access, Actions, Context, FIRST_ACCOUNT, Identity, NewRegistry, Page, Principal, Publish,
    PublishedManifest, PublishedTag, PutManifest, RegistryError, Role, RoleOn, TagExpectation, Wanted,
};
use strata_types::{Algorithm, Digest, RepositoryName};

/// What is asked for in turn; each is one use case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    HeadBlob,
    HeadManifest,
    Tags,
    Referrers,
    Deletions,
    FindBlobs,
    GetBlob,
    GetManifest,
    ResolveImage,
    StartUpload,
    PutBlob,
    PutManifest,
    PublishImage,
    Mount,
    DeleteTag,
    DeleteManifest,
    DeleteBlob,
    DeleteRepository,
    Restore,
    PublishTag,
}

use Asked::{
    DeleteBlob, DeleteManifest, DeleteRepository, DeleteTag, Deletions, FindBlobs, GetBlob, GetManifest,
    HeadBlob, HeadManifest, Mount, PublishImage, PublishTag, PutBlob, Referrers, ResolveImage, Restore,
    StartUpload, Tags,
};

/// By the row of the table that they belong to.
const SEE: [Asked; 6] = [HeadBlob, HeadManifest, Tags, Referrers, Deletions, FindBlobs];
const PULL: [Asked; 3] = [GetBlob, GetManifest, ResolveImage];
const PUSH: [Asked; 5] = [StartUpload, PutBlob, Asked::PutManifest, PublishImage, Mount];
const DELETE: [Asked; 5] = [DeleteTag, DeleteManifest, DeleteBlob, DeleteRepository, Restore];
/// Asked by itself: a registry that is not there is another answer to those who bring something, and a token to push will do.
const CREATE_TAG: [Asked; 1] = [PublishTag];

/// A repository that has one of everything.
struct Scene {
    world: World,
    blob: Digest,
    loose: Digest,
    manifest: Value,
}

const CONFIG: &[u8] = b"{}";

impl Scene {
    /// All repositories have the same in them.
    async fn fill(world: World, names: &[&str]) -> Self {
        let ctx = as_account(&world, FIRST_ACCOUNT);
        let manifest = image_of(described(CONFIG_TYPE, CONFIG), vec![]);
        let scene = Self { world, blob: sha256(CONFIG), loose: sha256(b"loose"), manifest };
        for name in names {
            let (registry, name) = (&scene.world.registry, repo(name));
            for content in [CONFIG, b"loose"] {
                registry.put_blob(&ctx, &name, &sha256(content), None, body(content)).await.unwrap();
            }
            registry.put_manifest(&ctx, &name, scene.push("latest")).await.unwrap();
        }
        scene
    }

    fn push(&self, tag: &str) -> PutManifest {
        let reference = tag.into_reference();
        PutManifest { reference, tags: Vec::new(), content_type: None, bytes: bytes_of(&self.manifest) }
    }

    /// Sets a tag, on what is there or comes with it.
    fn publish(&self, name: &RepositoryName, comes: bool) -> Publish {
        let (repository, digest) = (name.clone(), digest_of_manifest(&self.manifest));
        let set = PublishedTag { repository, tag: tag("set"), digest, expected: TagExpectation::Any };
        let (repository, bytes) = (name.clone(), bytes_of(&self.manifest));
        let manifest =
            PublishedManifest { repository, digest: None, content_type: None, bytes, tags: Vec::new() };
        Publish { manifests: if comes { vec![manifest] } else { Vec::new() }, tags: vec![set] }
    }

    /// The number of a deletion that can be undone.
    async fn deletion(&self, name: &RepositoryName) -> u64 {
        let (registry, ctx) = (&self.world.registry, as_account(&self.world, FIRST_ACCOUNT));
        registry.put_manifest(&ctx, name, self.push("gone")).await.unwrap();
        registry.delete_manifest(&ctx, name, &"gone".into_reference()).await.unwrap();
        let deletions = registry.list_deleted(&ctx, Some(name), None, 1000).await.unwrap().deletions;
        deletions.last().unwrap().number
    }

    async fn ask(&self, ctx: &Context, name: &RepositoryName, asked: Asked) -> Result<(), RegistryError> {
        let (registry, latest) = (&self.world.registry, "latest".into_reference());
        let digest = digest_of_manifest(&self.manifest);
        let page = Page::default();
        match asked {
            HeadBlob => registry.stat_blob(ctx, name, &self.blob).await.map(drop),
            HeadManifest => registry.stat_manifest(ctx, name, &latest).await.map(drop),
            Tags => registry.list_tags(ctx, name, &page).await.map(drop),
            Referrers => registry.list_referrers(ctx, name, &digest, None, &page).await.map(drop),
            Deletions => registry.list_deleted(ctx, Some(name), None, 10).await.map(drop),
            FindBlobs => registry.find_blobs(ctx, name, vec![self.blob]).await.map(drop),
            ResolveImage => registry.resolve_image(ctx, name, &latest, &Wanted::default()).await.map(drop),
            PublishImage => registry.publish(ctx, self.publish(name, true)).await.map(drop),
            PublishTag => registry.publish(ctx, self.publish(name, false)).await.map(drop),
            GetBlob => registry.open_blob(ctx, name, &self.blob).await.map(drop),
            GetManifest => registry.get_manifest(ctx, name, &latest).await.map(drop),
            StartUpload => registry.start_upload(ctx, name, Algorithm::Sha256).await.map(drop),
            PutBlob => registry.put_blob(ctx, name, &self.blob, None, body(CONFIG)).await.map(drop),
            Asked::PutManifest => registry.put_manifest(ctx, name, self.push("latest")).await.map(drop),
            Mount => registry.mount_blob(ctx, name, &self.blob, None).await.map(|mounted| assert!(mounted)),
            DeleteTag => {
                registry.delete_manifest(ctx, name, &"latest".into_reference()).await?;
                registry.put_manifest(ctx, name, self.push("latest")).await.map(drop)
            }
            DeleteManifest => {
                registry.delete_manifest(ctx, name, &digest.into_reference()).await?;
                registry.put_manifest(ctx, name, self.push("latest")).await.map(drop)
            }
            DeleteBlob => {
                registry.delete_blob(ctx, name, &self.loose).await?;
                registry.put_blob(ctx, name, &self.loose, None, body(b"loose")).await.map(drop)
            }
            DeleteRepository => {
                registry.delete_repository(ctx, name).await?;
                registry.put_blob(ctx, name, &self.blob, None, body(CONFIG)).await?;
                registry.put_blob(ctx, name, &self.loose, None, body(b"loose")).await?;
                registry.put_manifest(ctx, name, self.push("latest")).await.map(drop)
            }
            Restore => registry.restore(ctx, self.deletion(name).await, true).await.map(drop),
        }
    }

    /// What each use case of a row says, all alike: `yes`, or the code.
    async fn row(&self, ctx: &Context, name: &RepositoryName, row: &[Asked]) -> &'static str {
        let mut said = Vec::new();
        for asked in row {
            let word = match self.ask(ctx, name, *asked).await {
                Ok(()) => "yes",
                Err(error) => error.outcome().as_str(),
            };
            said.push(word);
        }
        assert!(said.iter().all(|word| *word == said[0]), "{row:?}: {said:?}");
        said[0]
    }

    /// The four rows: see, pull, push, delete.
    async fn rows(&self, ctx: &Context, name: &str) -> String {
        let (name, mut said) = (repo(name), Vec::new());
        for row in [&SEE[..], &PULL, &PUSH, &DELETE] {
            said.push(self.row(ctx, &name, row).await);
        }
        said.join(" ")
    }
}

async fn scene(names: &[&str]) -> Scene {
    let world = world();
    let (registry, ctx) = (&world.registry, as_account(&world, FIRST_ACCOUNT));
    for name in ["hy", "free"] {
        let new = NewRegistry { anonymous_pull: name == "free", ..NewRegistry::standard(name) };
        registry.create_registry(&ctx, new).await.unwrap();
    }
    registry.create_account(&ctx, person("anna")).await.unwrap();
    Scene::fill(world, names).await
}

fn with_token(ctx: &Context, access: &[Access]) -> Context {
    let Principal::Account(identity) = &ctx.principal else { panic!("an account") };
    let identity = Identity { access: Some(access.into()), ..Identity::clone(identity) };
    Context { principal: Principal::Account(Arc::new(identity)), ..ctx.clone() }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_use_case_is_of_its_row() {
    let scene = scene(&["hy/a"]).await;
    let (registry, admin) = (&scene.world.registry, as_account(&scene.world, FIRST_ACCOUNT));
    let hidden = "NAME_UNKNOWN NAME_UNKNOWN DENIED NAME_UNKNOWN";
    let viewer = "yes yes DENIED DENIED";
    let uploader = "yes DENIED yes DENIED";
    let all = "yes yes yes yes";
    for (instance, in_hy, expected) in [
        (None, None, hidden),
        (None, Some(Role::Viewer), viewer),
        (None, Some(Role::Uploader), uploader),
        (None, Some(Role::Admin), all),
        (Some(Role::Viewer), None, viewer),
        (Some(Role::Uploader), None, uploader),
        (Some(Role::Admin), None, all),
        (Some(Role::Viewer), Some(Role::Uploader), "yes yes yes DENIED"),
        (Some(Role::Uploader), Some(Role::Viewer), "yes yes yes DENIED"),
    ] {
        registry.set_role(&admin, "anna", RoleOn::Instance, instance, None).await.unwrap();
        registry.set_role(&admin, "anna", RoleOn::Registry("hy".to_owned()), in_hy, None).await.unwrap();
        let anna = as_account(&scene.world, "anna");
        assert_eq!(scene.rows(&anna, "hy/a").await, expected, "{instance:?} {in_hy:?}");
        let creates = scene.row(&anna, &repo("hy/a"), &CREATE_TAG).await;
        assert_eq!(creates, if expected == all { "yes" } else { "DENIED" }, "{instance:?} {in_hy:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_use_case_minds_the_token() {
    let scene = scene(&["hy/a"]).await;
    let admin = as_account(&scene.world, FIRST_ACCOUNT);
    let of = |actions| [Access::repository("hy/a", actions)];
    let (yes, no) = ("yes", "UNAUTHORIZED");
    for (access, expected) in [
        (vec![], [no, no, no, no]),
        (of(Actions::PULL).to_vec(), [yes, yes, no, no]),
        (of(Actions::PUSH).to_vec(), [yes, no, yes, no]),
        (of(Actions::ALL).to_vec(), [yes, yes, yes, yes]),
        (vec![Access::repository("hy/b", Actions::ALL)], [no, no, no, no]),
    ] {
        let ctx = with_token(&admin, &access);
        assert_eq!(scene.rows(&ctx, "hy/a").await, expected.join(" "), "{access:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_see_what_is_free() {
    let scene = scene(&["hy/a", "free/a"]).await;
    let registry = &scene.world.registry;
    let stranger = Context { principal: registry.stranger(), ..as_account(&scene.world, "anna") };
    let nothing = "UNAUTHORIZED UNAUTHORIZED UNAUTHORIZED UNAUTHORIZED";
    assert_eq!(scene.rows(&stranger, "free/a").await, "yes yes UNAUTHORIZED UNAUTHORIZED");
    for name in ["hy/a", "hy/none", "nowhere/a"] {
        let (name, mut said) = (repo(name), Vec::new());
        for row in [&SEE[..], &PULL, &PUSH, &DELETE[..4]] {
            said.push(scene.row(&stranger, &name, row).await);
        }
        assert_eq!(said.join(" "), nothing, "{name}: the same whether it is there or not");
    }
    // The catalog shows what one sees, to those who ask in their own name or with a token.
    let names = async |ctx: &Context| {
        let page = registry.catalog(ctx, &Page::default()).await.map(|page| page.repositories);
        page.map_err(|error| error.outcome().as_str())
    };
    assert_eq!(names(&stranger).await, Err("UNAUTHORIZED"));
    let with_token = Context { principal: Principal::Anonymous { token: true }, ..stranger };
    assert_eq!(names(&with_token).await, Ok(vec![repo("free/a")]));
    assert_eq!(names(&as_account(&scene.world, "anna")).await, Ok(vec![repo("free/a")]));
    let all = names(&as_account(&scene.world, FIRST_ACCOUNT)).await;
    assert_eq!(all, Ok(vec![repo("free/a"), repo("hy/a")]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mount_reads_its_source() {
    let scene = scene(&["hy/a"]).await;
    let (registry, admin) = (&scene.world.registry, as_account(&scene.world, FIRST_ACCOUNT));
    registry.create_registry(&admin, NewRegistry::standard("other")).await.unwrap();
    let role = async |on: &str, role| {
        let on = RoleOn::Registry(on.to_owned());
        registry.set_role(&admin, "anna", on, role, None).await.unwrap();
        as_account(&scene.world, "anna")
    };
    let (source, near, far) = (repo("hy/a"), repo("hy/b"), repo("other/b"));
    let mount = async |ctx: &Context, to: &RepositoryName, from: Option<&RepositoryName>| {
        registry.mount_blob(ctx, to, &scene.blob, from).await.map_err(|error| error.outcome().as_str())
    };
    let anna = role("other", Some(Role::Admin)).await;
    assert_eq!(mount(&anna, &far, Some(&source)).await, Ok(false), "she does not see it");
    assert_eq!(mount(&anna, &far, None).await, Ok(false));
    let anna = role("hy", Some(Role::Uploader)).await;
    assert_eq!(mount(&anna, &far, Some(&source)).await, Ok(false), "she sees it, but may not pull");
    assert_eq!(
        mount(&anna, &near, Some(&source)).await,
        Ok(true),
        "in the same registry it is enough to see"
    );
    let anna = role("hy", Some(Role::Viewer)).await;
    assert_eq!(mount(&anna, &near, Some(&source)).await, Err("DENIED"));
    assert_eq!(mount(&anna, &far, Some(&source)).await, Ok(true));
    // A challenge asks for both.
    let ctx = with_token(&admin, &[]);
    let refused = registry.mount_blob(&ctx, &far, &scene.blob, Some(&source)).await.unwrap_err();
    let RegistryError::Unauthorized { challenge } = refused else { panic!("{refused}") };
    let scopes: Vec<String> = challenge.scopes.iter().map(ToString::to_string).collect();
    assert_eq!(scopes, ["repository:other/b:pull,push", "repository:hy/a:pull"]);
}
