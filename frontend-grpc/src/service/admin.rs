//! `strata.registry.v1.Admin`: what the admin API over HTTP has.

mod accounts;
mod audit;
mod backups;
mod images;
mod quarantine;
mod registries;
mod store;

use crate::call::{Call, invalid};
use crate::error::Refusal;
use crate::proto::registry as v1;
use tonic::{Request, Response, Status, Streaming};

#[derive(Debug)]
pub(crate) struct Admin;

/// Each method of the service is a function of one of the modules.
macro_rules! methods {
    (
        streams { $($of:ident { $($stream:ident: $part:ident => $end:ident;)+ })+ }
        $($module:ident { $($method:ident: $request:ident => $response:ident;)+ })+
    ) => {
        #[tonic::async_trait]
        impl v1::admin_server::Admin for Admin {
            $($(
                async fn $stream(
                    &self,
                    request: Request<Streaming<v1::$part>>,
                ) -> Result<Response<v1::$end>, Status> {
                    let (call, mut messages) = Call::take(request)?;
                    call.answer($of::$stream(&call, &mut messages)).await
                }
            )+)+
            $($(
                async fn $method(
                    &self,
                    request: Request<v1::$request>,
                ) -> Result<Response<v1::$response>, Status> {
                    let (call, asked) = Call::take(request)?;
                    call.answer($module::$method(&call, asked)).await
                }
            )+)+
        }
    };
}

methods! {
    streams {
        quarantine {
            repair_blob: AdminRepairBlobRequest => AdminRepairBlobResponse;
        }
    }
    accounts {
        who_am_i: AdminWhoAmIRequest => AdminWhoAmIResponse;
        list_accounts: AdminListAccountsRequest => AdminListAccountsResponse;
        create_account: AdminCreateAccountRequest => AdminCreateAccountResponse;
        get_account: AdminGetAccountRequest => AdminGetAccountResponse;
        change_account: AdminChangeAccountRequest => AdminChangeAccountResponse;
        delete_account: AdminDeleteAccountRequest => AdminDeleteAccountResponse;
        set_role: AdminSetRoleRequest => AdminSetRoleResponse;
        list_keys: AdminListKeysRequest => AdminListKeysResponse;
        get_key: AdminGetKeyRequest => AdminGetKeyResponse;
        create_key: AdminCreateKeyRequest => AdminCreateKeyResponse;
        change_key: AdminChangeKeyRequest => AdminChangeKeyResponse;
        delete_key: AdminDeleteKeyRequest => AdminDeleteKeyResponse;
        list_signing_keys: AdminListSigningKeysRequest => AdminListSigningKeysResponse;
        rotate_signing_key: AdminRotateSigningKeyRequest => AdminRotateSigningKeyResponse;
    }
    registries {
        list_registries: AdminListRegistriesRequest => AdminListRegistriesResponse;
        create_registry: AdminCreateRegistryRequest => AdminCreateRegistryResponse;
        get_registry: AdminGetRegistryRequest => AdminGetRegistryResponse;
        change_registry: AdminChangeRegistryRequest => AdminChangeRegistryResponse;
        delete_registry: AdminDeleteRegistryRequest => AdminDeleteRegistryResponse;
        list_members: AdminListMembersRequest => AdminListMembersResponse;
    }
    images {
        list_images: AdminListImagesRequest => AdminListImagesResponse;
        get_image: AdminGetImageRequest => AdminGetImageResponse;
        delete_image: AdminDeleteImageRequest => AdminDeleteImageResponse;
        list_artifacts: AdminListArtifactsRequest => AdminListArtifactsResponse;
        get_artifact: AdminGetArtifactRequest => AdminGetArtifactResponse;
        list_tags: AdminListTagsRequest => AdminListTagsResponse;
        get_tag: AdminGetTagRequest => AdminGetTagResponse;
        get_tag_history: AdminGetTagHistoryRequest => AdminGetTagHistoryResponse;
    }
    audit {
        list_audit: AdminListAuditRequest => AdminListAuditResponse;
    }
    quarantine {
        list_quarantine: AdminListQuarantineRequest => AdminListQuarantineResponse;
        recheck_quarantine: AdminRecheckQuarantineRequest => AdminRecheckQuarantineResponse;
        discard_blob: AdminDiscardBlobRequest => AdminDiscardBlobResponse;
    }
    backups {
        list_backups: AdminListBackupsRequest => AdminListBackupsResponse;
        start_backup: AdminStartBackupRequest => AdminStartBackupResponse;
        renew_backup: AdminRenewBackupRequest => AdminRenewBackupResponse;
        end_backup: AdminEndBackupRequest => AdminEndBackupResponse;
    }
    store {
        get_status: AdminGetStatusRequest => AdminGetStatusResponse;
        get_gc: AdminGetGcRequest => AdminGetGcResponse;
        run_gc: AdminRunGcRequest => AdminRunGcResponse;
        get_scrub: AdminGetScrubRequest => AdminGetScrubResponse;
        start_scrub: AdminStartScrubRequest => AdminStartScrubResponse;
        list_deleted: AdminListDeletedRequest => AdminListDeletedResponse;
        restore: AdminRestoreRequest => AdminRestoreResponse;
    }
}

/// Entries of a page where the request leaves it to the server.
const PAGE: usize = 100;

/// How many entries are wanted; the use case has a limit of its own.
fn limit(page_size: u32) -> usize {
    if page_size == 0 { PAGE } else { usize::try_from(page_size).unwrap_or(usize::MAX) }
}

/// A text, where there is one.
fn some(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

/// The number that a page goes on behind.
fn number(token: &str) -> Result<Option<u64>, Refusal> {
    let number = some(token).map(str::parse).transpose();
    number.map_err(|_| invalid("page_token", "this is no place in this list"))
}
